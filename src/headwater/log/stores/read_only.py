"""A storage for who only looks: what would change it is refused, whatever the code above means to do."""

from __future__ import annotations

import builtins
from typing import NoReturn

from headwater.core.errors import StorageUnavailable
from headwater.log.storage import Storage


class ReadOnlyStorage:
    """A `Storage` that is another one, to be read only.

    Changes raise StorageUnavailable, as those of a site that does not answer: who reads a ledger goes on without them.
    """

    def __init__(self, storage: Storage) -> None:
        self.name = storage.name
        self.appends = storage.appends
        self._storage = storage
        self.get = storage.get

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """Refused."""
        self._refuse(name)

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """Refused."""
        self._refuse(name)

    def delete(self, name: str) -> None:
        """Refused."""
        self._refuse(name)

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        return self._storage.list(directory, after)

    def _refuse(self, name: str) -> NoReturn:
        raise StorageUnavailable(f"{self.name}/{name}: not changed: the log is open for reading only")
