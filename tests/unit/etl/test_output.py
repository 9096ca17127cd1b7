"""Output files: together at the end or not at all; Parquet typed as the dataset says."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headwater.core import types
from headwater.core.dataset import DatasetSchema
from headwater.core.errors import OutputError
from headwater.etl.output import OutputDirectory
from headwater.etl.parquet import write_parquet


def finish(directory: OutputDirectory) -> None:
    directory.finish({f"{name}.ndjson": path for name, path in directory.flush().items()})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_files_appear_at_the_end_even_if_empty(tmp_path: Path) -> None:
    output = OutputDirectory(tmp_path / "a" / "b", ("clicks", "views"))
    output.write({"clicks": b"1\n"})
    output.write({"clicks": b"2\n"})
    output.flush()
    assert not [name for name in names(tmp_path / "a" / "b") if not name.startswith(".")]
    finish(output)
    assert names(tmp_path / "a" / "b") == ["clicks.ndjson", "dead_letters.ndjson", "views.ndjson"]
    assert (tmp_path / "a" / "b" / "clicks.ndjson").read_bytes() == b"1\n2\n"


def test_a_discarded_run_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    output = OutputDirectory(tmp_path, ("clicks",))
    output.write({"clicks": b"1\n" * 1_000_000})
    output.discard()
    assert names(tmp_path) == []


def test_what_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "clicks.ndjson").write_bytes(b"old\n")
    with pytest.raises(OutputError, match=r"is not empty: it holds clicks.ndjson; name a new directory, or pass --overwrite"):
        OutputDirectory(tmp_path, ("clicks",))
    output = OutputDirectory(tmp_path, ("clicks",), overwrite=True)
    assert (tmp_path / "clicks.ndjson").read_bytes() == b"old\n"
    finish(output)
    assert (tmp_path / "clicks.ndjson").read_bytes() == b""


def test_one_run_at_a_time(tmp_path: Path) -> None:
    first = OutputDirectory(tmp_path, ("clicks",))
    first.write({"clicks": b"1\n"})
    with pytest.raises(OutputError, match="another run is writing into"):
        OutputDirectory(tmp_path, ("clicks",), overwrite=True)
    first.finish({"clicks.ndjson": first.flush()["clicks"]})
    assert (tmp_path / "clicks.ndjson").read_text() == "1\n"
    OutputDirectory(tmp_path, ("clicks",), overwrite=True).discard()
    OutputDirectory(tmp_path, ("clicks",), overwrite=True).discard()


def test_leftovers_of_a_killed_run_are_no_obstacle(tmp_path: Path) -> None:
    killed = OutputDirectory(tmp_path, ("clicks",))
    killed.write({"clicks": b"old\n"})
    killed.flush()
    killed.release()
    output = OutputDirectory(tmp_path, ("clicks",))
    output.write({"clicks": b"new\n"})
    finish(output)
    assert (tmp_path / "clicks.ndjson").read_bytes() == b"new\n"


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "dead_letters", "x" * 201, "é"])
def test_a_dataset_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot be a file"):
        OutputDirectory(tmp_path, (name,))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot use .*file"):
        OutputDirectory(tmp_path / "file", ())


def parquet(tmp_path: Path, schema: DatasetSchema, rows: bytes) -> Any:
    (tmp_path / "rows").write_bytes(rows)
    path = tmp_path / "out 'x'.parquet"
    write_parquet(schema, tmp_path / "rows", path, len(rows))
    with duckdb.connect() as connection:
        relation = connection.execute("SELECT * FROM read_parquet($1)", [str(path)])
        return [(each[0], str(each[1])) for each in relation.description], relation.fetchall()


COLUMNS = (
    ("big", types.BIGINT),
    ("dou ble", types.DOUBLE),
    ("flag", types.BOOLEAN),
    ("it's", types.VARCHAR),
    ("at", types.TIMESTAMP),
    ("any", types.JSON),
    ("who", types.StructOf((('na"me', types.VARCHAR), ("ids", types.ListOf(types.BIGINT))))),
    ("tags", types.ListOf(types.StructOf((("k", types.VARCHAR),)))),
)


def test_columns_have_the_types_of_the_dataset(tmp_path: Path) -> None:
    rows = (
        b'{"big":9223372036854775807,"dou ble":1e-5,"flag":true,"it\'s":"\\u0000\\u00e9","at":"2026-01-02T03:04:05.000001Z",'
        b'"any":{"a":[1,123456789012345678901234567890]},"who":{"na\\"me":"ann","ids":[1,null]},"tags":[{"k":"x"},null]}\n{}\n'
    )
    columns, found = parquet(tmp_path, DatasetSchema("d", False, COLUMNS), rows)
    assert [name for name, _ in columns] == [name for name, _ in COLUMNS]
    assert [kind for _, kind in columns[:6]] == ["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "JSON"]
    assert found[0][:4] == (2**63 - 1, 1e-5, True, "\0é")
    assert found[0][4].isoformat() == "2026-01-02T03:04:05.000001"
    assert found[0][5] == '{"a":[1,123456789012345678901234567890]}'
    assert found[0][6:] == ({'na"me': "ann", "ids": [1, None]}, [{"k": "x"}, None])
    assert found[1] == (None,) * 8


def test_a_star_dataset_is_one_column_verbatim(tmp_path: Path) -> None:
    rows = [b'{"a": 1.50,"b":null}', b'{"a":"%s"}' % (b"y" * 20_000_000)]
    columns, found = parquet(tmp_path, DatasetSchema("d", True), b"\n".join(rows) + b"\n")
    assert columns == [("event", "JSON")]
    assert [row[0].encode() for row in found] == rows


def test_an_empty_dataset_has_its_columns(tmp_path: Path) -> None:
    columns, found = parquet(tmp_path, DatasetSchema("d", False, COLUMNS), b"")
    assert len(columns) == len(COLUMNS)
    assert found == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"\ud800", rb"\ufffd"),
        (rb"\uD83D\uDE00 \uDE00\uD83D", rb"\uD83D\uDE00 \ufffd\ufffd"),
        (rb"\ud800\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\\ud800 \\\ud800", rb"\\ud800 \\\ufffd"),
    ],
)
def test_lone_surrogates_become_the_replacement_character(tmp_path: Path, text: bytes, expected: bytes) -> None:
    rows = b'{"a":"plain"}\n{"a":"%s"}\n{"a":"plain"}\n' % text
    _, found = parquet(tmp_path, DatasetSchema("d", True), rows)
    assert found[1][0].encode() == b'{"a":"%s"}' % expected
    assert found[2][0] == '{"a":"plain"}'


def test_without_duckdb_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OutputError, match=r"pip install 'headwater\[lake\]'"):
        write_parquet(DatasetSchema("d", True), tmp_path / "rows", tmp_path / "x.parquet", 1)
