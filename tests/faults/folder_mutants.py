"""Folders that are broken on purpose, each in one way. A test that passes on its mutant tests nothing."""

from pathlib import Path

from headwater.log.files import OsFiles
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import SimulatedFiles


class LinksBeforeSync(FolderStorage):
    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        put = super().put(name, data, sync=False)
        if sync:
            self._sync_names(self._path(name).parent)
        return put


class SyncsNoDirectory(FolderStorage):
    def _sync_names(self, directory: Path, temporary: Path | None = None) -> None:
        pass


class SyncsOneDirectory(FolderStorage):
    """Leaves the names of the directories above to chance."""

    def _sync_names(self, directory: Path, temporary: Path | None = None) -> None:
        self._files.sync_directory(directory)


class TakenNamesAreNotSynced(FolderStorage):
    """Believes a name that another process linked and has not synced yet."""

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        return super().put(name, data, sync) if not self._files.list_entries(self._path(name).parent) else False

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        fd = self._files.open(self._path(name))
        return self._files.pread(fd, self._files.size(fd), start)


class AppendsWithoutSync(FolderStorage):
    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        super().append(name, at, data, sync=False)


class SyncsAppendsWithoutNames(FolderStorage):
    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        file = self._descriptors.take(self._path(name))
        file.named = True
        self._descriptors.keep(self._path(name), file)
        super().append(name, at, data, sync)


class AppendsAfterFailedSync(FolderStorage):
    def _refuse_failed(self, path: Path, at_all: bool) -> None:
        pass


class RenamingFiles(OsFiles):
    """Puts a file in the place of another where a link would be refused."""

    def link(self, path: Path, name: Path) -> None:
        path.replace(name)


class RenamingDisk(SimulatedFiles):
    def link(self, path: Path, name: Path) -> None:
        if name.name in self._directory(name.parent):
            self.remove(name)
        super().link(path, name)
