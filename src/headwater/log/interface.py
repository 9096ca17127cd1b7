"""What a log does, whoever implements it: append groups, reads, committed offsets.

A shard has one writer and is a chain of append groups; a group holds batches of records for any of the shard's partitions and
consumer offsets, and is there whole or not at all. That is how outputs and the input offsets they came from commit together.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Batch(msgspec.Struct, frozen=True):
    """Records for one partition: ``data`` as `docs/formats/record.md` says, one after the other, ``count`` of them."""

    topic: str
    partition: int
    data: bytes
    count: int


class Commit(msgspec.Struct, frozen=True):
    """How far a consumer group has come in a partition; ``next_offset`` is the first offset that it has not done."""

    group: str
    topic: str
    partition: int
    next_offset: int


class AppendGroup(msgspec.Struct, frozen=True):
    """One atomic step. ``state`` is kept with it under its name (small JSON; `Log.state` gives the last one of a name)."""

    batches: tuple[Batch, ...] = ()
    commits: tuple[Commit, ...] = ()
    state: tuple[tuple[str, bytes], ...] = ()


class Fetch(msgspec.Struct, frozen=True):
    """Records read: ``data`` starts with the record at ``first_offset``; read on at ``next_offset``. No data: none yet."""

    data: bytes
    first_offset: int
    next_offset: int


class ShardWriter(Protocol):
    """The one writer of a shard. Safe to call from several threads; concurrent appends share an fsync."""

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        """Makes the group durable (written, CRC'd, fsynced) and gives the first offset of each batch, in order.

        Raises LogUnavailable where it cannot be written now (disk full): then nothing of it is ever read, and a later append
        may succeed. Raises LogError after `close`.
        """
        ...

    def close(self) -> None:
        """Waits for appends under way and gives the shard up. A second call does nothing."""
        ...


class Log(Protocol):
    """Topics and shards at one place."""

    def writer(self, shard: str) -> ShardWriter:
        """Opens the shard for writing, after recovery. Raises LogError where another process writes it."""
        ...

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic that hold anything, sorted."""
        ...

    def topics(self) -> tuple[str, ...]:
        """The topics that hold anything, sorted."""
        ...

    def end_offset(self, topic: str, partition: int) -> int:
        """One past the last durable record; 0 for a partition that holds nothing."""
        ...

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """Whole records from ``offset`` on, at most ``bytes_max`` bytes unless the first alone is larger. Raises CorruptLog."""
        ...

    def wait(self, seconds: float) -> bool:
        """Blocks until this process appended something since the last call (True), or the time is over (False)."""
        ...

    def committed(self, group: str, topic: str, partition: int) -> int:
        """Where the group goes on; 0 where it never committed."""
        ...

    def state(self, name: str) -> bytes | None:
        """The last durable state of that name."""
        ...

    def close(self) -> None:
        """Closes files and writers."""
        ...
