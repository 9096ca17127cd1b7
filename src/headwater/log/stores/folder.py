"""Objects as files of a folder: on a local disk, or on a file system that several machines mount.

A put writes a file beside the name, syncs it and links it to the name, which fails where the name is taken; then it syncs the
directory. A rename would overwrite. Until the directory is synced the file keeps its first name too: a reader that finds two
names syncs before it believes, so that nothing that was read vanishes when the machine loses power.
"""

from __future__ import annotations

import builtins
import errno
import itertools
import threading
from contextlib import suppress
from pathlib import Path
from weakref import WeakKeyDictionary, finalize

from headwater.core.errors import LogError
from headwater.core.ids import new_id
from headwater.core.limits import (
    STORAGE_DIRECTORIES_KNOWN_MAX,
    STORAGE_FAILED_OBJECTS_MAX,
    STORAGE_LEFTOVER_AGE_S_MIN,
    STORAGE_OPEN_FILES_MAX,
)
from headwater.log.files import Files, OsFiles, make_durable_directory, write_all
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable
from headwater.log.stores.descriptors import Descriptors, OpenFile
from headwater.log.stores.names import check_directory, check_name, check_range, is_part

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_PARTIAL = ".partial"
_WRITE_FAILED = "a write failed"
_PATHS_KNOWN_MAX = 1000
_SYSTEM = OsFiles()
# Objects whose append failed, with the reason: of the process and not of one FolderStorage, since a second one on the same
# folder would see the system call the next sync a success as well.
_failed: WeakKeyDictionary[Files, dict[Path, str]] = WeakKeyDictionary()
_failed_guard = threading.Lock()


class FolderStorage:
    """A `Storage` in a folder, which is made at the first put.

    ``token`` tells the unfinished files of one writing process from those of another; a random one by default.
    """

    appends = True

    def __init__(
        self, path: Path, files: Files = _SYSTEM, *, token: str | None = None, open_files_max: int = STORAGE_OPEN_FILES_MAX
    ) -> None:
        self.name = str(path)
        self._root = path.absolute()
        self._files = files
        self._token = token or new_id()
        self._numbers = itertools.count()
        self._descriptors = Descriptors(files, open_files_max)
        self._paths: dict[str, Path] = {}  # Appends ask for the same two again and again.
        finalize(self, self._descriptors.close)
        self._known: set[Path] = set()  # Directories whose own names are durable, up to the folder's.

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        path = self._path(name)
        linked = False
        try:
            temporary, fd = self._create_beside(path)
            try:
                try:
                    write_all(self._files, fd, data, 0)
                    if sync:
                        self._files.sync(fd)
                    linked = self._link(temporary, fd, path)
                finally:
                    self._files.close(fd)
                if sync:
                    # Also where the name was taken: who took it may not have come to this yet.
                    self._sync_names(path.parent, temporary)
            finally:
                with suppress(OSError):  # One that stays is swept later.
                    self._files.remove(temporary)
        except OSError as e:
            kind = StorageFull if e.errno in _FULL and not linked else StorageUnavailable
            raise kind(f"{path}: {len(data)} bytes could not be put: {e.strerror or e}") from e
        return linked

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`."""
        path = self._path(name)
        self._refuse_failed(path, at_all=bool(data))
        try:
            file = self._descriptors.take(path)
            try:
                size = self._files.size(file.fd)
                if not 0 <= at <= size:
                    raise LogError(f"{path}: has {size} bytes, nothing can be appended at byte {at}")
                self._append(path, file, at, data, sync)
            except BaseException:
                self._descriptors.discard(file)
                raise
            self._descriptors.keep(path, file)
        except _ABSENT as e:
            raise self._missing(path) from e
        except OSError as e:
            raise self._unavailable(path, e) from e

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        check_range(start, length)
        path = self._path(name)
        try:
            fd = self._files.open(path)
            try:
                if self._files.links(fd) > 1:
                    self._sync_names(path.parent)
                there = max(0, self._files.size(fd) - start)
                return self._files.pread(fd, there if length is None else min(length, there), start)
            finally:
                self._files.close(fd)
        except _ABSENT as e:
            raise self._missing(path) from e
        except OSError as e:
            raise self._unavailable(path, e) from e

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        check_directory(directory)
        try:
            entries = self._files.list_entries(self._root / directory)
        except OSError as e:
            raise self._unavailable(self._root / directory, e) from e
        names = (f"{name}/" if is_directory else name for name, is_directory in entries if is_part(name))
        return sorted(name for name in names if name > after)

    def delete(self, name: str) -> None:
        """See `Storage`. It is durable: a name that is put anew does not come back with what it held before."""
        path = self._path(name)
        self._descriptors.drop(path)
        try:
            self._files.remove(path)
            self._sync_names(path.parent)
        except _ABSENT:
            pass
        except OSError as e:
            raise self._unavailable(path, e) from e
        with _failed_guard:
            _failed.get(self._files, {}).pop(path, None)

    def close(self) -> None:
        """Gives the open files back; a later append opens its file again."""
        self._descriptors.close()

    def _path(self, name: str) -> Path:
        path = self._paths.get(name)
        if path is None:
            check_name(name)
            path = self._root / name
            if len(self._paths) >= _PATHS_KNOWN_MAX:
                self._paths.clear()
            self._paths[name] = path
        return path

    def _missing(self, path: Path) -> ObjectMissing:
        return ObjectMissing(f"{path}: there is no such object")

    def _unavailable(self, path: Path, error: OSError) -> StorageUnavailable:
        return StorageUnavailable(f"{path}: {error.strerror or error}")

    def _create_beside(self, path: Path) -> tuple[Path, int]:
        while True:
            temporary = path.parent / f".{self._token}.{next(self._numbers)}{_PARTIAL}"
            try:
                return temporary, self._files.create(temporary)
            except FileExistsError:
                continue  # A fork of this process has the same token.
            except FileNotFoundError:
                self._known.clear()
                self._make_directory(path.parent)

    def _make_directory(self, directory: Path) -> None:
        if directory == self._root:
            make_durable_directory(self._files, directory)
            return
        try:
            self._files.make_directory(directory)
        except FileNotFoundError:
            self._make_directory(directory.parent)
            self._files.make_directory(directory)

    def _link(self, temporary: Path, fd: int, path: Path) -> bool:
        try:
            self._files.link(temporary, path)
        except FileExistsError:
            # A network file system may have linked it, lost the answer, and asked again: then the name is our own.
            return self._files.links(fd) > 1
        return True

    def _sync_names(self, directory: Path, temporary: Path | None = None) -> None:
        """Makes a directory's names durable; at its first use also the names above it, which another process may have made."""
        self._files.sync_directory(directory)
        if directory in self._known:
            return
        if temporary is not None:
            with suppress(OSError):  # Nothing depends on it.
                self._sweep(directory, self._files.modified_s(temporary) - STORAGE_LEFTOVER_AGE_S_MIN)
        at = directory
        while at != self._root:
            at = at.parent
            self._files.sync_directory(at)
        with suppress(PermissionError):  # Nobody who may not read it made the folder there.
            self._files.sync_directory(self._root.parent)
        if len(self._known) >= STORAGE_DIRECTORIES_KNOWN_MAX:
            self._known.clear()
        self._known.add(directory)

    def _sweep(self, directory: Path, before_s: float) -> None:
        """Removes what killed processes left. A process that is still at it finds its file gone, and its put refused."""
        for name, _ in self._files.list_entries(directory):
            if name.startswith(".") and name.endswith(_PARTIAL) and self._files.modified_s(directory / name) < before_s:
                self._files.remove(directory / name)

    def _append(self, path: Path, file: OpenFile, at: int, data: bytes, sync: bool) -> None:
        synced = False
        try:
            write_all(self._files, file.fd, data, at)
            if sync:
                synced = True
                self._files.sync(file.fd)
                if not file.named:
                    self._sync_names(path.parent)
                    file.named = True
        except OSError as e:
            self._fail(path, f"{'a sync failed' if synced else _WRITE_FAILED}: {e.strerror or e}")
            if e.errno not in _FULL:
                raise StorageUnavailable(f"{path}: {len(data)} bytes at byte {at}: {e.strerror or e}") from e
            raise StorageFull(f"{path}: {len(data)} bytes at byte {at}: {e.strerror or e}") from e

    def _fail(self, path: Path, why: str) -> None:
        with _failed_guard:
            _failed.setdefault(self._files, {})[path] = why

    def _refuse_failed(self, path: Path, at_all: bool) -> None:
        """After a failed sync the system may have dropped the bytes and call the next sync of the file a success.

        After a failed write that is not so: what was written before may still be synced.
        """
        with _failed_guard:
            failed = _failed.get(self._files, {})
            why = failed.get(path)
        if why is not None and (at_all or not why.startswith(_WRITE_FAILED)):
            raise StorageUnavailable(f"{path}: not appended to any more by this process, since {why}")
        if len(failed) >= STORAGE_FAILED_OBJECTS_MAX:
            raise StorageUnavailable(f"{path}: appends to {len(failed)} objects failed; none is appended to until a restart")
