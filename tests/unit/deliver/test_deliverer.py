"""The deliverer over a log in memory: every dataset once in its sink, whatever fails in between."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.core import clock
from headwater.core.errors import SinkError
from headwater.core.record import Record, encode
from headwater.deliver import Deliverer, NdjsonSink, SinkBatch
from headwater.log.interface import AppendGroup, Batch
from headwater.testing.memory_log import MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


def append(log: MemoryLog, shard: str, topic: str, numbers: range, partition: int = 0, received_time: int = 0) -> None:
    data = b"".join(encode(Record(payload=b'{"n":%d}' % n, received_time=received_time)) for n in numbers)
    writer = log.writers.get(shard) or log.writer(shard)
    writer.append(AppendGroup(batches=(Batch(topic, partition, data, len(numbers)),)))


def deliverer(log: MemoryLog, tmp_path: Path, **changes: Any) -> Deliverer:
    return Deliverer(log, tmp_path / "out", tmp_path / "data" / "sinks.json", lambda: ("app_events",), **changes)


def numbers(tmp_path: Path, topic: str) -> list[int]:
    text = b"".join(path.read_bytes() for path in sorted((tmp_path / "out" / topic).glob("*.ndjson")))
    return [int(line[5:-1]) for line in text.splitlines()]


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = clock.monotonic_s() + seconds
    while not condition():
        assert clock.monotonic_s() < end, "it never happened"
        time.sleep(0.01)


def test_every_dataset_comes_out_and_sources_do_not(log: MemoryLog, tmp_path: Path) -> None:
    append(log, "collect-0", "app_events", range(5))
    append(log, "collect-0", "dead_letters", range(2), partition=0)
    append(log, "etl-0", "dead_letters", range(2, 5), partition=1)
    append(log, "etl-0", "clicks", range(10))
    delivery = deliverer(log, tmp_path)
    assert delivery.deliver()
    assert not delivery.deliver()
    assert numbers(tmp_path, "clicks") == list(range(10))
    assert numbers(tmp_path, "dead_letters") == list(range(5))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clicks", "dead_letters"]
    append(log, "etl-0", "views", range(3))
    append(log, "etl-0", "clicks", range(10, 12))
    assert deliverer(log, tmp_path).figures() == {}
    assert delivery.figures()["clicks"] == {"read": 10, "written": 10, "lag": 2, "error": None}
    assert delivery.deliver()
    assert numbers(tmp_path, "views") == [0, 1, 2]
    assert delivery.figures()["clicks"] == {"read": 12, "written": 12, "lag": 0, "error": None}


def test_it_goes_on_where_it_was(log: MemoryLog, tmp_path: Path) -> None:
    append(log, "etl-0", "clicks", range(3))
    assert deliverer(log, tmp_path).deliver()
    append(log, "etl-0", "clicks", range(3, 6))
    again = deliverer(log, tmp_path)
    assert again.deliver()
    assert numbers(tmp_path, "clicks") == list(range(6))
    assert again.figures()["clicks"]["written"] == 6


def test_what_it_wrote_but_never_saved_is_written_once(log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, "etl-0", "clicks", range(3))
    delivery = deliverer(log, tmp_path)
    assert delivery.deliver()
    append(log, "etl-0", "clicks", range(3, 6))
    with monkeypatch.context() as patch:
        patch.setattr("headwater.deliver.checkpoints.replace_file", _no_space)
        assert not delivery.deliver()
    assert numbers(tmp_path, "clicks") == list(range(6))
    assert "No space left" in delivery.figures()["clicks"]["error"]
    until(delivery.deliver)
    assert numbers(tmp_path, "clicks") == list(range(6))
    assert delivery.figures()["clicks"] == {"read": 6, "written": 6, "lag": 0, "error": None}


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullDisk(NdjsonSink):
    """Writes half of a batch and fails, for as long as `full` says, for the dataset `clicks`."""

    full = False

    def write(self, batch: SinkBatch) -> int:
        rows = super().write(batch)
        if FullDisk.full and self.directory.name == "clicks":
            assert self._descriptor is not None
            os.ftruncate(self._descriptor, 4)
            raise SinkError("no space left on device")
        return rows


def test_a_full_disk_holds_up_one_sink_and_loses_nothing(log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FullDisk, "full", True)
    append(log, "etl-0", "clicks", range(4))
    append(log, "etl-0", "views", range(4))
    delivery = deliverer(log, tmp_path, make_sink=FullDisk)
    assert delivery.deliver()
    assert delivery.figures()["views"] == {"read": 4, "written": 4, "lag": 0, "error": None}
    assert delivery.figures()["clicks"] == {"read": 0, "written": 0, "lag": 4, "error": "no space left on device"}
    assert not delivery.deliver(), "it pauses before it tries again"
    FullDisk.full = False
    until(delivery.deliver)
    assert delivery.figures()["clicks"] == {"read": 4, "written": 4, "lag": 0, "error": None}
    assert numbers(tmp_path, "clicks") == numbers(tmp_path, "views") == list(range(4))


def test_the_thread_sleeps_wakes_and_drains(log: MemoryLog, tmp_path: Path) -> None:
    delivery = deliverer(log, tmp_path)
    thread = threading.Thread(target=delivery.run)
    thread.start()
    append(log, "etl-0", "clicks", range(2), received_time=clock.now_ms())
    until(lambda: delivery.figures().get("clicks", {}).get("written") == 2)
    append(log, "etl-0", "clicks", range(2, 40))
    delivery.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert numbers(tmp_path, "clicks") == list(range(40))


def test_delays_are_counted_from_the_collectors_stamp(log: MemoryLog, tmp_path: Path) -> None:
    delivery = deliverer(log, tmp_path)
    assert delivery.delays() == {"p50": None, "p99": None}
    append(log, "etl-0", "clicks", range(97), received_time=clock.now_ms() - 1000)
    append(log, "etl-0", "clicks", range(3), received_time=clock.now_ms() - 60_000)
    assert delivery.deliver()
    delays = delivery.delays()
    assert delays["p50"] is not None
    assert delays["p99"] is not None
    assert 1000 <= delays["p50"] < 20_000
    assert 60_000 <= delays["p99"] < 80_000


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"format":1,"sinks":{"a":', "is damaged"), (b'{"format":7,"sinks":{}}', "has format 7; this Headwater reads format 1")],
)
def test_checkpoints_that_cannot_be_read_are_said(log: MemoryLog, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sinks.json").write_bytes(content)
    with pytest.raises(SinkError, match=message):
        deliverer(log, tmp_path)
