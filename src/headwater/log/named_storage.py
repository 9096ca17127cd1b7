"""A storage under the name that a log's settings give it: the place may move, the name is what manifests hold."""

from __future__ import annotations

import builtins

from headwater.log.storage import Storage


class NamedStorage:
    """A `Storage` that is another one, by a name of its own."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.appends = storage.appends
        self._storage = storage
        self.put = storage.put
        self.append = storage.append
        self.get = storage.get
        self.delete = storage.delete

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        return self._storage.list(directory, after)
