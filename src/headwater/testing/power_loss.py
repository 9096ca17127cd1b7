"""Drops what was written but never synced, as a power cut does. Killing a process does not: the system keeps its writes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType


class PowerLoss:
    """While it is entered, remembers what is synced; `strike` brings a directory back to that."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[int, int], int] = {}
        self._entries: dict[tuple[int, int], set[str]] = {}
        self._fsync, self._fdatasync = os.fsync, os.fdatasync

    def __enter__(self) -> PowerLoss:
        os.fsync = os.fdatasync = self._synced  # type: ignore[assignment]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.fsync, os.fdatasync = self._fsync, self._fdatasync

    def strike(self, directory: Path) -> None:
        """Removes the files of the directory whose entry was not synced, and cuts the others to the length that was."""
        kept = self._entries.get(_identity(directory.stat()), set())
        for path in directory.iterdir():
            if path.name not in kept:
                path.unlink()
            elif path.stat().st_size > (size := self._sizes.get(_identity(path.stat()), 0)):
                os.truncate(path, size)

    def _synced(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._entries[_identity(status)] = set(os.listdir(descriptor))
        else:
            self._sizes[_identity(status)] = status.st_size


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
