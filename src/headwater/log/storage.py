"""What the log asks of a place that keeps objects: a directory, an object store, HDFS. Everything else is decided above it.

Names are paths of `/`-separated parts. An object is put once, under a name that was free, and is whole or not there at all. A
storage with ``appends`` also lets one writer make the object longer; the others hold each object as it was put. What a name may
have: `stores/names.py`; no name is also a directory of others. Every implementation passes `testing/storage_conformance.py`.
"""

from __future__ import annotations

from typing import Protocol

from headwater.core.errors import ObjectMissing, StorageFull, StorageUnavailable

__all__ = ["ObjectMissing", "Storage", "StorageFull", "StorageUnavailable"]


class Storage(Protocol):
    """One site's objects. Every method blocks, is safe to call from several threads, and raises StorageUnavailable.

    What one call did is seen by every call that begins after it returned, from any process (linearizable). ``name`` stands in
    messages and never holds a secret.
    """

    name: str
    appends: bool

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """Keeps the object if the name is free: True, and it is durable (unless not ``sync``). False: the name is taken.

        Whole or not at all, whenever the process is killed; with ``sync`` also whenever the machine stops. Raises
        StorageFull: nothing was kept; StorageUnavailable: unknown.
        """
        ...

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """Writes the data at byte ``at`` of an object that has as many bytes or more; what stands behind the data stays.

        So a write that comes late, after somebody else finished what it began, changes nothing.
        All of the object is durable on return (unless not ``sync``); with no data that is all it does. Only where ``appends``.
        After a failure the object is not to be appended to again by this process: the system may have dropped the bytes and call
        the next sync a success. Raises StorageFull, StorageUnavailable, ObjectMissing.
        """
        ...

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """At most ``length`` bytes from ``start`` on; fewer at the end only (none at or past it). Raises ObjectMissing."""
        ...

    def list(self, directory: str, after: str = "") -> list[str]:
        """What lies directly in a directory, sorted, from behind ``after`` on; directories end with ``/``.

        ``directory`` is ``""`` for the top, and has no ``/`` at its end otherwise. Nothing where there is no such directory. One
        whose objects were all deleted may be listed by the directory above it, or not.
        """
        ...

    def delete(self, name: str) -> None:
        """Removes an object; one that is not there is fine."""
        ...
