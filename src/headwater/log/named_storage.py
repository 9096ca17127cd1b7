"""A storage under the name that a log's settings give it: the place may move, the name is what manifests hold.

Calls that never return, as on a mount whose server is gone, would use up the threads of the log. So only a few may be unanswered
for long; further ones fail at once, until one of them returns.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headwater.core.clock import monotonic_s
from headwater.core.limits import SITE_LOST_S, STUCK_CALLS_MAX
from headwater.log.storage import Storage, StorageUnavailable

T = TypeVar("T")
P = ParamSpec("P")


class NamedStorage:
    """A `Storage` that is another one, by a name of its own."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.appends = storage.appends
        self._storage = storage
        self._numbers = itertools.count()
        self._began: dict[int, float] = {}  # Calls under way, the oldest first.

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        return self._call(self._storage.put, name, data, sync)

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`."""
        self._call(self._storage.append, name, at, data, sync)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        return self._call(self._storage.get, name, start, length)

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        return self._call(self._storage.list, directory, after)

    def delete(self, name: str) -> None:
        """See `Storage`."""
        self._call(self._storage.delete, name)

    def _call(self, what: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        now = monotonic_s()
        if len(self._began) >= STUCK_CALLS_MAX:
            stuck = [began for began in builtins.list(self._began.values()) if now - began > SITE_LOST_S]
            if len(stuck) >= STUCK_CALLS_MAX:
                raise StorageUnavailable(f"site {self.name}: {len(stuck)} calls are unanswered for {now - min(stuck):.0f} s")
        number = next(self._numbers)
        self._began[number] = now
        try:
            return what(*given, **named)
        finally:
            del self._began[number]
