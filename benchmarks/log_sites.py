"""What sites cost: bytes, CPU and calls of the log on one, two and three folders; requests on an object store, with their price.

Folders are sites on one disk, so that CPU and bytes count and time does not. The object store is one in memory whose requests are
counted: what a store charges for depends on how often groups are put, not on how fast it answers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import log_load
import open_loop

from headwater.log.interface import AppendGroup
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage
from headwater.testing.memory_storage import MemoryStorage

# US dollars for 1,000 requests of S3 Standard in us-east-1, by its price list: PUT and LIST, and GET. DELETE costs nothing.
PRICES = {"PUT": 0.005, "LIST": 0.005, "GET": 0.0004}


class Counted:
    """A storage that counts calls and bytes put or appended."""

    def __init__(self, storage: Storage) -> None:
        self.name, self.appends = storage.name, storage.appends
        self.calls: Counter[str] = Counter()
        self.bytes_written = 0
        self._storage = storage

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        self.calls["PUT"] += 1
        self.bytes_written += len(data)
        return self._storage.put(name, data, sync)

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`."""
        self.calls["APPEND"] += 1
        self.bytes_written += len(data)
        self._storage.append(name, at, data, sync)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        self.calls["GET"] += 1
        return self._storage.get(name, start, length)

    def list(self, directory: str, after: str = "") -> list[str]:
        """See `Storage`."""
        self.calls["LIST"] += 1
        return self._storage.list(directory, after)

    def delete(self, name: str) -> None:
        """See `Storage`."""
        self.calls["DELETE"] += 1
        self._storage.delete(name)


def on_folders(sites: int, load: log_load.Load, directory: Path, threads: int) -> dict[str, Any]:
    """One, two or three sites, all members: everything appended once."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        counted = {f"site{n}": Counted(FolderStorage(Path(name) / f"site{n}")) for n in range(sites)}
        witnesses = {"witness": FolderStorage(Path(name) / "witness")} if sites == 2 else {}
        log = open_log(counted, witnesses, LogSettings(follows=False))
        writer = log.writer(log_load.SHARD)
        log_load.append_all(writer, load, threads)
        before = sum((one.calls for one in counted.values()), Counter[str]())
        written = sum(one.bytes_written for one in counted.values())
        cpu = log_load.cpu_of(lambda: log_load.append_all(writer, load, threads))
        calls = sum((one.calls for one in counted.values()), Counter[str]()) - before
        written = sum(one.bytes_written for one in counted.values()) - written
        log.close()
    return {
        "cpu ns/event": round(1e9 * cpu / load.events),
        "bytes written, of raw": round(written / load.record_bytes, 4),
        "appends": calls["APPEND"],
        "looks": calls["GET"],
    }


def on_objects(flush_s: float, rate: int, seconds: float, sites: int) -> dict[str, Any]:
    """Requests while events arrive at a rate, and while another process reads along."""
    groups = log_load.groups_of(rate // 5, max(rate // 40, 1))
    counted = {f"site{n}": Counted(MemoryStorage(f"site{n}", appends=False)) for n in range(sites)}
    log = open_log(counted, settings=LogSettings(flush_s=flush_s))
    reader: SharedLog | None = None
    try:
        writer = log.writer(log_load.SHARD)
        reader = open_log(counted)
        events = groups[0].batches[0].count
        before = sum((one.calls for one in counted.values()), Counter[str]())
        arrivals = round(seconds * rate / events)
        latencies = open_loop.run(lambda n: writer.append(_again(groups, n)), arrivals, events / rate, 64)
        calls = sum((one.calls for one in counted.values()), Counter[str]()) - before
        appended = arrivals * events
        until = time.monotonic() + 10
        while reader.end_offset(log_load.TOPIC, 0) < log.end_offset(log_load.TOPIC, 0) and time.monotonic() < until:
            reader.wait(0.1)
        assert reader.end_offset(log_load.TOPIC, 0) == log.end_offset(log_load.TOPIC, 0), "the reader did not follow"
    finally:
        log.close()
        if reader is not None:
            reader.close()
    million = appended / 1e6
    dollars = sum(calls[kind] / 1000 * price for kind, price in PRICES.items()) / million
    return {
        "p99 ms": latencies.figures(events)["p99_ms"],
        **{f"{kind}/M events": round(calls[kind] / million) for kind in ("PUT", "GET", "LIST")},
        "$/M events": round(dollars, 4),
    }


def _again(groups: list[AppendGroup], number: int) -> AppendGroup:
    return groups[number % len(groups)]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=log_load.DIRECTORY)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--batch-bytes", type=int, default=256 * 1024)
    parser.add_argument("--appenders", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flush setting")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 10_000], help="events a second on the object store")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="little of everything: that it works, not what it costs")
    given = parser.parse_args()
    if given.quick:
        given.events, given.rounds, given.seconds, given.rates = 2000, 1, 1.0, [1000]
    given.directory.mkdir(parents=True, exist_ok=True)
    load = log_load.load(given.events, given.batch_bytes)
    folders = {}
    for sites in (1, 2, 3):
        log_load.say(f"{sites} folders")
        rounds = [on_folders(sites, load, given.directory, given.appenders) for _ in range(given.rounds)]
        folders[sites] = sorted(rounds, key=lambda one: one["cpu ns/event"])[len(rounds) // 2]
    objects = {}
    for rate in given.rates:
        for flush_s in (0.1, 0.25, 1.0):
            log_load.say(f"{rate} events a second, a flush each {flush_s:g} s")
            objects[f"{rate}/s, {flush_s:g} s"] = on_objects(flush_s, rate, given.seconds, 1)
    if given.json:
        print(json.dumps({"folders": folders, "objects": objects}))
        return
    log_load.show(("sites", *folders[1]), [(str(sites), *found.values()) for sites, found in folders.items()])
    first = next(iter(objects.values()))
    log_load.show(("events, flush", *first), [(name, *found.values()) for name, found in objects.items()])


if __name__ == "__main__":
    main()
