"""One topic of many partitions, appended at a steady rate and read meanwhile by one thread that takes them all.

`log.py` runs it as a process of its own, for the memory: what is printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import log_load
import open_loop

from headwater.log.interface import Log

_READ_BYTES = 8 * 1024 * 1024


class Reader(threading.Thread):
    """Reads all partitions on from where they were, until `finish` and nothing is left, or the time is over."""

    def __init__(self, log: Log, partitions: int, drain_seconds: float) -> None:
        super().__init__(name="reader")
        self.events = self.bytes = self.reads = 0
        self.cpu_seconds = self.seconds = 0.0
        self.error: BaseException | None = None
        self._log = log
        self._offsets = dict.fromkeys(range(partitions), 0)
        self._drain_seconds = drain_seconds
        self._ends_at: float | None = None

    def finish(self) -> None:
        """Nothing is appended any more."""
        self._ends_at = time.perf_counter() + self._drain_seconds
        self.join()
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        start = time.perf_counter()
        try:
            while self._round():
                continue
        except BaseException as e:
            self.error = e
        self.seconds, self.cpu_seconds = time.perf_counter() - start, time.thread_time()

    def _round(self) -> bool:
        """One read of them all; False where the time is over."""
        # Only a round that begins after the last append can find that nothing is left.
        ends_at = self._ends_at
        if ends_at is not None and time.perf_counter() > ends_at:
            return False
        fetches = self._log.read_many(log_load.TOPIC, self._offsets, _READ_BYTES)
        self.reads += bool(fetches)
        for partition, fetch in fetches.items():
            self.events += fetch.next_offset - fetch.first_offset
            self.bytes += len(fetch.data)
            self._offsets[partition] = fetch.next_offset
        if not fetches:
            self._log.wait(0.05)
        return bool(fetches) or ends_at is None


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All figures. Raises AssertionError where what was read is not what was appended."""
    groups = log_load.spread(given.events, given.group_events, given.partitions)
    sizes = [sum(len(batch.data) for batch in group.batches) for group in groups]
    arrivals = max(round(given.seconds * given.rate / given.group_events), 1)
    before, _ = log_load.memory_mib()
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        log = log_load.LOGS[given.log](Path(name))
        try:
            writer = log.writer(log_load.SHARD)
            reader = Reader(log, given.partitions, given.drain_seconds)
            cpu = time.process_time()
            reader.start()
            try:
                interval_s = given.group_events / given.rate
                latencies = open_loop.run(
                    lambda number: writer.append(groups[number % len(groups)]), arrivals, interval_s, given.threads
                )
            finally:
                reader.finish()
            cpu = time.process_time() - cpu
        finally:
            log.close()
        disk = log_load.bytes_on_disk(Path(name))
    events, raw = arrivals * given.group_events, sum(sizes[number % len(groups)] for number in range(arrivals))
    if reader.events == events:
        assert reader.bytes == raw, (reader.bytes, raw)
    _, most = log_load.memory_mib()
    return {
        "partitions": given.partitions,
        "batches_per_append": round(sum(len(group.batches) for group in groups) / len(groups)),
        **latencies.figures(given.group_events),
        "rate_asked": given.rate,
        "read_fraction": round(reader.events / events, 4),
        "read_events_per_second": round(reader.events / reader.seconds),
        "events_per_read": round(reader.events / max(reader.reads, 1), 1),
        "append_cpu_ns_per_event": round(1e9 * (cpu - reader.cpu_seconds) / events),
        "read_cpu_ns_per_event": round(1e9 * reader.cpu_seconds / max(reader.events, 1)),
        "memory_before_mib": round(before),
        "memory_max_mib": round(most),
        "disk_fraction": round(disk / raw, 4),
    }


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `log.py` hands on."""
    parser.add_argument("--log", choices=sorted(log_load.LOGS), default="local")
    parser.add_argument(
        "--directory", type=Path, default=log_load.DIRECTORY, help="on a local disk; files are removed in the end"
    )
    parser.add_argument("--rate", type=int, default=50_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of steady appends")
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--group-events", type=int, default=1000, help="events of one append over many partitions")
    parser.add_argument("--drain-seconds", type=float, default=60.0, help="for the reader, after the last append")
    parser.add_argument("--threads", type=int, default=64, help="that append")
    parser.add_argument("--events", type=int, default=20_000, help="different events that are appended again and again")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    arguments(parser)
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    print(json.dumps(measure(given)))


if __name__ == "__main__":
    main()
