"""What the benchmarks of the log append: the workload's events as records, cut into batches; and the logs they know."""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import workload

from headwater.core.record import Record, encode
from headwater.log.interface import AppendGroup, Batch, Log, ShardWriter
from headwater.log.shared import open_log
from headwater.log.stores.folder import FolderStorage

# A new log is one more line: all of the benchmarks work over the interface.
LOGS: dict[str, Callable[[Path], Log]] = {"local": lambda path: open_log({"local": FolderStorage(path)})}

TOPIC = "app_events"
SHARD = "bench"
SEED = 11
READ_BYTES_MAX = 1024 * 1024
DIRECTORY = Path(__file__).parents[1] / "build" / "log"
Row = tuple[object, ...]


class Load(NamedTuple):
    """Batches for partition 0 of `TOPIC`, and what is in them."""

    batches: list[Batch]
    events: int
    event_bytes: int
    record_bytes: int


def records(count: int) -> Iterator[tuple[str, int, bytes]]:
    """(key, bytes of the event, record) of so many events of the workload."""
    for line in workload.events(count, SEED):
        event = json.loads(line)
        key = event["device_id"]
        record = Record(
            payload=line,
            key=key,
            tier=event["hw"]["tier"],
            event_time=event["event_time"],
            received_time=event["received_time"],
            event_id=event["event_id"],
        )
        yield key, len(line), encode(record)


def load(count: int, batch_bytes: int) -> Load:
    """Batches of as many records as fit into ``batch_bytes``."""
    made = list(records(count))
    batches, taken, size = [], list[bytes](), 0
    for _, _, record in made:
        if taken and size + len(record) > batch_bytes:
            batches.append(batch(taken))
            taken, size = [], 0
        taken.append(record)
        size += len(record)
    batches.append(batch(taken))
    return Load(batches, count, sum(length for _, length, _ in made), sum(len(one.data) for one in batches))


def batch(taken: Sequence[bytes], partition: int = 0) -> Batch:
    """These records for one partition."""
    return Batch(topic=TOPIC, partition=partition, data=b"".join(taken), count=len(taken))


def groups_of(count: int, events_a_group: int) -> list[AppendGroup]:
    """Append groups of so many events, all for partition 0."""
    made = [record for _, _, record in records(count)]
    starts = range(0, len(made), events_a_group)
    return [AppendGroup(batches=(batch(made[start : start + events_a_group]),)) for start in starts]


def spread(count: int, events_a_group: int, partitions: int) -> list[AppendGroup]:
    """Append groups of so many events, each with a batch for every partition that an event's key falls into."""
    made = list(records(count))
    groups = []
    for start in range(0, len(made), events_a_group):
        parts: dict[int, list[bytes]] = {}
        for key, _, record in made[start : start + events_a_group]:
            parts.setdefault(zlib.crc32(key.encode()) % partitions, []).append(record)
        groups.append(AppendGroup(batches=tuple(batch(taken, number) for number, taken in sorted(parts.items()))))
    return groups


def append_all(writer: ShardWriter, load: Load, threads: int) -> None:
    """Appends every batch, one an append, from so many threads."""
    numbers = itertools.count()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while (number := next(numbers)) < len(load.batches) and not failed:
                writer.append(AppendGroup(batches=(load.batches[number],)))
        except BaseException as e:
            failed.append(e)

    run_threads(work, threads)
    if failed:
        raise failed[0]


def run_threads(work: Callable[[], None], threads: int) -> None:
    """Runs the same in so many threads, to its end."""
    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def read_all(log: Log, offset: int, each: Callable[[bytes], object]) -> None:
    """Reads partition 0 from the offset to its end."""
    end = log.end_offset(TOPIC, 0)
    while offset < end:
        fetch = log.read(TOPIC, 0, offset, READ_BYTES_MAX)
        each(fetch.data)
        offset = fetch.next_offset


def say(doing: str) -> None:
    """Progress, apart from the figures."""
    print(f"{time.strftime('%H:%M:%S')} {doing}", file=sys.stderr, flush=True)


def bytes_on_disk(directory: Path) -> int:
    """Bytes of all files below a directory, by their lengths."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds that this process takes meanwhile: all its threads, user and system."""
    start = time.process_time()
    work()
    return time.process_time() - start


def memory_mib() -> tuple[float, float]:
    """(now, most so far) of this process's resident memory.

    Not `ru_maxrss` where there is /proc: it begins with what the process had that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return most, most
    found = dict(line.split(":", 1) for line in lines)
    return int(found["VmRSS"].split()[0]) / 1024, int(found["VmHWM"].split()[0]) / 1024


def per_event(seconds: Iterable[float], events: int) -> dict[str, float]:
    """ns an event: median, fastest and slowest round."""
    found = [1e9 * one / events for one in seconds]
    return {"ns_per_event": round(statistics.median(found)), "fastest": round(min(found)), "slowest": round(max(found))}


def show(columns: Row, rows: Iterable[Row]) -> None:
    """A table for people; the first column is text."""
    texts = [tuple(str(cell) for cell in row) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *rest in texts:
        print("  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]))
    print()
