"""The file operations of the log, behind one small interface, so that tests can put failures and crashes underneath."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """What the log asks of a file system. Files are created once and never renamed. All raise OSError."""

    def make_directory(self, path: Path) -> None:
        """Makes a directory; one that is there is fine. FileNotFoundError where its parent is missing."""
        ...

    def list_entries(self, path: Path) -> list[tuple[str, bool]]:
        """The names in a directory and whether each is a directory; none where there is no directory."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Makes the directory's entries durable."""
        ...

    def create(self, path: Path) -> int:
        """Creates a file for reading and writing and gives a descriptor; FileExistsError where the name is taken."""
        ...

    def open(self, path: Path) -> int:
        """Opens a file for reading and gives a descriptor."""
        ...

    def open_to_write(self, path: Path) -> int:
        """Opens a file that is there for reading and writing and gives a descriptor."""
        ...

    def link(self, path: Path, name: Path) -> None:
        """Gives a file a further name; FileExistsError where that is taken."""
        ...

    def size(self, fd: int) -> int:
        """Bytes in the file."""
        ...

    def links(self, fd: int) -> int:
        """How many names the file has."""
        ...

    def modified_s(self, path: Path) -> float:
        """When the file was written last, by the file system's own clock."""
        ...

    def pread(self, fd: int, count: int, at: int) -> bytes:
        """At most ``count`` bytes from ``at`` on; fewer at the end of the file only."""
        ...

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        """Writes some of the bytes at ``at`` and says how many."""
        ...

    def sync(self, fd: int) -> None:
        """Makes the file's bytes and length durable."""
        ...

    def close(self, fd: int) -> None:
        """Gives a descriptor back."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file."""
        ...


class OsFiles:
    """The operating system's files."""

    def make_directory(self, path: Path) -> None:
        """See `Files`."""
        path.mkdir(exist_ok=True)

    def list_entries(self, path: Path) -> list[tuple[str, bool]]:
        """See `Files`."""
        try:
            with os.scandir(path) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sync_directory(self, path: Path) -> None:
        """See `Files`."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def create(self, path: Path) -> int:
        """See `Files`."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def open(self, path: Path) -> int:
        """See `Files`."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_to_write(self, path: Path) -> int:
        """See `Files`."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def link(self, path: Path, name: Path) -> None:
        """See `Files`."""
        name.hardlink_to(path)

    def size(self, fd: int) -> int:
        """See `Files`."""
        return os.fstat(fd).st_size

    def links(self, fd: int) -> int:
        """See `Files`."""
        return os.fstat(fd).st_nlink

    def modified_s(self, path: Path) -> float:
        """See `Files`."""
        return path.stat().st_mtime

    def pread(self, fd: int, count: int, at: int) -> bytes:
        """See `Files`."""
        first = os.pread(fd, count, at)
        if len(first) in (0, count):
            return first
        parts = [first]
        while got := os.pread(fd, count - sum(map(len, parts)), at + sum(map(len, parts))):
            parts.append(got)
        return b"".join(parts)

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        """See `Files`."""
        return os.pwrite(fd, data, at)

    def sync(self, fd: int) -> None:
        """See `Files`."""
        os.fdatasync(fd)

    def close(self, fd: int) -> None:
        """See `Files`."""
        os.close(fd)

    def remove(self, path: Path) -> None:
        """See `Files`."""
        path.unlink()


def make_durable_directory(files: Files, path: Path) -> None:
    """Makes a directory and those above it that are missing; their entries are durable then."""
    try:
        files.make_directory(path)
    except FileNotFoundError:
        make_durable_directory(files, path.parent)
        files.make_directory(path)
    files.sync_directory(path.parent)


def write_all(files: Files, fd: int, data: bytes, at: int) -> None:
    """Writes every byte, however few one call takes. Raises OSError; then some of the bytes may be in the file."""
    rest = memoryview(data)
    while rest:
        written = files.pwrite(fd, rest, at)
        if written <= 0:
            raise OSError(f"a write of {len(rest)} bytes at byte {at} wrote {written}")
        rest = rest[written:]
        at += written
