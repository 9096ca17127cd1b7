"""The log's benchmark: which figures there are, that they are of what they say, and that a stall counts for all who meet it."""

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import log
import log_load
import log_partitions
import open_loop
import pytest

from headwater.core.record import decode_all
from headwater.log.interface import Fetch
from headwater.testing.memory_log import MemoryLog


class Stepped:
    """A clock that goes on only where somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_a_stall_counts_for_every_append_that_was_due_meanwhile() -> None:
    time = Stepped()
    taken = open_loop.run(
        lambda number: time.pass_by(0.1 if number == 3 else 0.001), 20, 0.01, threads=1, clock=time.clock, sleep=time.pass_by
    )
    assert taken.done[:4] == pytest.approx([1, 1, 1, 100])
    assert taken.done[4:9] == pytest.approx([91, 82, 73, 64, 55])
    assert taken.started_late[4:6] == pytest.approx([90, 81])
    assert taken.done[15:] == pytest.approx([1] * 5)
    figures = taken.figures(events_an_append=50)
    assert (figures["p50_ms"], figures["max_ms"], figures["appends"]) == (10, 100, 20)
    assert figures["events_per_second"] == 50 / 0.01


def test_what_an_append_raises_is_raised() -> None:
    def append(number: int) -> None:
        if number == 2:
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        open_loop.run(append, 5, 0.0, threads=2)


def test_percentiles_are_values_by_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [open_loop.percentile(values, part) for part in (0.5, 0.99, 0.999, 1.0)] == [50, 99, 100, 100]
    assert open_loop.percentile([7.0], 0.5) == 7


def test_batches_hold_every_record_once_and_no_more_bytes_than_asked() -> None:
    load = log_load.load(500, 64 * 1024)
    assert all(len(batch.data) <= 64 * 1024 for batch in load.batches)
    assert sum(batch.count for batch in load.batches) == load.events == 500
    read = [record for batch in load.batches for record in decode_all(batch.data)]
    assert [record.payload for record in read] == list(log_load.workload.events(500, log_load.SEED))
    assert load.event_bytes == sum(len(record.payload) for record in read)


def test_records_are_spread_by_their_keys() -> None:
    groups = log_load.spread(300, 100, 40)
    assert [sum(batch.count for batch in group.batches) for group in groups] == [100, 100, 100]
    for batch in (batch for group in groups for batch in group.batches):
        assert {zlib.crc32(record.key.encode()) % 40 for record in decode_all(batch.data)} == {batch.partition}
    assert len({batch.partition for group in groups for batch in group.batches}) == 40


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path, *more: str) -> str:
    monkeypatch.setattr(sys, "argv", ["log.py", "--quick", "--directory", str(directory), *more])
    log.main()
    return capsys.readouterr().out


def test_what_is_measured_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(printed(monkeypatch, capsys, tmp_path, "--json"))
    cpu = found["cpu"]
    for name, beside in (("append", "compress"), ("append, 8 threads", "compress, 8 threads"), ("read", "decompress")):
        assert cpu[name]["of_bare_zstd"] == pytest.approx(cpu[name]["ns_per_event"] / cpu[beside]["ns_per_event"], abs=0.02)
        assert cpu[name]["fastest"] <= cpu[name]["ns_per_event"] <= cpu[name]["slowest"]
    # A log that stores compressed blocks stores about as much as bare zstd, with headers besides.
    assert 0.9 * cpu["compress"]["disk_fraction"] < cpu["append"]["disk_fraction"] < 0.3
    assert cpu["append"]["disk_fraction_of_events"] > cpu["append"]["disk_fraction"]
    latency, partitions, disk = found["latency"], found["partitions"], found["disk"]
    assert disk["writes"] >= 1
    assert 0 < disk["p50_ms"] <= disk["p99_ms"] <= disk["max_ms"]
    assert latency["appends"] == 20
    assert 0 < latency["p50_ms"] <= latency["p99_ms"] <= latency["max_ms"]
    assert (partitions["partitions"], partitions["read_fraction"]) == (200, 1.0)
    assert partitions["batches_per_append"] > 70
    assert 0 < partitions["memory_before_mib"] <= partitions["memory_max_mib"] < 1024
    assert not list(tmp_path.iterdir()), "what was written is not removed"


def test_the_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = printed(monkeypatch, capsys, tmp_path, "--parts", "cpu", "latency")
    rows = [line.split("  ")[0] for line in text.splitlines()]
    assert rows[4:10] == ["compress", "append", "compress, 8 threads", "append, 8 threads", "decompress", "read"]
    assert "p99 ms" in rows
    assert "partitions" not in rows


class Forgetful(MemoryLog):
    """Loses the last byte of everything read."""

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        fetch = super().read(topic, partition, offset, bytes_max)
        return Fetch(data=fetch.data[:-1], first_offset=fetch.first_offset, next_offset=fetch.next_offset)


def test_a_log_that_gives_other_bytes_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(log_load.LOGS, "local", lambda _path: Forgetful())
    with pytest.raises(AssertionError, match="other bytes"):
        printed(monkeypatch, capsys, tmp_path, "--parts", "cpu")
    monkeypatch.setattr(sys, "argv", [
        "log_partitions.py", "--directory", str(tmp_path), "--rate", "1000", "--seconds", "0.2", "--events", "200",
        "--group-events", "100", "--partitions", "10", "--threads", "2",
    ])  # fmt: skip
    with pytest.raises(AssertionError):
        log_partitions.main()


def test_memory_is_that_of_the_process_itself() -> None:
    """Not of the larger one that started it."""
    ballast = bytearray(b"x" * (128 << 20))
    program = f"import sys; sys.path[:0] = {[str(Path(log.__file__).parent)]}; import log_load; print(log_load.memory_mib()[1])"
    found = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert float(found) < len(ballast) / 2**20
