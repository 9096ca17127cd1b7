"""Workers of several key classes: shared between processes, moved from one to the other, taken away."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from headwater.core import clock
from headwater.core.errors import AppendInDoubt, Overtaken
from headwater.core.record import Record, encode
from headwater.etl.figures import total
from headwater.etl.linked import Linked
from headwater.etl.workers import Workers
from headwater.kernel import split_by_class
from headwater.log.interface import AppendGroup, Batch
from headwater.testing.memory_log import MemoryLog, MemoryWriter

CLASSES = 4


class TakeOverWriter:
    """Appends as long as nobody opened the shard after it."""

    def __init__(self, log: TakeOverLog, shard: str, writer: MemoryWriter) -> None:
        self.log, self.shard, self.writer = log, shard, writer
        self.closed = False

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        if self.log.holders[self.shard] is not self:
            raise Overtaken(f"shard {self.shard} is written by another process")
        if self.log.in_doubt.pop(self.shard, False):
            self.writer.append(group)
            raise AppendInDoubt("too few sites answered")
        return self.writer.append(group)

    def close(self) -> None:
        self.closed = True


class TakeOverLog(MemoryLog):
    """A log whose shards can be taken over, as several processes do."""

    def __init__(self) -> None:
        super().__init__()
        self.holders: dict[str, TakeOverWriter] = {}
        self.in_doubt: dict[str, bool] = {}

    def writer(self, shard: str) -> Any:
        inner = self.writers[shard] if shard in self.writers else super().writer(shard)
        self.holders[shard] = TakeOverWriter(self, shard, inner)
        return self.holders[shard]


class Collectors:
    """Several collectors of one log, which append what they are given to partitions of their own."""

    def __init__(self, log: MemoryLog, source: str) -> None:
        self._log, self._source = log, source

    def report(self, collector: int, events: Iterable[dict[str, Any]]) -> None:
        records = [
            encode(
                Record(
                    payload=json.dumps({"app": "demo", **event}).encode(),
                    key=event["event_id"][-2:],
                    received_time=1_760_000_000_000,
                    event_id=event["event_id"],
                )
            )
            for event in events
        ]
        parts = split_by_class(b"".join(records), CLASSES)
        batches = [Batch(self._source, collector * CLASSES + number, data, count) for number, count, data in parts]
        self._log.writer(f"collect-{collector}").append(AppendGroup(batches=tuple(batches)))


@pytest.fixture
def log() -> TakeOverLog:
    return TakeOverLog()


@pytest.fixture
def collectors(stream: ModuleType, log: TakeOverLog) -> Collectors:
    return Collectors(log, stream.SOURCE)


def clicked(stream: ModuleType, log: MemoryLog) -> Counter[str]:
    """How often each id is in the output."""
    records = [record for number in log.partitions("clicks") for record in stream.records_of(log, "clicks", number)]
    return Counter(msgspec.json.decode(record.payload)["id"] for record in records)


def clicks(stream: ModuleType, first: int, last: int) -> list[dict[str, Any]]:
    return [stream.click(n % 50, f"c{n:04}") for n in range(first, last)]


def once(first: int, last: int) -> dict[str, int]:
    return {f"c{n:04}": 1 for n in range(first, last)}


def work_off(*several: Workers) -> None:
    while sum(workers.work() for workers in several):
        pass


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = clock.monotonic_s() + seconds
    while not condition():
        assert clock.monotonic_s() < end, "it never happened"
        time.sleep(0.01)


def make(log: MemoryLog, stream: ModuleType, *numbers: int) -> Workers:
    workers = Workers(log, stream.make_snapshot(), CLASSES)
    workers.assign(numbers)
    return workers


def test_each_class_has_its_partitions_and_repeats_through_another_collector_are_dropped(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors
) -> None:
    collectors.report(0, clicks(stream, 0, 300))
    collectors.report(2, clicks(stream, 200, 400))
    workers = make(log, stream, *range(CLASSES))
    work_off(workers)
    assert clicked(stream, log) == once(0, 400)
    assert log.partitions("clicks") == tuple(range(CLASSES))
    for number in range(CLASSES):
        for record in stream.records_of(log, "clicks", number):
            assert record.origin[1] % CLASSES == number
        assert log.state(f"etl/{number}/deduplication") is not None
    figures = workers.figures()
    assert (figures["read"], figures["unique"], figures["duplicates"], figures["lag"]) == (500, 400, 100, 0)
    assert figures["rules"]["clicks"]["in"] == 400
    assert figures["datasets"]["clicks"] == {"matched": 400, "emitted": 400}
    assert figures["kernel"]["events"] == 400
    assert figures["classes"] == list(range(CLASSES))


def test_dead_letters_of_a_class_have_a_partition_beside_those_of_the_collectors(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors
) -> None:
    collectors.report(0, [{"event": "view", "event_id": f"v{n:04}", "properties": {"text": "x"}} for n in range(100)])
    work_off(make(log, stream, *range(CLASSES)))
    assert log.partitions("dead_letters") == tuple(2 * number + 1 for number in range(CLASSES))


def test_a_class_moves_with_its_window_and_its_figures(stream: ModuleType, log: TakeOverLog, collectors: Collectors) -> None:
    first, second = make(log, stream, 0, 1, 2, 3), make(log, stream)
    collectors.report(0, clicks(stream, 0, 200))
    work_off(first)
    first.revoke([1, 2])
    assert (log.holders["etl-1"].closed, log.holders["etl-0"].closed) == (True, False)
    second.assign([1, 2])
    collectors.report(1, clicks(stream, 100, 300))
    work_off(first, second)
    assert clicked(stream, log) == once(0, 300)
    assert (first.owned, second.owned) == ({0, 3}, {1, 2})
    both = total([first.figures(), second.figures()])
    assert (both["read"], both["unique"], both["duplicates"]) == (400, 300, 100)


class Behind:
    """A log as a process sees it that has not read all of the others' shards yet."""

    def __init__(self, log: TakeOverLog, source: str) -> None:
        self._log, self._source = log, source
        self.end: int | None = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def end_offset(self, topic: str, partition: int) -> int:
        end = self._log.end_offset(topic, partition)
        return end if self.end is None or topic != self._source else min(end, self.end)


@pytest.mark.parametrize("seen", [0, 5])
def test_who_takes_a_class_waits_until_it_sees_what_was_read_before(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors, seen: int
) -> None:
    first = make(log, stream, 0, 1, 2, 3)
    collectors.report(0, clicks(stream, 0, 200))
    work_off(first)
    first.revoke(range(CLASSES))
    view: Any = Behind(log, stream.SOURCE)
    view.end = seen
    second = make(view, stream, *range(CLASSES))
    assert not second.work()
    assert (second.figures()["lag"], second.figures()["unique"]) == (0, 200)
    collectors.report(1, clicks(stream, 100, 300))
    assert not second.work(), "nothing is done without the window"
    view.end = None
    work_off(second)
    assert clicked(stream, log) == once(0, 300)


def test_whose_shard_was_taken_rests_until_the_class_is_assigned_again(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors
) -> None:
    first, second = make(log, stream, 0, 1, 2, 3), make(log, stream, 2)
    first.open()
    second.open()
    collectors.report(0, clicks(stream, 0, 200))
    with pytest.raises(Overtaken):
        work_off(first)
    thread = threading.Thread(target=first.run)
    thread.start()
    until(lambda: first.figures()["lag"] == second.figures()["lag"] > 0)
    work_off(second)
    assert clicked(stream, log) == once(0, 200)
    first.assign([2])
    collectors.report(1, clicks(stream, 150, 300))
    until(lambda: first.figures()["lag"] == 0)
    first.stop()
    thread.join(10)
    collectors.report(1, clicks(stream, 0, 310))
    with pytest.raises(Overtaken):
        work_off(second)
    assert clicked(stream, log) == once(0, 300)


def test_a_batch_that_was_in_doubt_is_not_done_again_where_it_is_there(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors
) -> None:
    workers = make(log, stream, *range(CLASSES))
    log.in_doubt["etl-1"] = True
    collectors.report(0, clicks(stream, 0, 100))
    with pytest.raises(AppendInDoubt):
        work_off(workers)
    workers.assign([1])
    work_off(workers)
    assert clicked(stream, log) == once(0, 100)
    assert workers.figures()["unique"] == 100


def test_threads_share_the_classes_and_say_what_holds_one_up(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    log.in_doubt["etl-3"] = True
    workers = make(log, stream, *range(CLASSES))
    thread = threading.Thread(target=workers.run)
    thread.start()
    for first in range(0, 3000, 100):
        collectors.report(first // 100 % 3, clicks(stream, first, first + 110))
    until(lambda: workers.figures()["errors"] == ["too few sites answered"])
    workers.assign([3])
    until(lambda: workers.figures()["lag"] == 0)
    until(lambda: workers.figures()["errors"] == [])
    collectors.report(0, clicks(stream, 3010, 3100))
    workers.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert clicked(stream, log) == once(0, 3100)
    assert all(writer.closed for shard, writer in log.holders.items() if shard.startswith("etl"))


def test_one_that_leaves_does_not_drain(stream: ModuleType, log: TakeOverLog, collectors: Collectors) -> None:
    collectors.report(0, clicks(stream, 0, 100))
    workers = make(log, stream, *range(CLASSES))
    workers.stop(drain=False)
    workers.run()
    assert clicked(stream, log) == {}
    assert workers.owned == frozenset()


def test_a_program_ends_when_no_class_runs_it_any_more(
    stream: ModuleType, log: TakeOverLog, collectors: Collectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(Linked, "close", lambda self, _successor: closed.append(self.snapshot.number))
    monkeypatch.setattr("headwater.etl.linked._functions", lambda *_: object())
    workers = make(log, stream, 0, 1)
    workers.open()
    workers.swap(stream.make_snapshot(number=2))
    workers.swap(stream.make_snapshot(number=3))
    assert closed == [2]
    workers.revoke([0])
    collectors.report(0, clicks(stream, 0, 100))
    work_off(workers)
    assert closed == [2, 1]


def test_a_class_that_there_is_not_is_refused(stream: ModuleType, log: TakeOverLog) -> None:
    with pytest.raises(ValueError, match="there is no key class 4; there are 4, from 0 on"):
        make(log, stream, 4)


def test_the_sum_over_classes_knows_rules_that_only_some_have() -> None:
    old = {"into": "a", "running": False, "in": 5, "matched": 2}
    new = {"into": "b", "running": True, "in": 7, "matched": 3}
    empty: dict[str, Any] = {"read": 1, "duplicates": 0, "dead": 0, "unique": 1, "datasets": {}}
    for views in (({"r": old}, {"r": new}), ({"r": new}, {"r": old})):
        summed = total([{**empty, "rules": rules} for rules in views])
        assert summed["rules"] == {"r": {"into": "b", "running": True, "in": 12, "matched": 5}}
    assert total([])["read"] == 0
