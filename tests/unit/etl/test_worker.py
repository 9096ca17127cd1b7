"""The worker: each logged record once through the rules, over repeats, errors, restarts and changes of the rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from headwater.core import clock
from headwater.core.errors import LinkError, LogUnavailable
from headwater.etl import worker as worker_module
from headwater.etl.workers import Workers
from headwater.log.interface import AppendGroup
from headwater.log.shared import open_log
from headwater.log.stores.folder import FolderStorage
from headwater.rules import PhysicalRule
from headwater.testing.memory_log import MemoryLog, MemoryWriter


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


def work_off(worker: Workers) -> None:
    while worker.work():
        pass


def rows(stream: ModuleType, log: Any, dataset: str) -> list[Any]:
    return [msgspec.json.decode(record.payload) for record in stream.records_of(log, dataset)]


def check_balances(figures: dict[str, Any]) -> None:
    assert figures["read"] == figures["duplicates"] + figures["dead"] + figures["unique"]
    matched: dict[str, int] = {}
    for rule in figures["rules"].values():
        assert rule["in"] == rule["matched"] + rule["not_matched"] + rule["failed"]
        assert rule["not_matched"] >= rule["where_errors"] >= 0
        matched[rule["into"]] = matched.get(rule["into"], 0) + rule["matched"]
    assert {name: dataset["emitted"] for name, dataset in figures["datasets"].items()} == matched


def check_kernel(figures: dict[str, Any]) -> None:
    """Of one process from the log's beginning on: what the kernel counted is what was committed."""
    kernel, sums = figures["kernel"], {name: {"rows": 0, "bytes": 0} for name in figures["datasets"]}
    for name, rule in figures["rules"].items():
        counted = kernel["rules"].get(name, dict.fromkeys(("matched", "emitted", "failed", "where_errors", "bytes"), 0))
        for key in ("matched", "failed", "where_errors"):
            assert counted[key] == rule[key]
        assert counted["emitted"] == counted["matched"]
        sums[rule["into"]]["rows"] += counted["emitted"]
        sums[rule["into"]]["bytes"] += counted["bytes"]
    for name, expected in sums.items():
        assert kernel["datasets"].get(name, {"rows": 0, "bytes": 0}) == expected
    for counted in kernel["rules"].values():
        looked_at = counted["matched"] + counted["failed"] + counted["where_errors"]
        assert looked_at <= counted["evaluated"] <= kernel["events"] - kernel["rejects"]


def test_events_go_through_the_rules(stream: ModuleType, log: MemoryLog) -> None:
    stream.Source(log).report([stream.click(1), stream.click(100), stream.view("7"), {"event": "other", "event_id": "o"}])
    worker = stream.one_worker(log, stream.make_snapshot(number=5))
    work_off(worker)
    assert rows(stream, log, "clicks") == [{"id": "c1", "n": 1}, {"id": "c100", "n": 100}, {"id": "c100", "text": "big"}]
    assert rows(stream, log, "numbers") == [{"id": "v7", "number": 7}]
    record = stream.records_of(log, "clicks")[2]
    assert (record.origin, record.rule, record.snapshot, record.event_id, record.key, record.tier) == (
        ("app_events", 0, 1),
        "big_clicks",
        5,
        "c100",
        "k",
        1,
    )
    figures = worker.figures()
    assert (figures["read"], figures["unique"], figures["duplicates"], figures["dead"], figures["lag"]) == (4, 4, 0, 0, 0)
    assert figures["rules"]["big_clicks"] == {
        "into": "clicks",
        "running": True,
        "in": 4,
        "matched": 1,
        "not_matched": 3,
        "where_errors": 0,
        "failed": 0,
        "not_finite": 0,
    }
    check_balances(figures)
    check_kernel(figures)


def test_repeats_are_dropped_also_in_later_batches_and_after_a_restart(stream: ModuleType, log: MemoryLog) -> None:
    source = stream.Source(log)
    source.report([stream.click(1), stream.click(2), stream.click(1)])
    first = stream.one_worker(log, stream.make_snapshot())
    work_off(first)
    source.report([stream.click(2), stream.click(3)])
    work_off(first)
    log.writers["etl-0"].close()
    source.report([stream.click(1), stream.click(3), stream.click(4), stream.click(4)])
    second = stream.one_worker(log, stream.make_snapshot())
    work_off(second)
    assert [row["id"] for row in rows(stream, log, "clicks")] == ["c1", "c2", "c3", "c4"]
    figures = second.figures()
    assert (figures["read"], figures["unique"], figures["duplicates"]) == (9, 4, 5)
    check_balances(figures)


def test_a_failed_rule_gives_a_dead_letter_and_the_others_their_rows(stream: ModuleType, log: MemoryLog) -> None:
    sql = stream.RULES + "-- rule: all\nINSERT INTO everything SELECT * FROM app_events;"
    stream.Source(log).report([stream.view("x"), stream.view("8")])
    worker = stream.one_worker(log, stream.make_snapshot(sql))
    work_off(worker)
    assert rows(stream, log, "numbers") == [{"id": "v8", "number": 8}]
    assert len(rows(stream, log, "everything")) == 2
    (record,) = stream.records_of(log, "dead_letters", 1)
    assert (record.origin, record.rule, record.event_id) == (("app_events", 0, 0), "numbers", "vx")
    letter = msgspec.json.decode(record.payload)
    detail, raw = letter.pop("detail"), msgspec.json.decode(letter.pop("raw"))
    assert detail
    assert raw["properties"] == {"text": "x"}
    assert letter == {
        "reason": "rule_failed",
        "hop": "etl",
        "app": "demo",
        "event": "view",
        "rule": "numbers",
        "column": "number",
        "origin": {"topic": "app_events", "partition": 0, "offset": 0},
        "received_time": 1_760_000_000_001,
    }
    assert worker.figures()["rules"]["numbers"]["failed"] == 1
    check_balances(worker.figures())
    check_kernel(worker.figures())


def test_what_is_no_json_object_is_a_dead_letter_of_this_hop(stream: ModuleType, log: MemoryLog) -> None:
    source = stream.Source(log)
    source.log_payloads(
        [("a", b'{"event":"click"'), ("b", b"[1]"), ("c", b'{"event":"click","event_id":"c"}'), ("d", b'{"a":"\xff"}')]
    )
    worker = stream.one_worker(log, stream.make_snapshot())
    work_off(worker)
    letters = [msgspec.json.decode(record.payload) for record in stream.records_of(log, "dead_letters", 1)]
    assert [letter["origin"]["offset"] for letter in letters] == [0, 1, 3]
    assert letters[0]["raw"] == '{"event":"click"'
    assert "raw_base64" in letters[2]
    assert len(rows(stream, log, "clicks")) == 1
    figures = worker.figures()
    assert (figures["read"], figures["unique"], figures["dead"]) == (4, 1, 3)
    check_balances(figures)


def test_it_runs_without_rules(stream: ModuleType, log: MemoryLog) -> None:
    stream.Source(log).report([stream.click(1), stream.click(1)])
    worker = stream.one_worker(log, stream.make_snapshot(""))
    work_off(worker)
    figures = worker.figures()
    assert (figures["read"], figures["unique"], figures["duplicates"], figures["rules"]) == (2, 1, 1, {})
    assert log.committed("etl", "app_events", 0) == 2


def test_rules_change_between_batches(stream: ModuleType, log: MemoryLog) -> None:
    source = stream.Source(log)
    worker = stream.one_worker(log, stream.make_snapshot())
    source.report([stream.click(1), stream.click(2)])
    work_off(worker)
    new = "-- rule: clicks\nINSERT INTO taps SELECT event_id AS tap FROM app_events WHERE event = 'click';"
    worker.swap(stream.make_snapshot(new, number=2))
    source.report([stream.click(3)])
    work_off(worker)
    assert rows(stream, log, "taps") == [{"tap": "c3"}]
    assert [row["id"] for row in rows(stream, log, "clicks")] == ["c1", "c2"]
    figures = worker.figures()
    assert figures["snapshot"] == 2
    assert (figures["rules"]["clicks"]["in"], figures["rules"]["clicks"]["matched"]) == (3, 3)
    # What the kernel counted goes on over other programs.
    kernel = figures["kernel"]
    assert (kernel["events"], kernel["rules"]["clicks"]["emitted"]) == (3, 3)
    assert {name: written["rows"] for name, written in kernel["datasets"].items()} == {"clicks": 2, "numbers": 0, "taps": 1}
    assert (figures["rules"]["numbers"]["running"], figures["rules"]["numbers"]["in"]) == (False, 2)
    assert figures["datasets"] == {
        "clicks": {"matched": 2, "emitted": 2},
        "numbers": {"matched": 0, "emitted": 0},
        "taps": {"matched": 1, "emitted": 1},
    }
    log.writers["etl-0"].close()
    worker = stream.one_worker(log, stream.make_snapshot(number=3))
    source.report([stream.click(4)])
    work_off(worker)
    again = worker.figures()
    assert again["rules"]["clicks"]["in"] == 4
    assert again["rules"]["numbers"]["in"] == 3
    assert again["datasets"]["taps"] == {"matched": 1, "emitted": 1}


def test_a_snapshot_that_does_not_link_leaves_the_old_one_running(stream: ModuleType, log: MemoryLog) -> None:
    source = stream.Source(log)
    worker = stream.one_worker(log, stream.make_snapshot())
    broken = stream.make_snapshot(number=2)
    unknown = broken.rules[0].canonical().replace(b'"format":1', b'"format":99')
    broken = msgspec.structs.replace(broken, rules=(PhysicalRule.from_canonical(unknown), *broken.rules[1:]))
    with pytest.raises(LinkError, match="snapshot 2 does not link"):
        worker.swap(broken)
    source.report([stream.click(1)])
    work_off(worker)
    assert len(rows(stream, log, "clicks")) == 1
    figures = worker.figures()
    assert figures["snapshot"] == 1
    assert "snapshot 2 does not link" in figures["errors"][0]
    worker.swap(stream.make_snapshot(number=3))
    work_off(worker)
    assert (worker.figures()["snapshot"], worker.figures()["errors"]) == (3, [])
    with pytest.raises(LinkError):
        stream.one_worker(MemoryLog(), broken)


def test_a_name_that_is_a_source_and_a_dataset_over_time_is_refused(stream: ModuleType, log: MemoryLog) -> None:
    stream.Source(log).report([stream.click(1)])
    worker = stream.one_worker(log, stream.make_snapshot())
    work_off(worker)
    log.writers["etl-0"].close()
    was_written = msgspec.structs.replace(stream.make_snapshot("", number=2), source="clicks")
    with pytest.raises(LinkError, match="its source 'clicks' is a dataset that rules wrote before"):
        stream.one_worker(log, was_written)
    into = tuple(rule.but(source="taps", into="app_events") for rule in stream.make_snapshot().rules)
    was_read = msgspec.structs.replace(was_written, source="taps", rules=into)
    with pytest.raises(LinkError, match="'clicks' writes into 'app_events', which was a source before"):
        stream.one_worker(log, was_read)
    worker = stream.one_worker(log, stream.make_snapshot(number=3))
    with pytest.raises(LinkError):
        worker.swap(was_read)
    assert "was a source before" in worker.figures()["errors"][0]


def fail_appends(monkeypatch: pytest.MonkeyPatch, times: int) -> list[AppendGroup]:
    """The next appends of the worker fail; gives the groups that were refused."""
    refused: list[AppendGroup] = []
    append = MemoryWriter.append

    def failing(self: MemoryWriter, group: AppendGroup) -> tuple[int, ...]:
        if any(commit.group == "etl" for commit in group.commits) and len(refused) < times:
            refused.append(group)
            raise LogUnavailable("no space left on device")
        return append(self, group)

    monkeypatch.setattr(MemoryWriter, "append", failing)
    return refused


def test_an_append_that_fails_is_tried_again_and_nothing_is_a_repeat(
    stream: ModuleType, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = fail_appends(monkeypatch, 3)
    stream.Source(log).report([stream.click(1), stream.click(2), stream.click(1)])
    worker = stream.one_worker(log, stream.make_snapshot())
    for _ in range(3):
        with pytest.raises(LogUnavailable):
            worker.work()
    work_off(worker)
    assert len(refused) == 3
    assert [row["id"] for row in rows(stream, log, "clicks")] == ["c1", "c2"]
    check_balances(worker.figures())
    assert (worker.figures()["unique"], worker.figures()["duplicates"]) == (2, 1)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = clock.monotonic_s() + seconds
    while not condition():
        assert clock.monotonic_s() < end, "it never happened"
        time.sleep(0.01)


def test_the_thread_retries_says_why_sleeps_and_drains(
    stream: ModuleType, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_appends(monkeypatch, 2)
    source = stream.Source(log)
    worker = stream.one_worker(log, stream.make_snapshot())
    thread = threading.Thread(target=worker.run)
    thread.start()
    source.report([stream.click(1)])
    until(lambda: worker.figures()["errors"] == ["no space left on device"])
    until(lambda: worker.figures()["lag"] == 0)
    until(lambda: worker.figures()["errors"] == [])
    for number in range(2, 60):
        source.report([stream.click(number)])
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert len(rows(stream, log, "clicks")) == 59


def test_outputs_too_large_for_one_group_are_made_from_smaller_batches(
    stream: ModuleType, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "WORKER_OUTPUT_BYTES_MAX", 2000)
    stream.Source(log).report([*(stream.click(number) for number in range(100)), stream.click(1)])
    worker = stream.one_worker(log, stream.make_snapshot())
    work_off(worker)
    assert [row["id"] for row in rows(stream, log, "clicks")] == [f"c{number}" for number in range(100)]
    figures = worker.figures()
    assert (figures["read"], figures["unique"], figures["duplicates"]) == (101, 100, 1)
    check_balances(figures)


def test_one_event_whose_outputs_are_too_large_is_a_dead_letter_and_holds_nobody_up(
    stream: ModuleType, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "WORKER_OUTPUT_BYTES_MAX", 2000)
    large = stream.click(1, "c" * 3000)
    stream.Source(log).report([stream.click(0), large, stream.click(2)])
    worker = stream.one_worker(log, stream.make_snapshot())
    work_off(worker)
    assert [row["id"] for row in rows(stream, log, "clicks")] == ["c0", "c2"]
    (letter,) = [msgspec.json.decode(record.payload) for record in stream.records_of(log, "dead_letters", 1)]
    assert (letter["reason"], letter["origin"]["offset"]) == ("outputs_too_large", 1)
    assert letter["detail"].endswith("bytes together")
    figures = worker.figures()
    assert (figures["read"], figures["unique"], figures["dead"]) == (3, 2, 1)
    check_balances(figures)
    check_kernel(figures)


def test_figures_and_offsets_survive_a_restart_of_a_log_on_disk(stream: ModuleType, tmp_path: Path) -> None:
    figures = None
    for start in range(0, 300, 100):
        log = open_log({"local": FolderStorage(tmp_path / "log")})
        source = stream.Source(log)
        worker = stream.one_worker(log, stream.make_snapshot())
        if figures is not None:
            # What the kernel counts is of one process.
            assert worker.figures() | {"kernel": None} == figures | {"kernel": None}
        source.report(stream.click(number) for number in range(start, start + 110))
        source.report([stream.view(f"x{start}"), stream.view("1")])
        work_off(worker)
        figures = worker.figures()
        check_balances(figures)
        log.close()
    assert figures is not None
    assert (figures["read"], figures["unique"], figures["duplicates"]) == (336, 314, 22)
    log = open_log({"local": FolderStorage(tmp_path / "log")})
    ids = [row["id"] for row in rows(stream, log, "clicks") if "text" not in row]
    assert ids == [f"c{number}" for number in range(310)]
    log.close()
