"""What a log does, whoever implements it: append groups, reads, committed offsets.

A shard has one writer and is a chain of append groups; a group holds batches of records for any of the shard's partitions and
consumer offsets, and is there whole or not at all. That is how outputs and the input offsets they came from commit together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from headwater.core.limits import GROUP_LEASE_S

if TYPE_CHECKING:
    from headwater.log.groups import Membership
    from headwater.log.topics import TopicSettings


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


class Producer(msgspec.Struct, frozen=True):
    """Who appends, and which of its appends this is: ``sequence`` grows. A repeated one is appended once."""

    id: str
    sequence: int


class Produced(msgspec.Struct, frozen=True):
    """An append of a producer that is there, with the first offset of each of its batches."""

    id: str
    sequence: int
    firsts: tuple[int, ...]


class AppendGroup(msgspec.Struct, frozen=True):
    """One atomic step. ``state`` is kept with it under its name (small JSON; `Log.state` gives the last one of a name).

    With a ``producer``, the group may be appended again when the first answer was lost: it is there once, and the same offsets
    are given again. A shard remembers the last PRODUCER_SEQUENCES_MAX appends of the PRODUCERS_MAX producers that appended last.
    """

    batches: tuple[Batch, ...] = ()
    commits: tuple[Commit, ...] = ()
    state: tuple[tuple[str, bytes], ...] = ()
    producer: Producer | None = None


class Fetch(msgspec.Struct, frozen=True):
    """Records read: ``data`` starts with the record at ``first_offset``; read on at ``next_offset``. No data: none yet.

    ``first_offset`` is greater than what was asked for where records before it are damaged on every site.
    """

    data: bytes
    first_offset: int
    next_offset: int


class ShardWriter(Protocol):
    """The one writer of a shard. Safe to call from several threads; concurrent appends share an fsync."""

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        """Makes the group durable (written, CRC'd, fsynced) and gives the first offset of each batch, in order.

        Raises LogUnavailable where it cannot be written now (disk full): then nothing of it is ever read, and a later append
        may succeed. Raises AppendInDoubt or Overtaken where nobody knows whether it is there: this writer is done for; open the
        shard again, and go on from what is committed. Raises LogError after `close`, and for a sequence that is too old.
        """
        ...

    def close(self) -> None:
        """Waits for appends under way and gives the shard up. A second call does nothing."""
        ...


class Log(Protocol):
    """Topics and shards at one place."""

    def writer(self, shard: str) -> ShardWriter:
        """Opens the shard for writing, after recovery; another process that wrote it gets Overtaken at its next append.

        Raises LogError where this log has a writer of it already, LogUnavailable, CorruptLog.
        """
        ...

    def create_topic(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """Settles partitions, retention and durability of a topic; one that nobody creates comes into being with the defaults.

        Raises LogError where it exists with other settings, LogUnavailable.
        """
        ...

    def topic(self, topic: str) -> TopicSettings:
        """The settings of a topic, or the defaults, as they were within the last few seconds."""
        ...

    def join(self, group: str, member: str, topics: Mapping[str, int], lease_s: float = GROUP_LEASE_S) -> Membership:
        """Takes part in a consumer group under a name that no other process has: see `Membership`. Nothing is asked yet."""
        ...

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic that hold anything, sorted."""
        ...

    def topics(self) -> tuple[str, ...]:
        """The topics that hold anything, sorted."""
        ...

    def start_offset(self, topic: str, partition: int) -> int:
        """The first offset that is still there; retention moves it."""
        ...

    def end_offset(self, topic: str, partition: int) -> int:
        """One past the last durable record; 0 for a partition that holds nothing."""
        ...

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """Where to read from to get what was received at ``time_ms`` (since 1970, UTC) or later; the end where there is nothing.

        Takes it that received times grow within a partition; where a clock was set back, it may be a record before or after.
        """
        ...

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """Whole records from ``offset`` on, at most ``bytes_max`` bytes unless the first alone is larger. Raises CorruptLog."""
        ...

    def read_many(self, topic: str, offsets: Mapping[int, int], bytes_max: int) -> dict[int, Fetch]:
        """What follows in some of these partitions, each from its offset on: for who reads many, of which each holds little.

        About ``bytes_max`` bytes in all. Only partitions of which something was found: where none, all are at their end.
        Raises as `read` does.
        """
        ...

    def wait(self, seconds: float) -> bool:
        """Blocks until this log saw something appended since the last call (True), or the time is over (False)."""
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
