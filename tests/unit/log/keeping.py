"""A log of three sites with small segments, on a clock that is told to move, and what it held before it was tidied up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.log.interface import AppendGroup
from headwater.log.runtime import Threads
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage
from headwater.log.upkeep import UpkeepSettings
from headwater.testing.log_conformance import batch
from headwater.testing.memory_storage import MemoryStorage

NAMES = ("a", "b", "c")
GRACE_S = 100.0


class Clock(Threads):
    """A runtime whose time passes when it is told to, or sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds

    def close(self) -> None:
        """Several logs share it."""


class Dead(BaseException):
    """The process was killed."""


class Mortal:
    """A storage whose process is killed at a call that changes something: before it, or when it is done."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.name, self.appends = storage.name, storage.appends
        self.get, self.list = storage.get, storage.list
        self.life: list[int] = [1 << 60, 0]

    def _die(self) -> None:
        self.life[0] -= 1
        if self.life[0] < 0:
            raise Dead

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        self._die()
        done = self.storage.put(name, data, sync)
        self._die()
        return done

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        self._die()
        self.storage.append(name, at, data, sync)
        self._die()

    def delete(self, name: str) -> None:
        self._die()
        self.storage.delete(name)
        self._die()


def storages(kind: str, directory: Path, names: tuple[str, ...] = NAMES) -> dict[str, Storage]:
    """Folders, or memory that takes no appends."""
    if kind == "folder":
        return {name: FolderStorage(directory / name) for name in names}
    return {name: MemoryStorage(name, appends=False) for name in names}


def open_at(sites: Mapping[str, Storage], clock: Clock | None = None, first: str = "a", **settings: Any) -> SharedLog:
    """Opens the log; nothing happens in the background."""
    upkeep = UpkeepSettings(segments_min=1, source_bytes_min=1, grace_s=GRACE_S, **settings)
    chosen = LogSettings(first=first, segment_bytes_max=1500, flush_s=0.0, follows=False, upkeep=upkeep)
    return open_log(dict(sites), settings=chosen, runtime=clock or Clock())


def fill(log: SharedLog, groups: int, begin: int = 0, shard: str = "s-0", topics: tuple[str, ...] = ("t", "u")) -> None:
    """Appends groups of records whose received time is their number in milliseconds since 1970."""
    writer = log.writer(shard)
    for number in range(begin, begin + groups):
        batches = tuple(batch(topic, number * 3, 3, partition) for topic in topics for partition in (0, number % 5 + 1))
        writer.append(AppendGroup(batches=batches))
    writer.close()


def contents(log: SharedLog) -> dict[tuple[str, int], bytes]:
    """All that can be read, from the start of each partition to its end."""
    found = {}
    for topic in log.topics():
        for partition in log.partitions(topic):
            at, end = log.start_offset(topic, partition), log.end_offset(topic, partition)
            data = b""
            while at < end:
                fetch = log.read(topic, partition, at, 1 << 16)
                assert fetch.first_offset == at < fetch.next_offset
                data, at = data + fetch.data, fetch.next_offset
            found[topic, partition] = data
    return found
