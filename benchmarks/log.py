"""Measures the log: CPU an event beside bare zstd, bytes on disk, append latency at a steady rate, a topic of many partitions.

CPU time is that of the whole process, all threads, user and system; the median of rounds in which everything is measured in turn.
Bare zstd is the Python package `zstandard`, one call for each batch: the log stores each batch as one block of the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import log_load
import log_partitions
import open_loop
import zstandard
from log_load import Load

from headwater.log.interface import Log

LEVEL = 1
PARTS = ("cpu", "disk", "latency", "partitions")
PARTITION_OPTIONS = ("rate", "seconds", "partitions", "group_events", "drain_seconds", "threads", "events", "directory", "log")


def bare_zstd(load: Load, threads: int) -> dict[str, float]:
    """CPU seconds of compressing and decompressing every batch by itself. What comes of it is forgotten at once, as reads are.

    Compressing from several threads costs more, as appending does: they take the caches from each other.
    """
    compressor, decompressor = zstandard.ZstdCompressor(level=LEVEL), zstandard.ZstdDecompressor()
    packed = [compressor.compress(one.data) for one in load.batches]
    numbers = itertools.count()

    def each(work: Callable[[bytes], bytes], given: Iterable[bytes]) -> None:
        for one in given:
            work(one)

    def share() -> None:
        own = zstandard.ZstdCompressor(level=LEVEL)
        while (number := next(numbers)) < len(load.batches):
            own.compress(load.batches[number].data)

    return {
        "compress": log_load.cpu_of(lambda: each(compressor.compress, (one.data for one in load.batches))),
        f"compress, {threads} threads": log_load.cpu_of(lambda: log_load.run_threads(share, threads)),
        "decompress": log_load.cpu_of(lambda: each(decompressor.decompress, packed)),
        "compressed bytes": sum(map(len, packed)),
    }


def one_round(opened: Callable[[Path], Log], directory: Path, load: Load, threads: int) -> dict[str, float]:
    """CPU seconds of each kind of work, and bytes on disk. Raises AssertionError where other bytes are read."""
    found = bare_zstd(load, threads)
    for name, count in (("append", 1), (f"append, {threads} threads", threads)):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            log = opened(Path(place))
            try:
                found[name] = log_load.cpu_of(functools.partial(log_load.append_all, log.writer(log_load.SHARD), load, count))
                if count == 1:
                    found["read"] = log_load.cpu_of(functools.partial(log_load.read_all, log, 0, len))
                    read: list[bytes] = []
                    log_load.read_all(log, 0, read.append)
                    assert b"".join(read) == b"".join(one.data for one in load.batches), "other bytes were read than appended"
            finally:
                log.close()
            found[f"{name}: bytes"] = log_load.bytes_on_disk(Path(place))
    return found


def cpu_figures(given: argparse.Namespace) -> dict[str, Any]:
    """CPU an event of appends and reads beside bare zstd, and bytes on disk."""
    load = log_load.load(given.events, given.batch_bytes)
    run = functools.partial(one_round, log_load.LOGS[given.log], given.directory, load, given.appenders)
    run()
    rounds = [run() for _ in range(given.rounds)]
    found: dict[str, Any] = {
        "event_bytes": round(load.event_bytes / load.events),
        "record_bytes": round(load.record_bytes / load.events),
        "events_per_batch": round(load.events / len(load.batches)),
    }
    many = f"append, {given.appenders} threads"
    bare = f"compress, {given.appenders} threads"
    kinds = {
        "compress": "compress",
        "append": "compress",
        bare: bare,
        many: bare,
        "decompress": "decompress",
        "read": "decompress",
    }
    for name, beside in kinds.items():
        times = log_load.per_event([one[name] for one in rounds], load.events)
        found[name] = {**times, "of_bare_zstd": round(statistics.median(one[name] / one[beside] for one in rounds), 2)}
    found["compress"]["disk_fraction"] = round(rounds[-1]["compressed bytes"] / load.record_bytes, 4)
    for name in ("append", many):
        found[name]["disk_fraction"] = round(rounds[-1][f"{name}: bytes"] / load.record_bytes, 4)
        found[name]["disk_fraction_of_events"] = round(rounds[-1][f"{name}: bytes"] / load.event_bytes, 4)
    return found


def disk_figures(given: argparse.Namespace) -> dict[str, float]:
    """How long the disk takes by itself: writes of the size of one compressed append, each synced, one after the other."""
    [group, *_] = log_load.groups_of(given.append_events, given.append_events)
    data = zstandard.ZstdCompressor(level=LEVEL).compress(group.batches[0].data)
    taken: list[float] = []
    with tempfile.NamedTemporaryFile(dir=given.directory, buffering=0) as file:
        ends_at = time.perf_counter() + given.seconds / 4
        while time.perf_counter() < ends_at or not taken:
            start = time.perf_counter()
            file.write(data)
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - start))
    parts = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    return {**{name: round(open_loop.percentile(taken, part), 2) for name, part in parts.items()}, "writes": len(taken)}


def latency_figures(given: argparse.Namespace) -> dict[str, float]:
    """Latency of appends at a steady rate, each durable before it counts as done."""
    groups = log_load.groups_of(given.events, given.append_events)
    arrivals = max(round(given.seconds * given.rate / given.append_events), 1)
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        log = log_load.LOGS[given.log](Path(name))
        try:
            writer = log.writer(log_load.SHARD)
            cpu = time.process_time()
            latencies = open_loop.run(
                lambda number: writer.append(groups[number % len(groups)]),
                arrivals,
                given.append_events / given.rate,
                given.threads,
            )
            cpu = time.process_time() - cpu
        finally:
            log.close()
        disk = log_load.bytes_on_disk(Path(name))
    raw = sum(len(groups[number % len(groups)].batches[0].data) for number in range(arrivals))
    return {
        **latencies.figures(given.append_events),
        "rate_asked": given.rate,
        "append_events": given.append_events,
        "client_ns_per_event": round(1e9 * cpu / (arrivals * given.append_events)),
        "disk_fraction": round(disk / raw, 4),
    }


def partition_figures(given: argparse.Namespace) -> dict[str, Any]:
    """`log_partitions.py` in a process of its own: its memory is nobody else's."""
    command = [sys.executable, str(Path(__file__).with_name("log_partitions.py"))]
    for name in PARTITION_OPTIONS:
        command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def show(found: dict[str, Any]) -> None:
    """Tables for people."""
    print(f"{found['log']} log; {found['bare']}; CPU time of the process, {found['rounds']} rounds\n")
    if cpu := found.get("cpu"):
        sizes = f"events of {cpu['event_bytes']} bytes, records of {cpu['record_bytes']}"
        print(f"{sizes}, {cpu['events_per_batch']} in a batch; disk: of the bytes of records")
        rows = [
            (name, row["ns_per_event"], row["fastest"], row["slowest"], row["of_bare_zstd"], row.get("disk_fraction", ""))
            for name, row in cpu.items()
            if isinstance(row, dict)
        ]
        log_load.show(("", "ns/event", "from", "to", "of bare zstd", "disk"), rows)
    for name in PARTS[1:]:
        if name in found:
            log_load.show((name, ""), [(key.replace("_", " "), f"{value:,}") for key, value in found[name].items()])


def parsed() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    log_partitions.arguments(parser)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=7, help="of the CPU figures; one more before them warms up")
    parser.add_argument("--batch-bytes", type=int, default=256 * 1024, help="records of one append, and of one block")
    parser.add_argument("--appenders", type=int, default=8, help="threads of the second row of appends")
    parser.add_argument("--append-events", type=int, default=100, help="events of one append where latency is measured")
    parser.add_argument("--quick", action="store_true", help="a second of everything: that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.events, given.seconds, given.rate = 1, 2000, 0.4, 5000
        given.partitions, given.group_events, given.drain_seconds, given.threads = 200, 100, 20.0, 8
    return given


def main() -> None:
    """The command line."""
    given = parsed()
    given.directory.mkdir(parents=True, exist_ok=True)
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    bare = f"bare zstd: Python zstandard {zstandard.__version__}, libzstd {version}, level {LEVEL}"
    found: dict[str, Any] = {"log": given.log, "bare": bare, "rounds": given.rounds}
    measures = {"cpu": cpu_figures, "disk": disk_figures, "latency": latency_figures, "partitions": partition_figures}
    for name in given.parts:
        log_load.say(name)
        found[name] = measures[name](given)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
