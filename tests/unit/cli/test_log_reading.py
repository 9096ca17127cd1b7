"""`headwater log` as who looks on: topics, cat, tail, groups, sites, export. Nothing of the log may change by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.cli import main
from headwater.core.record import Record, encode
from headwater.log.groups import Membership
from headwater.log.interface import AppendGroup, Batch, Commit
from headwater.log.runtime import Threads
from headwater.log.shared import LogSettings, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.template import write_project

RECEIVED_MS = 1_769_860_800_000  # 2026-01-31T12:00:00Z
PAYLOADS = [
    {"event": "play", "user_id": "ann", "properties": {"n": 1}},
    {"event": "play", "user_id": "bob", "properties": {"n": 7}},
    {"event": "like", "user_id": "ann", "properties": {"n": 9, "at": "home"}},
    {"event": "play", "user_id": "cat", "properties": {"n": 12}},
]


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def offsets(self) -> list[int]:
        return [row["offset"] for row in self.rows]


def record(payload: Any, number: int, **more: Any) -> bytes:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return encode(Record(payload=data, received_time=RECEIVED_MS + 60_000 * number, event_id=f"id-{number}", **more))


def batch(topic: str, records: list[bytes], partition: int = 0) -> Batch:
    return Batch(topic, partition, b"".join(records), len(records))


def write(place: Path, *groups: AppendGroup, shard: str = "s-0", site: str = "local") -> None:
    log = open_log({site: FolderStorage(place)}, settings=LogSettings(host="test-host", follows=False))
    writer = log.writer(shard)
    for group in groups:
        writer.append(group)
    log.close()


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        code = main.run(["log", *map(str, arguments)])
        captured = capfdbinary.readouterr()
        return Done(code, captured.out.decode(), captured.err.decode())

    return run


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A log of one site with two topics; what looks at it must leave it as it was."""
    place = tmp_path / "log"
    records = [record(payload, number, key=str(payload["user_id"]), tier=1) for number, payload in enumerate(PAYLOADS)]
    write(
        place,
        AppendGroup(batches=(batch("events", records[:2]),)),
        AppendGroup(batches=(batch("events", records[2:]),), commits=(Commit("readers", "events", 0, 3),)),
        AppendGroup(batches=(batch("split", records[:1], 0), batch("split", records[1:3], 5))),
    )
    before = contents(place)
    yield place
    assert contents(place) == before, "looking changed the log"


def test_topics_says_what_is_there_and_since_when(run: Callable[..., Done], place: Path) -> None:
    done = run("topics", "--log", place, "--json")
    assert done.code == 0, done.err
    events, split = json.loads(done.out)["topics"]
    assert events == {
        "topic": "events",
        "partitions": [
            {
                "partition": 0,
                "shard": "s-0",
                "start": 0,
                "end": 4,
                "oldest": RECEIVED_MS,
                "newest": RECEIVED_MS + 180_000,
            }
        ],
        "records": 4,
        "oldest": RECEIVED_MS,
        "newest": RECEIVED_MS + 180_000,
        "settings": None,
    }
    assert [each["partition"] for each in split["partitions"]] == [0, 5]
    lines = run("topics", "--log", place).out.splitlines()
    assert lines[1].split() == ["events", "1", "4", "2026-01-31T12:00:00.000Z", "2026-01-31T12:03:00.000Z"]
    named = run("topics", "split", "--log", place).out.splitlines()
    assert named[0] == "split: 3 records in 2 partitions"
    assert named[3].split()[:4] == ["5", "0", "2", "2"]
    done = run("topics", "event", "--log", place)
    assert (done.code, "did you mean `events`?" in done.err) == (1, True)


def test_cat_prints_header_and_payload(run: Callable[..., Done], place: Path) -> None:
    done = run("cat", "events", "--log", place)
    assert done.out.splitlines()[:2] == [
        "events/0 0  2026-01-31T12:00:00.000Z  P1  key ann  id id-0",
        "  " + json.dumps(PAYLOADS[0]),
    ]
    assert len(done.out.splitlines()) == 8
    rows = run("cat", "events", "--log", place, "--json").rows
    assert [row["payload"] for row in rows] == PAYLOADS
    assert {name: rows[2][name] for name in ("topic", "partition", "offset", "key", "tier", "event_time", "origin")} == {
        "topic": "events",
        "partition": 0,
        "offset": 2,
        "key": "ann",
        "tier": 1,
        "event_time": None,
        "origin": None,
    }
    assert run("cat", "events", "--log", place, "--raw").rows == PAYLOADS
    assert run("cat", "events", "--log", place, "--raw", "--json").code == 2


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        (["--from", "1"], [1, 2, 3]),
        (["--from", "1", "--to", "3"], [1, 2]),
        (["--from", "latest"], []),
        (["--from", "earliest", "--to", "latest"], [0, 1, 2, 3]),
        (["--from", "2026-01-31T12:01:00Z", "--to", "2026-01-31T14:03:00+02:00"], [1, 2]),
        (["--from", "2026-01-31T12:02:30"], [3]),
        (["--to", "2026-01-31"], []),
        (["--from", "1s"], []),
        (["--to", "4"], [0, 1, 2, 3]),
    ],
)
def test_from_and_to(run: Callable[..., Done], place: Path, options: list[str], offsets: list[int]) -> None:
    done = run("cat", "events", "--log", place, "--json", *options)
    assert (done.code, done.offsets) == (0, offsets), done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["events", "--from", "5"], 1, "events/0 has no offset 5; valid are 0 to 4"),
        (["events", "--from", "soon"], 2, "--from takes an offset"),
        (["split", "--from", "1"], 2, "name one of 2"),
        (["split", "--partition", "1"], 1, "topic split has no partition 1; it has 0, 5"),
        (["splits"], 1, "did you mean `split`?"),
    ],
)
def test_what_is_not_there_is_said(run: Callable[..., Done], place: Path, options: list[str], code: int, said: str) -> None:
    done = run("cat", *options, "--log", place)
    assert done.code == code
    assert said in " ".join(done.err.replace("│", " ").split())
    assert not done.out


def test_partitions_are_chosen(run: Callable[..., Done], place: Path) -> None:
    rows = run("cat", "split", "--log", place, "--json").rows
    assert [(row["partition"], row["offset"]) for row in rows] == [(0, 0), (5, 0), (5, 1)]
    assert run("cat", "split", "--log", place, "--json", "--partition", "5", "--from", "1").offsets == [1]


@pytest.mark.parametrize(
    ("where", "offsets"),
    [
        ("event = 'play' AND properties.n > 3", [1, 3]),
        ("properties.at IS NOT NULL", [2]),
        ("user_id LIKE 'a%' OR properties.n = 12", [0, 2, 3]),
        ("lower(upper(user_id)) = 'bob' -- a comment", [1]),
    ],
)
def test_where_is_a_rule_s_where(run: Callable[..., Done], place: Path, where: str, offsets: list[int]) -> None:
    for command in (["cat"], ["tail", "-n", "9"]):
        done = run(*command, "events", "--log", place, "--json", "--where", where)
        assert (done.code, done.offsets) == (0, offsets), done.err
    assert run("tail", "-n", "1", "events", "--log", place, "--json", "--where", where).offsets == offsets[-1:]


def test_what_is_wrong_with_a_where_is_shown_at_its_place(run: Callable[..., Done], place: Path) -> None:
    done = run("cat", "events", "--log", place, "--where", "event = 'play' AND\nuserid = 'ann'")
    assert done.code == 1
    assert done.err.startswith("--where:2:1: error: no field `userid` in records; did you mean `user_id`?")
    for where in ("TRUE; INSERT INTO a SELECT * FROM records", "", "TRUE) OR (TRUE"):
        assert run("cat", "events", "--log", place, "--where", where).code in (1, 2), where


def test_a_filter_finds_the_records_of_a_topic_that_rules_write(run: Callable[..., Done], tmp_path: Path) -> None:
    """Several records of one event have one origin, and header texts of any length stand before the payload."""
    records = [
        record({"n": n}, n, origin=("events", 3, n // 3), rule=f"rule-{n % 3}", key="k" * (n % 5), snapshot=2) for n in range(60)
    ]
    write(tmp_path / "log", AppendGroup(batches=(batch("rows", [*records, record(b"no json", 60), record({"n": 7}, 61)]),)))
    rows = run("cat", "rows", "--log", tmp_path / "log", "--json", "--where", "n % 7 = 0").rows
    assert [row["offset"] for row in rows] == [0, 7, 14, 21, 28, 35, 42, 49, 56, 61]
    assert [row["payload"]["n"] for row in rows] == [0, 7, 14, 21, 28, 35, 42, 49, 56, 7]
    assert rows[1]["origin"] == {"topic": "events", "partition": 3, "offset": 2}
    assert (rows[1]["rule"], rows[1]["snapshot"], rows[1]["key"]) == ("rule-1", 2, "kk")


def test_payloads_that_are_no_json_are_text(run: Callable[..., Done], tmp_path: Path) -> None:
    payloads = [b"no json", b'{"a": "\xff"}', b'{\n"a": 1}', '{"a":"\ufffd"}'.encode()]
    write(tmp_path / "log", AppendGroup(batches=(batch("odd", [record(one, n) for n, one in enumerate(payloads)]),)))
    rows = run("cat", "odd", "--log", tmp_path / "log", "--json").rows
    assert [row["payload"] for row in rows] == ["no json", '{"a": "\ufffd"}', {"a": 1}, {"a": "\ufffd"}]


def test_tail_is_the_last_of_all_partitions_by_receipt(run: Callable[..., Done], tmp_path: Path) -> None:
    place = tmp_path / "log"
    batches = [batch("t", [record({"n": n}, n) for n in range(first, 3000, 3)], first) for first in range(3)]
    write(place, AppendGroup(batches=tuple(batches)))
    assert [row["payload"]["n"] for row in run("tail", "t", "--log", place, "--json").rows] == list(range(2990, 3000))
    assert [row["payload"]["n"] for row in run("tail", "t", "-n", "4", "--log", place, "--json").rows] == [2996, 2997, 2998, 2999]
    found = run("tail", "t", "-n", "3", "--log", place, "--json", "--where", "n < 100").rows
    assert [row["payload"]["n"] for row in found] == [97, 98, 99]
    found = run("tail", "t", "-n", "2", "--partition", "1", "--log", place, "--json").rows
    assert [row["payload"]["n"] for row in found] == [2995, 2998]
    assert run("tail", "t", "-n", "0", "--log", place).out == ""


def test_groups_of_both_kinds(run: Callable[..., Done], tmp_path: Path) -> None:
    place = tmp_path / "log"
    write(place, AppendGroup(batches=(batch("t", [record({}, n) for n in range(5)]),), commits=(Commit("workers", "t", 0, 3),)))
    log, runtime = open_log({"local": FolderStorage(place)}, settings=LogSettings(follows=False)), Threads()
    member = Membership("readers", log.sites, runtime, "ann-1", {"t": 2}, host="here")
    member.poll()
    member.commit({("t", 0): 4})
    log.close()
    runtime.close()
    done = run("groups", "--log", place, "--json")
    readers, workers = json.loads(done.out)["groups"]
    assert workers["units"] == [{"topic": "t", "partition": 0, "member": None, "next_offset": 3, "end": 5, "lag": 2}]
    assert [(each["name"], each["host"]) for each in readers["members"]] == [("ann-1", "here")]
    assert readers["units"] == [
        {"topic": "t", "partition": 0, "member": "ann-1", "next_offset": 4, "end": 5, "lag": 1},
        {"topic": "t", "partition": 1, "member": "ann-1", "next_offset": None, "end": None, "lag": None},
    ]
    shown = run("groups", "--log", place).out
    assert "readers: lag 1, 1 member, generation" in shown
    assert "workers: lag 2" in shown
    assert "workers" not in run("groups", "readers", "--log", place).out
    done = run("groups", "others", "--log", place)
    assert (done.code, "there are readers, workers" in done.err) == (1, True)


def test_sites_says_what_a_site_lacks(run: Callable[..., Done], tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in "abc"}
    options = [text for name, place in places.items() for text in ("--log", f"{name}={place}")]

    def append() -> None:
        log = open_log(
            {name: FolderStorage(place) for name, place in places.items()}, settings=LogSettings(host="h", follows=False)
        )
        log.writer("s-0").append(AppendGroup(batches=(batch("t", [record({}, 0)]),)))
        log.close()

    append()
    append()
    done = run("sites", *options, "--json")
    (shard,) = json.loads(done.out)["shards"]
    assert (done.code, shard["shard"], shard["host"]) == (0, "s-0", "h")
    assert [(site["site"], site["member"], site["whole"], site["lacks"]) for site in shard["sites"]] == [
        (name, True, True, []) for name in "abc"
    ]
    size = sum(path.stat().st_size for path in (places["a"] / "s-0").rglob("*") if path.is_file())
    assert shard["sites"][0]["bytes"] == size
    segments = sorted((places["b"] / "s-0" / "segment").glob("*/0*"), key=lambda path: path.stat().st_size)
    segments[0].unlink()
    assert run("sites", *options).code == 0, "a fence holds nothing"
    counted = int(segments[-1].name)
    segments[-1].unlink()
    done = run("sites", *options)
    assert done.code == 1
    assert [line.split()[-4:] for line in done.out.splitlines() if "lacks" in line] == [["lacks", "1", "segments:", str(counted)]]
    shutil.rmtree(places["b"])
    assert [line.split()[0] for line in run("sites", *options).out.splitlines() if "erased" in line] == ["b"]


def test_a_log_of_several_sites_is_read_where_one_is_gone(run: Callable[..., Done], tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in "abc"}
    log = open_log({name: FolderStorage(place) for name, place in places.items()}, settings=LogSettings(follows=False))
    log.writer("s-0").append(AppendGroup(batches=(batch("t", [record({"n": n}, n) for n in range(3)]),)))
    log.close()
    shutil.rmtree(places["a"])
    options = [text for name, place in places.items() for text in ("--log", f"{name}={place}")]
    before = contents(tmp_path)
    for _ in range(2):
        done = run("cat", "t", *options, "--json")
        assert (done.code, done.offsets) == (0, [0, 1, 2]), done.err
    assert contents(tmp_path) == before
    assert run("cat", "t", "--log", f"b={places['b']}", "--json").offsets == [0, 1, 2]
    done = run("cat", "t", "--log", places["b"])
    assert (done.code, "the sites a, b, c" in " ".join(done.err.replace("│", " ").split())) == (2, True)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--log", "nowhere"], 1, "there is no log at nowhere"),
        (["--project", "shop"], 1, "`headwater up` begins it"),
        (["--project", "nowhere"], 1, "nowhere is no project"),
        (["--log", "shop"], 2, "shop is a project, not a log: --project shop"),
        (["--log", "a", "--log", "b"], 2, "--log NAME=a"),
        (["--log", "x=a", "--log", "x=b"], 2, "names x twice"),
        (["--log", "ftp://name.example/y"], 1, "ftp://"),
        (["--log", "shop", "--project", "shop"], 2, "exclude each other"),
    ],
)
def test_where_no_log_is(
    run: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path / "shop")
    done = run("topics", *options)
    assert done.code == code
    assert said in " ".join(done.err.replace("│", " ").split())
    assert not (tmp_path / "nowhere").exists()


def test_the_only_site_of_a_log_is_known_by_its_name_there(run: Callable[..., Done], tmp_path: Path) -> None:
    write(tmp_path / "log", AppendGroup(batches=(batch("t", [record({}, 0)]),)), site="east")
    assert run("cat", "t", "--log", tmp_path / "log", "--json").offsets == [0]


@pytest.mark.parametrize("form", ["ndjson", "parquet", "arrow"])
def test_export_writes_a_file_for_each_partition(run: Callable[..., Done], place: Path, tmp_path: Path, form: str) -> None:
    done = run("export", "split", tmp_path / "out", "--log", place, "--format", form, "--json")
    assert done.code == 0, done.err
    files = json.loads(done.out)["files"]
    assert files == [
        {"file": f"0.{form}", "partition": 0, "records": 1},
        {"file": f"5.{form}", "partition": 5, "records": 2},
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"0.{form}", f"5.{form}"]
    rows = read_rows(tmp_path / "out" / f"5.{form}")
    assert [row["payload"] for row in rows] == PAYLOADS[1:3]
    assert [(row["offset"], row["key"], row["event_id"], row["origin"]) for row in rows] == [
        (0, "bob", "id-1", None),
        (1, "ann", "id-2", None),
    ]


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".ndjson":
        return [json.loads(line) for line in path.read_text().splitlines()]
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()
    assert table.schema.field("received_time").type == pa.timestamp("ms", tz="UTC")
    return [row | {"payload": json.loads(row["payload"])} for row in table.to_pylist()]


def test_export_of_a_part_and_into_what_is_not_empty(run: Callable[..., Done], place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--log", place, "--from", "1", "--where", "event = 'play'")
    assert run("export", "events", out, *options).out.split()[:4] == ["2", "records", "of", "events"]
    assert [row["offset"] for row in read_rows(out / "0.ndjson")] == [1, 3]
    done = run("export", "events", out, *options)
    assert (done.code, "is not empty: it holds 0.ndjson" in done.err) == (1, True)
    assert run("export", "events", tmp_path / "none", "--log", place, "--from", "latest").code == 0
    assert list((tmp_path / "none").iterdir()) == []


def test_export_that_fails_leaves_nothing(
    run: Callable[..., Done], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, rows: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headwater.cli.log.export._Ndjson.write", full)
    done = run("export", "events", tmp_path / "out", "--log", place)
    assert done.code == 1
    assert "No space left on device" in done.err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_record_is_said_and_nothing_behind_it_is_printed(run: Callable[..., Done], tmp_path: Path) -> None:
    place = tmp_path / "log"
    write(place, AppendGroup(batches=(batch("t", [record({"n": n, "pad": "x" * 50}, n) for n in range(100)]),)))
    segment = max((place / "s-0" / "segment").rglob("0*"), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = run("cat", "t", "--log", place)
    assert done.code == 1
    assert str(segment.relative_to(place)) in done.err or "s-0" in done.err
    assert "Traceback" not in done.err
