"""The conformance suite of logs on every implementation there is."""

from pathlib import Path

import pytest

from headwater.log.interface import Log
from headwater.log.shared import LogSettings, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.log.upkeep import UpkeepSettings
from headwater.testing.log_conformance import LogConformance
from headwater.testing.memory_log import MemoryLog
from headwater.testing.memory_storage import MemoryStorage


class TestMemoryLog(LogConformance):
    durable = False

    def open(self) -> Log:
        return MemoryLog()


class TestSharedLogInAFolder(LogConformance):
    segment_bytes_max = 256 * 1024 * 1024
    sites: tuple[str, ...] = ("a",)

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "data" / "log"

    def open(self) -> Log:
        sites = {name: FolderStorage(self.directory / name) for name in self.sites}
        return open_log(sites, settings=LogSettings(segment_bytes_max=self.segment_bytes_max))


class TestSharedLogInManySegments(TestSharedLogInAFolder):
    segment_bytes_max = 2000


class TestSharedLogOnThreeSites(TestSharedLogInAFolder):
    sites = ("a", "b", "c")


class TestSharedLogOnWholeObjects(LogConformance):
    """As in an object store: each group is an object."""

    @pytest.fixture(autouse=True)
    def _storage(self) -> None:
        self.storages = {name: MemoryStorage(name, appends=False) for name in "ab"}
        self.witness = MemoryStorage("w", appends=False)

    def open(self) -> Log:
        return open_log(self.storages, {"w": self.witness}, LogSettings(flush_s=0.001))


_OFTEN = UpkeepSettings(segments_min=1, source_bytes_min=1, grace_s=0.02, look_s=0.005, part_bytes_max=2000)


class TestSharedLogThatCompactsAllTheTime(TestSharedLogInAFolder):
    def open(self) -> Log:
        sites = {name: FolderStorage(self.directory / name) for name in self.sites}
        return open_log(sites, settings=LogSettings(segment_bytes_max=1000, upkeep=_OFTEN))


class TestSharedLogThatCompactsWholeObjects(TestSharedLogOnWholeObjects):
    def open(self) -> Log:
        return open_log(self.storages, {"w": self.witness}, LogSettings(flush_s=0.001, upkeep=_OFTEN))
