"""`headwater log` where it changes the log: create and append."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headwater.cli import main
from headwater.cli.log.settings_text import duration_text, size_text
from headwater.core.errors import AppendInDoubt, Overtaken, StorageFull
from headwater.log.interface import AppendGroup
from headwater.log.shard_writer import SharedWriter
from headwater.log.shared import LogSettings, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.template import write_project
from headwater.testing.log_conformance import batch

PROCESS = (sys.executable, "-c", "from headwater.cli.main import main; main()")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, place: str = "log") -> Done:
        code = main.run(["log", *map(str, arguments), "--log", place])
        captured = capfdbinary.readouterr()
        return Done(code, captured.out.decode(), captured.err.decode())

    return run


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def rows(run: Callable[..., Done], topic: str) -> list[Any]:
    return [json.loads(line) for line in run("cat", topic, "--json").out.splitlines()]


def test_a_line_becomes_a_record(run: Callable[..., Done], tmp_path: Path) -> None:
    events = [
        {"event_id": "e1", "event_time": 1769860800000, "user": {"id": "ann"}},
        {"event_id": 7, "event_time": "soon", "user": {"id": 12}},
        {"user": "bob"},
    ]
    (tmp_path / "in.ndjson").write_text(lines(*events).replace("\n", "\n\n") + "  ")
    done = run("append", "t", "in.ndjson", "--key", "user.id")
    assert (done.code, done.out) == (0, "appended 3 records to t\n  partition 0: offsets 0 to 2\n")
    found = rows(run, "t")
    assert [row["payload"] for row in found] == events
    assert [(row["key"], row["event_id"], row["event_time"]) for row in found] == [
        ("ann", "e1", 1769860800000),
        ("12", "7", None),
        ("", "", None),
    ]
    (tmp_path / "more.gz").write_bytes(gzip.compress(lines({"n": 1}).encode()))
    done = run("append", "t", "more.gz", "--json")
    assert json.loads(done.out) == {
        "topic": "t",
        "records": 1,
        "skipped": 0,
        "partitions": [{"partition": 0, "records": 1, "first_offset": 3, "next_offset": 4}],
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "line 2: no JSON object"),
        ('{"a":', "line 2: no JSON: Input data was truncated"),
        (json.dumps({"user": "u" * 600}), "line 2: its user is longer than 512 bytes"),
        (json.dumps({"event_id": "u" * 600}), "line 2: its event_id is longer than 512 bytes"),
        (json.dumps({"a": "x" * 1024 * 1024}), "line 2: it has 1,048,585 bytes"),
    ],
)
def test_at_a_line_that_cannot_be_a_record_it_stops(run: Callable[..., Done], tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "in").write_text(lines({"n": 1}) + line + "\n" + lines({"n": 3}))
    done = run("append", "t", "in", "--key", "user")
    assert done.code == 1
    assert said in done.err
    assert "appended 1 record to t" in done.err
    assert [row["payload"] for row in rows(run, "t")] == [{"n": 1}]


def test_a_named_input_goes_on_where_it_was(run: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "in").write_text(lines({"n": 1}, {"n": 2}) + "broken\n")
    assert run("append", "t", "in", "--id", "day-1").code == 1
    (tmp_path / "in").write_text(lines(*({"n": n} for n in range(1, 6))))
    done = run("append", "t", "in", "--id", "day-1")
    assert done.out.startswith("appended 3 records to t; the first 2 lines were there already")
    assert run("append", "t", "in", "--id", "day-1").out.startswith("appended 0 records")
    assert [row["payload"]["n"] for row in rows(run, "t")] == [1, 2, 3, 4, 5]
    assert run("append", "t", "in").out.startswith("appended 5 records")


@pytest.mark.parametrize("error", [Overtaken, AppendInDoubt])
@pytest.mark.parametrize("kept", [True, False])
def test_an_append_whose_answer_was_lost_is_there_once(
    run: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], kept: bool
) -> None:
    """Of every second append nobody learns whether it was kept."""
    append, calls = SharedWriter.append, []

    def lossy(self: SharedWriter, group: AppendGroup) -> tuple[int, ...]:
        calls.append(group)
        if len(calls) % 2:
            if kept:
                append(self, group)
            raise error("the answer was lost")
        return append(self, group)

    monkeypatch.setattr(SharedWriter, "append", lossy)
    monkeypatch.setattr("headwater.cli.log.append.APPEND_GATHER_BYTES_MAX", 1)
    (tmp_path / "in").write_text(lines(*({"n": n} for n in range(6))))
    done = run("append", "t", "in")
    assert (done.code, len(calls)) == (0, 12), done.err
    assert "offsets 0 to 5" in done.out
    assert [row["payload"]["n"] for row in rows(run, "t")] == [0, 1, 2, 3, 4, 5]


def test_a_full_disk_is_said_with_what_is_there(
    run: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = SharedWriter.append, []

    def full(self: SharedWriter, group: AppendGroup) -> tuple[int, ...]:
        calls.append(group)
        if len(calls) == 3:
            raise StorageFull("No space left on device")
        return append(self, group)

    monkeypatch.setattr("headwater.cli.log.append.APPEND_GATHER_BYTES_MAX", 1)
    (tmp_path / "in").write_text(lines(*({"n": n} for n in range(6))))
    with monkeypatch.context() as patched:
        patched.setattr(SharedWriter, "append", full)
        done = run("append", "t", "in", "--id", "x")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert "appended 2 records to t" in done.err
    assert run("append", "t", "in", "--id", "x").code == 0
    assert [row["payload"]["n"] for row in rows(run, "t")] == [0, 1, 2, 3, 4, 5]


def test_a_topic_with_several_partitions_is_divided_by_key(run: Callable[..., Done], tmp_path: Path) -> None:
    assert run("create", "t", "--partitions", "4").code == 0
    (tmp_path / "in").write_text(lines(*({"user": f"u{n % 20}", "n": n} for n in range(200))))
    assert run("append", "t", "in", "--key", "user").code == 0
    found = rows(run, "t")
    assert sorted(row["payload"]["n"] for row in found) == list(range(200))
    where: dict[str, set[int]] = {}
    for row in found:
        where.setdefault(row["key"], set()).add(row["partition"])
    assert all(len(partitions) == 1 for partitions in where.values())
    assert len({row["partition"] for row in found}) > 1
    done = run("append", "t", "in", "--partition", "4")
    assert (done.code, "valid are 0 to 3" in done.err) == (1, True)
    assert run("append", "t", "in", "--partition", "2").code == 0


def test_what_others_write_is_left_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text(lines({"n": 1}))
    write_project(tmp_path / "shop")
    for topic in ("app_events", "user_actions", "dead_letters"):
        assert main.run(["log", "append", topic, "in", "--project", "shop"]) == 1
        assert "not appended to by hand" in capfd.readouterr().err
    assert not (tmp_path / "shop" / "data").exists()
    assert main.run(["log", "append", "app_events", "in", "--project", "shop", "--partition", "9"]) == 0


def test_a_partition_of_another_shard_is_refused(run: Callable[..., Done], tmp_path: Path) -> None:
    log = open_log({"local": FolderStorage(tmp_path / "log")}, settings=LogSettings(follows=False))
    log.writer("etl-0").append(AppendGroup(batches=(batch("t", 0, 1),)))
    log.close()
    (tmp_path / "in").write_text(lines({"n": 1}))
    done = run("append", "t", "in")
    assert done.code == 1
    assert "t/0 is written by shard etl-0" in done.err
    done = run("append", "t", "in", "--partition", "0")
    assert (done.code, "belongs to shard etl-0" in done.err) == (1, True)
    assert run("append", "t", "in", "--partition", "1").code == 0
    assert [row["partition"] for row in rows(run, "t")] == [0, 1]


def test_a_log_of_several_sites_is_written_with_all_of_them(run: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "in").write_text(lines({"n": 1}))
    sites = ("--log", "b=b", "--log", "c=c")
    assert run("append", "t", "in", *sites, place="a=a").code == 0
    for command in (["append", "t", "in"], ["create", "t"]):
        done = run(*command, "--log", "c=c", place="a=a")
        assert done.code == 1
        assert "the log has the site b as well" in done.err
    assert run("append", "t", "in", *sites, place="a=a").code == 0


def test_two_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    def append(name: str) -> None:
        (tmp_path / name).write_text(lines(*({"from": name, "n": n} for n in range(50))))
        codes.append(subprocess.run((*PROCESS, "log", "append", "t", name, "--log", "log"), cwd=tmp_path, timeout=60).returncode)

    codes: list[int] = []
    threads = [threading.Thread(target=append, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    done = subprocess.run((*PROCESS, "log", "cat", "t", "--raw", "--log", "log"), cwd=tmp_path, capture_output=True, timeout=60)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for name in ("one", "two"):
        assert [row["n"] for row in found if row["from"] == name] == list(range(50))


def test_standard_input_is_appended_as_it_comes(run: Callable[..., Done], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        (*PROCESS, "log", "append", "t", "--log", "log"), cwd=tmp_path, stdin=reading, stdout=subprocess.PIPE, text=True
    ) as process:
        os.close(reading)
        os.write(writing, b'{"n":1}\n{"n"')
        until = time.monotonic() + 30
        while (done := run("cat", "t", "--raw")).code:
            assert time.monotonic() < until, done.err
        assert done.out == '{"n":1}\n'
        os.write(writing, b":2}")
        os.close(writing)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "appended 2 records to t\n  partition 0: offsets 0 to 1\n")
    assert run("cat", "t", "--raw").out == '{"n":1}\n{"n":2}\n'


def test_create_and_alter(run: Callable[..., Done]) -> None:
    done = run("create", "t", "--partitions", "4", "--retention", "7d", "--retention-bytes", "10GiB")
    assert (done.code, done.out) == (0, "t: 4 partitions, fsync, kept 7d and 10GiB a partition\n")
    assert run("create", "t", "--partitions", "4", "--retention", "7d", "--retention-bytes", "10GiB").code == 0
    done = run("create", "t", "--partitions", "5")
    assert done.code == 1
    assert "partitions is 4, not 5" in done.err
    assert "--alter" in done.err
    done = run("create", "t", "--alter", "--retention", "none", "--durability", "interval", "--interval", "1s", "--json")
    assert done.code == 0, done.err
    stored = json.loads(done.out)
    assert (stored["topic"], stored["partitions"], stored["retention_ms"], stored["retention_bytes"]) == ("t", 4, None, 10 << 30)
    assert (stored["durability"], stored["interval_ms"]) == ("interval", 1000)
    (listed,) = json.loads(run("topics", "--json").out)["topics"]
    assert listed["settings"]["interval_ms"] == 1000
    assert "4 partitions, interval every 1s, kept 10GiB a partition" in run("topics").out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--retention", "7"], 2, "--retention takes a number and one of ms, s, m, h, d, such as 7d, or none; got '7'"),
        (["--retention-bytes", "10GB"], 2, "such as 10GiB, or none; got '10GB'"),
        (["--retention", "0d"], 1, "cannot have retention_ms 0"),
        (["--partitions", "0"], 2, "--partitions"),
        (["--durability", "soon"], 2, "'fsync', 'interval', 'none'"),
        (["--interval", "none"], 2, "--interval"),
        (["--alter"], 2, "--alter changes nothing"),
        (["--alter", "--partitions", "3"], 1, "there is no topic t"),
    ],
)
def test_settings_that_no_topic_can_have(run: Callable[..., Done], options: list[str], code: int, said: str) -> None:
    done = run("create", "t", *options)
    assert (done.code, said in done.said) == (code, True), done.err


def test_durations_and_sizes() -> None:
    assert [duration_text(ms) for ms in (1, 1000, 90_000, 3_600_000, 86_400_000 * 30)] == ["1ms", "1s", "90s", "1h", "30d"]
    assert [size_text(size) for size in (1, 1025, 2048, 3 << 40)] == ["1B", "1025B", "2KiB", "3TiB"]
