"""Several processes on one log: what one appends the others see, and a shard changes hands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from headwater.core.errors import CorruptLog, LogError, Overtaken, StorageUnavailable
from headwater.log.interface import AppendGroup, Commit, Producer
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage
from headwater.testing.log_conformance import batch, read_all
from headwater.testing.memory_storage import MemoryStorage
from tests.unit.log.keeping import Clock

NAMES = ("a", "b", "c")


class Silent:
    """A storage that can be silenced."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.name, self.appends = storage.name, storage.appends
        self.silent = False

    def __getattr__(self, method: str) -> Any:
        if self.silent:
            raise StorageUnavailable(f"{self.name} is silent")
        return getattr(self.storage, method)

    def put(self, *given: Any) -> bool:
        return self.__getattr__("put")(*given)  # type: ignore[no-any-return]

    def append(self, *given: Any) -> None:
        self.__getattr__("append")(*given)

    def get(self, *given: Any) -> bytes:
        return self.__getattr__("get")(*given)  # type: ignore[no-any-return]

    def list(self, *given: Any) -> Any:
        return self.__getattr__("list")(*given)

    def delete(self, *given: Any) -> None:
        self.__getattr__("delete")(*given)


@pytest.fixture(params=["folder", "objects"])
def storages(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Silent]:
    if request.param == "folder":
        return {name: Silent(FolderStorage(tmp_path / name)) for name in NAMES}
    return {name: Silent(MemoryStorage(name, appends=False)) for name in NAMES}


def _open(storages: dict[str, Silent], first: str = "a") -> tuple[SharedLog, Clock]:
    clock = Clock()
    settings = LogSettings(first=first, segment_bytes_max=1500, flush_s=0.001, follows=False)
    return open_log(storages, settings=settings, runtime=clock), clock


def _look(log: SharedLog, clock: Clock) -> None:
    clock.time_s += 10
    log.refresh()


def _stand_behind(log: SharedLog) -> None:
    for writer in log._shards.writers.values():
        writer.stand_behind()
        writer.stand_behind()


def test_what_a_process_appends_is_seen_by_another_once_something_stands_behind_it(storages: dict[str, Silent]) -> None:
    (log, _), (other, clock) = _open(storages), _open(storages, first="b")
    writer = log.writer("s-0")
    for number in range(30):
        writer.append(AppendGroup(batches=(batch("t", number, 1),), commits=(Commit("g", "in", 0, number),)))
        _look(other, clock)
        assert read_all(other, "t") == list(range(number))
        assert other.committed("g", "in", 0) == max(0, number - 1)
    _stand_behind(log)
    _look(other, clock)
    assert read_all(other, "t") == list(range(30))
    assert other.committed("g", "in", 0) == 29


def test_a_shard_changes_hands_and_who_had_it_learns_it(storages: dict[str, Silent]) -> None:
    (log, clock), (other, other_clock) = _open(storages), _open(storages, first="b")
    (third, third_clock) = _open(storages, first="c")
    old = log.writer("s-0")
    for number in range(5):
        old.append(AppendGroup(batches=(batch("t", number, 1),), producer=Producer("p", number)))
    new = other.writer("s-0")
    assert other.end_offset("t", 0) == 5
    with pytest.raises(Overtaken):
        old.append(AppendGroup(batches=(batch("t", 77, 1),)))
    with pytest.raises(Overtaken):
        old.append(AppendGroup(batches=(batch("t", 77, 1),)))
    assert new.append(AppendGroup(batches=(batch("t", 4, 1),), producer=Producer("p", 4))) == (4,)
    for number in range(5, 12):
        new.append(AppendGroup(batches=(batch("t", number, 1),)))
    old.close()
    _stand_behind(other)
    for process, its_clock in ((log, clock), (third, third_clock)):
        _look(process, its_clock)
        assert read_all(process, "t") == list(range(12))
    other_clock.time_s += 1
    again = log.writer("s-0")
    assert again.append(AppendGroup(batches=(batch("t", 12, 1),))) == (12,)


def test_a_reader_goes_to_another_site_where_its_own_is_silent_or_damaged(storages: dict[str, Silent]) -> None:
    (log, _), (other, clock) = _open(storages), _open(storages, first="c")
    writer = log.writer("s-0")
    for number in range(20):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
    writer.close()
    _look(other, clock)
    storages["c"].silent = True
    assert read_all(other, "t") == list(range(20))
    clock.time_s += 10
    other.refresh()
    storages["a"].silent = storages["b"].silent = True
    with pytest.raises(LogError):
        read_all(other, "t")
    storages["c"].silent = False
    assert read_all(other, "t") == list(range(20))


def test_a_site_that_is_silent_for_long_leaves_and_comes_back_with_what_it_missed(storages: dict[str, Silent]) -> None:
    log, clock = _open(storages)
    writer = log.writer("s-0")
    writer.append(AppendGroup(batches=(batch("t", 0, 1),)))
    storages["b"].silent = True
    began = clock.now()
    for number in range(1, 10):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
    assert 10 <= clock.now() - began < 15
    assert writer.members == ("a", "c")
    assert log.alarms() == ["site b left s-0; it comes back once it answers"]
    grows = writer._committer.segment
    assert not writer.readmit(log.sites.storages[1])
    assert writer._committer.segment is grows, "looking for a site that stays away begins no segment"
    storages["b"].silent = False
    assert writer.readmit(log.sites.storages[1])
    assert set(writer.members) == {"a", "b", "c"}
    assert log.alarms() == []
    for number in range(10, 20):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
    writer.close()
    storages["a"].silent = storages["c"].silent = True
    other, its_clock = _open(storages, first="b")
    _look(other, its_clock)
    assert read_all(other, "t") == list(range(20))


def test_a_site_that_is_erased_under_its_writer_leaves_and_comes_back_whole(tmp_path: Path) -> None:
    storages = {name: Silent(FolderStorage(tmp_path / name)) for name in NAMES}
    log, _ = _open(storages)
    writer = log.writer("s-0")
    for number in range(5):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
    shutil.rmtree(tmp_path / "b")
    writer.append(AppendGroup(batches=(batch("t", 5, 1),)))
    assert writer.members == ("a", "c")
    assert writer.readmit(log.sites.storages[1])
    writer.append(AppendGroup(batches=(batch("t", 6, 1),)))
    writer.close()
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "c")
    other, its_clock = _open(storages, first="b")
    _look(other, its_clock)
    assert read_all(other, "t") == list(range(7))


def test_two_shards_that_hold_one_partition_are_told(storages: dict[str, Silent]) -> None:
    (log, _), (other, _) = _open(storages), _open(storages)
    log.writer("s-0").append(AppendGroup(batches=(batch("t", 0, 1),)))
    other.writer("s-1").append(AppendGroup(batches=(batch("t", 0, 1),)))
    log.close()
    other.close()
    with pytest.raises(CorruptLog, match="t/0 belongs to shard s-0"):
        _open(storages)


def test_a_log_needs_a_site_and_knows_its_names() -> None:
    with pytest.raises(LogError, match="one site"):
        open_log({})
    with pytest.raises(LogError, match=r"'x'.*a"):
        open_log({"a": MemoryStorage()}, settings=LogSettings(first="x"))
