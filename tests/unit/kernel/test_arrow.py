"""Rows as Arrow, as Python sees them. That they hold what JSON rows hold is tested in tests/parity."""

import gc
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headwater.kernel import Counters, Program

EVENT = ["field", ["event"], "VARCHAR"]


def rule(name: str, where: Any = None, select: Any = None, into: str = "out") -> bytes:
    stored = {"format": 1, "name": name, "from": "app_events", "into": into, "where": where}
    return json.dumps({**stored, "select": [["event", EVENT]] if select is None else select}).encode()


def equals(name: str) -> list[Any]:
    return ["call", "eq", "BOOLEAN", [EVENT, ["literal", "VARCHAR", name]]]


def field(name: str, kind: Any) -> list[Any]:
    return ["field", [name], kind]


NULL = ["literal", "NULL", None]
STAR = {"star": True, "exclude": [], "replace": []}


def test_columns_are_united_by_name_in_the_order_of_the_rules() -> None:
    rules = [
        rule("a", equals("a"), [["x", field("x", "BIGINT")], ["n", NULL]]),
        rule("b", equals("b"), [["y", field("y", "VARCHAR")], ["n", field("n", "DOUBLE")], ["x", field("x", "BIGINT")]]),
    ]
    program = Program(rules, arrow={"out": None})
    assert program.arrow_columns["out"].names == ["x", "n", "y"]
    expected = pa.schema([("x", pa.int64()), ("n", pa.float64()), ("y", pa.string())])
    assert pa.schema(program.arrow_columns["out"]) == expected
    result = program.run(b'{"event":"b","x":1,"y":"\\u00e9","n":0.5}\n{"event":"a","x":2}\n{"event":"b"}')
    batch = pa.record_batch(result.arrow["out"])
    batch.validate(full=True)
    assert batch.schema == expected
    assert batch.to_pylist() == [{"x": 1, "n": 0.5, "y": "é"}, {"x": 2, "n": None, "y": None}, {"x": None, "n": None, "y": None}]
    assert (result.outputs, result.rows) == ({}, {"out": 3})


def test_given_columns_are_the_schema() -> None:
    columns = b'[["z","JSON"],["x","BIGINT"],["n",{"list":{"struct":[["t","TIMESTAMP"]]}}]]'
    program = Program([rule("a", select=[["x", field("x", "BIGINT")], ["n", NULL]])], arrow={"out": columns})
    batch = pa.record_batch(program.run(b'{"x":1}').arrow["out"])
    nested = pa.list_(pa.struct([("t", pa.timestamp("us", "UTC"))]))
    assert batch.schema == pa.schema([("z", pa.string()), ("x", pa.int64()), ("n", nested)])
    assert batch.to_pylist() == [{"z": None, "x": 1, "n": None}]


def test_whole_events_are_one_column() -> None:
    rules = [
        rule("a", select=STAR, into="whole"),
        rule("b", select={**STAR, "exclude": ["x"], "replace": [["y", field("y", "BIGINT")]]}, into="whole"),
    ]
    event = b'{"event": "a", "x": 1, "y": "2"}'
    program = Program(rules, arrow={"whole": None})
    for batch in (event, event + b"\n", [event]):
        rows = pa.record_batch(program.run(batch).arrow["whole"])
        assert rows.to_pydict() == {"event": [event.decode(), '{"event": "a","y": 2}']}


def test_other_datasets_stay_json() -> None:
    rules = [rule("a", select=[["x", field("x", "BIGINT")]]), rule("b", select=[["x", field("x", "BIGINT")]], into="columns")]
    program = Program(rules, arrow={"columns": None})
    counters = Counters(program)
    result = program.run(b'{"x":1}\n{"x":2}')
    counters.add(result)
    assert result.outputs == {"out": b'{"x":1}\n{"x":2}\n'}
    assert pa.record_batch(result.arrow["columns"]).to_pydict() == {"x": [1, 2]}
    assert result.rows == {"out": 2, "columns": 2}
    assert counters.outputs() == {"out": {"rows": 2, "bytes": 16}, "columns": {"rows": 2, "bytes": 0}}
    assert program.run(b"").arrow == {}


def test_a_rule_that_fails_writes_nothing() -> None:
    cast = ["call", "cast", "BIGINT", [field("s", "VARCHAR")]]
    columns = [["k", ["literal", "BIGINT", 7]], ["x", field("x", "BIGINT")], ["c", cast]]
    program = Program([rule("a", select=columns)], arrow={"out": None})
    result = program.run([b'{"s":"1"}', b'{"s":"no","x":5}', b'{"s":"2"}'])
    assert pa.record_batch(result.arrow["out"]).to_pydict() == {"k": [7, 7], "x": [None, None], "c": [1, 2]}
    assert [failure[3:] for failure in result.failures] == [(0, "c", "cast")]
    assert result.rules == [(0, 2, 0, 1, 0)]


def test_doubles_that_are_not_finite_are_null_and_counted() -> None:
    divided = ["call", "div", "DOUBLE", [field("a", "DOUBLE"), field("b", "DOUBLE")]]
    program = Program([rule("a", select=[["d", divided]])], arrow={"out": None})
    result = program.run(b'{"a":1,"b":2}\n{"a":1,"b":0}')
    assert pa.record_batch(result.arrow["out"]).to_pydict() == {"d": [0.5, None]}
    assert result.rules == [(0, 2, 0, 0, 1)]


@pytest.mark.parametrize(
    ("rules", "arrow", "error"),
    [
        (["x BIGINT"], {"no": None}, "dataset `no` cannot be written as Arrow: no rule writes it"),
        (
            ["x BIGINT", "x VARCHAR"],
            {"out": None},
            "rule `r1`: the column `x` of dataset `out` is VARCHAR here and BIGINT in rule `r0`",
        ),
        (
            ["x BIGINT"],
            {"out": b'[["x","DOUBLE"]]'},
            "rule `r0`: the column `x` of dataset `out` is BIGINT here and DOUBLE in its schema",
        ),
        (["x BIGINT"], {"out": b'[["y","BIGINT"]]'}, "rule `r0`: the dataset `out` has no column `x`; it has y"),
        (["x BIGINT"], {"out": b'[["y","BIGINT"],["y","JSON"]]'}, "dataset `out`: a column stands twice: `y`"),
        (["x BIGINT"], {"out": b"{}"}, "dataset `out`: {} is no list of columns"),
        (["x BIGINT"], {"out": b"["}, "dataset `out`: its columns are not JSON: unexpected_end at byte 1"),
        (["x BIGINT", "*"], {"out": None}, "rule `r1`: the dataset `out` takes `*` here and columns in rule `r0`"),
        (["a\0b BIGINT"], {"out": None}, 'rule `r0`: column "a\\0b" of dataset `out` cannot be Arrow\'s: its name has a NUL'),
    ],
)
def test_what_cannot_be_one_table_is_refused_by_name(rules: list[str], arrow: dict[str, bytes | None], error: str) -> None:
    select = [STAR if text == "*" else [[text.split()[0], field("v", text.split()[1])]] for text in rules]
    with pytest.raises(ValueError) as raised:
        Program([rule(f"r{number}", select=one) for number, one in enumerate(select)], arrow=arrow)
    assert str(raised.value) == error


def test_a_dataset_is_not_both_protobuf_and_arrow() -> None:
    stored = b'{"messages":[{"name":"Row","fields":[{"name":"event","number":1,"kind":"string"}]}],"files":[]}'
    with pytest.raises(ValueError, match="dataset `out` cannot be written as both Protobuf and Arrow"):
        Program([rule("a")], outputs={"out": stored}, arrow={"out": None})


def test_records_stay_records() -> None:
    with pytest.raises(ValueError, match="the dataset `out` was linked to be written as Arrow"):
        Program([rule("a")], arrow={"out": None}).run_records(b"", "topic", 0, 0, 1)


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_rows_are_let_go_with_the_last_who_holds_them() -> None:
    nested = {"struct": [["a", {"list": "VARCHAR"}]]}
    columns = [["s", field("s", "VARCHAR")], ["o", field("o", nested)], ["i", field("i", "BIGINT")]]
    program = Program([rule("a", select=columns)], arrow={"out": None})
    event = json.dumps({"event": "e", "s": "x" * 2000, "o": {"a": ["y" * 500, None]}, "i": 1}).encode() + b"\n"
    batch = event * 1000

    def rounds(count: int) -> None:
        for number in range(count):
            rows = program.run(batch).arrow["out"]
            capsules = [rows.__arrow_c_array__(), rows.__arrow_c_stream__(), rows.__arrow_c_schema__()]
            table = pa.table(rows)
            held = pa.record_batch(rows).column(1).field(0)
            del rows, capsules
            if number % 2:
                assert table.num_rows == 1000
            assert held[999].as_py() == ["y" * 500, None]

    rounds(20)
    gc.collect()
    before = resident_bytes()
    rounds(200)
    gc.collect()
    # A round makes about 2.6 MB.
    assert resident_bytes() - before < 60_000_000


def test_several_threads_run_one_program() -> None:
    program = Program([rule("a", select=[["x", field("x", "BIGINT")]])], arrow={"out": None})
    batches = [b"\n".join(b'{"x":%d}' % (number * 1000 + at) for at in range(1000)) for number in range(20)]
    found: dict[int, list[int]] = {}

    def work(first: int) -> None:
        for number in range(first, 20, 4):
            found[number] = pa.record_batch(program.run(batches[number]).arrow["out"])["x"].to_pylist()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: list(range(number * 1000, number * 1000 + 1000)) for number in range(20)}
