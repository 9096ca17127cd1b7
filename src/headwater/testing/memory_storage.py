"""A `Storage` in memory, for tests: whole, at once, and gone with the process."""

from __future__ import annotations

import builtins
import threading

from headwater.core.errors import LogError
from headwater.log.storage import ObjectMissing
from headwater.log.stores.names import check_directory, check_name, check_range


class MemoryStorage:
    """Objects in a dictionary. Everything is durable as long as the storage itself is."""

    def __init__(self, name: str = "memory", appends: bool = True) -> None:
        self.name = name
        self.appends = appends
        self._objects: dict[str, bytes] = {}
        self._directories: dict[str, set[str]] = {}
        self._guard = threading.Lock()

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        check_name(name)
        with self._guard:
            if name in self._objects:
                return False
            self._objects[name] = bytes(data)
            for directory, entry in _entries(name):
                self._directories.setdefault(directory, set()).add(entry)
            return True

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`."""
        if not self.appends:
            raise LogError(f"{self.name}: keeps objects as they were put; nothing can be appended to {name}")
        check_name(name)
        with self._guard:
            before = self._object(name)
            if not 0 <= at <= len(before):
                raise LogError(f"{self.name}: {name} has {len(before)} bytes, nothing can be appended at byte {at}")
            self._objects[name] = before[:at] + data + before[at + len(data) :]

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        check_range(start, length)
        check_name(name)
        with self._guard:
            return self._object(name)[start : None if length is None else start + length]

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        check_directory(directory)
        with self._guard:
            return sorted(entry for entry in self._directories.get(directory, ()) if entry > after)

    def delete(self, name: str) -> None:
        """See `Storage`."""
        check_name(name)
        with self._guard:
            if self._objects.pop(name, None) is None:
                return
            for directory, entry in _entries(name):
                self._directories[directory].discard(entry)
                if self._directories[directory]:
                    return
                del self._directories[directory]

    def _object(self, name: str) -> bytes:
        try:
            return self._objects[name]
        except KeyError:
            raise ObjectMissing(f"{self.name}: there is no object {name}") from None


def _entries(name: str) -> list[tuple[str, str]]:
    """Each directory that the object is under and what stands for it there, from the innermost out."""
    entries = []
    directory, _, entry = name.rpartition("/")
    entries.append((directory, entry))
    while directory:
        directory, _, entry = directory.rpartition("/")
        entries.append((directory, f"{entry}/"))
    return entries
