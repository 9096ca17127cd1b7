"""The conformance suite of storages on every implementation there is that needs no server."""

from pathlib import Path

import pytest

from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import SimulatedFiles
from headwater.testing.memory_storage import MemoryStorage
from headwater.testing.simulation import World
from headwater.testing.storage_conformance import StorageConformance


class TestMemoryStorage(StorageConformance):
    appends = True

    @pytest.fixture(autouse=True)
    def _storage(self) -> None:
        self.storage = MemoryStorage("memory", self.appends)

    def open(self) -> Storage:
        return self.storage


class TestMemoryStorageWithoutAppends(TestMemoryStorage):
    appends = False


class TestFolderStorage(StorageConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "data" / "site"

    def open(self) -> Storage:
        return FolderStorage(self.folder)


class TestFolderStorageWithFewOpenFiles(TestFolderStorage):
    def open(self) -> Storage:
        return FolderStorage(self.folder, open_files_max=2)


class TestFolderStorageOnASimulatedDisk(StorageConformance):
    @pytest.fixture(autouse=True)
    def _disk(self) -> None:
        self.disk = SimulatedFiles()

    def open(self) -> Storage:
        return FolderStorage(Path("/var/lib/headwater/site"), self.disk)


class TestSimStorage(StorageConformance):
    appends = True

    @pytest.fixture(autouse=True)
    def _site(self) -> None:
        self.site = World(0).site("a", self.appends)

    def open(self) -> Storage:
        return self.site


class TestSimStorageWithoutAppends(TestSimStorage):
    appends = False
