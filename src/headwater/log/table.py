"""What a log knows without reading records: where partitions end, who owns them, committed offsets and named states."""

from __future__ import annotations

import re

from headwater.core.errors import LogError
from headwater.core.limits import APPEND_PENDING_BYTES_MAX
from headwater.kernel import Packed
from headwater.log.interface import AppendGroup, Commit

_SHARD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_NAME_BYTES_MAX = 1024
_OFFSET_MAX = 2**63 - 1


def check_shard_name(shard: str) -> None:
    """Raises LogError where the text cannot name a shard (and so a directory)."""
    if not _SHARD.fullmatch(shard):
        raise LogError(
            f"a shard cannot be named {shard!r}; valid are at most 100 of a-z 0-9 _ . - that begin with a letter or digit"
        )


def check_group(group: AppendGroup) -> int:
    """The bytes of a group. Raises LogError where no log could hold it: then the writer is not even asked."""
    size = 0
    for batch in group.batches:
        _check_place(batch.topic, batch.partition)
        size += len(batch.data)
    for commit in group.commits:
        _check_name("a consumer group", commit.group)
        _check_place(commit.topic, commit.partition)
        if not 0 <= commit.next_offset <= _OFFSET_MAX:
            place = f"{commit.topic}/{commit.partition}"
            raise LogError(f"{commit.group} cannot commit {commit.next_offset} in {place}; valid are 0 to 2^63-1")
    for name, state in group.state:
        _check_name("a state", name)
        size += len(state)
    if size > APPEND_PENDING_BYTES_MAX:
        raise LogError(f"an append group of {size} bytes is larger than {APPEND_PENDING_BYTES_MAX}; append it in several")
    return size


def _check_name(what: str, name: str) -> None:
    if not 0 < len(name.encode()) <= _NAME_BYTES_MAX:
        raise LogError(f"the name of {what} has {len(name.encode())} bytes; valid are 1 to {_NAME_BYTES_MAX}")


def _check_place(topic: str, partition: int) -> None:
    _check_name("a topic", topic)
    if not 0 <= partition < 2**32:
        raise LogError(f"{topic} cannot have a partition {partition}; valid are 0 to 2^32-1")


def pack_group(group: AppendGroup) -> Packed:
    """The group's batches, ready for a block. Raises LogError where one is not the records that it says."""
    try:
        return Packed([(batch.topic, batch.partition, batch.count, batch.data) for batch in group.batches])
    except ValueError as e:
        raise LogError(str(e)) from None


class Table:
    """Ends, owners, commits and states over all shards. Not safe by itself: its log holds a lock around every call."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._owners: dict[tuple[str, ...], str] = {}
        self._commits: dict[tuple[str, str, int], int] = {}
        self._states: dict[str, bytes] = {}

    def claim(self, shard: str, group: AppendGroup) -> None:
        """Makes the shard the owner of what the group names. Raises LogError where another shard is: one writer each."""
        names: list[tuple[str, ...]] = [("partition", b.topic, str(b.partition)) for b in group.batches]
        names += [("commit", c.group, c.topic, str(c.partition)) for c in group.commits]
        names += [("state", name) for name, _ in group.state]
        for name in names:
            owner = self._owners.get(name, shard)
            if owner != shard:
                raise LogError(f"{name[0]} {'/'.join(name[1:])} belongs to shard {owner}; shard {shard} cannot write it")
        self._owners.update((name, shard) for name in names)

    def owner(self, topic: str, partition: int) -> str | None:
        """The shard that holds a partition."""
        return self._owners.get(("partition", topic, str(partition)))

    def forget(self, shard: str) -> None:
        """Drops all that the shard wrote, before it is read anew."""
        mine = {name for name, owner in self._owners.items() if owner == shard}
        for name in mine:
            del self._owners[name]
        self._ends = {k: v for k, v in self._ends.items() if ("partition", k[0], str(k[1])) not in mine}
        self._partitions = {}
        for topic, partition in self._ends:
            self._partitions[topic] = tuple(sorted((*self._partitions.get(topic, ()), partition)))
        self._commits = {k: v for k, v in self._commits.items() if ("commit", k[0], k[1], str(k[2])) not in mine}
        self._states = {k: v for k, v in self._states.items() if ("state", k) not in mine}

    def extend(self, topic: str, partition: int, next_offset: int) -> None:
        """A partition now ends at ``next_offset``."""
        if (topic, partition) not in self._ends:
            self._partitions[topic] = tuple(sorted((*self._partitions.get(topic, ()), partition)))
        self._ends[topic, partition] = next_offset

    def commit(self, commits: tuple[Commit, ...], states: tuple[tuple[str, bytes], ...]) -> None:
        """Takes commits and states in, in order: the last one of a name counts."""
        for commit in commits:
            self._commits[commit.group, commit.topic, commit.partition] = commit.next_offset
        self._states.update(states)

    def end(self, topic: str, partition: int) -> int:
        """One past the last record; 0 where there is none."""
        return self._ends.get((topic, partition), 0)

    def committed(self, group: str, topic: str, partition: int) -> int:
        """Where the group goes on."""
        return self._commits.get((group, topic, partition), 0)

    def state(self, name: str) -> bytes | None:
        """The last state of that name."""
        return self._states.get(name)

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic that hold anything, sorted."""
        return self._partitions.get(topic, ())

    def topics(self) -> tuple[str, ...]:
        """The topics that hold anything, sorted."""
        return tuple(sorted(self._partitions))

    def of_shard(self, shard: str) -> tuple[list[tuple[str, int, int]], tuple[Commit, ...], tuple[tuple[str, bytes], ...]]:
        """What the shard wrote: (topic, partition, end) of each partition, commits, states. The start of its next segment."""
        own = self._owners
        ends = [(t, p, end) for (t, p), end in self._ends.items() if own.get(("partition", t, str(p))) == shard]
        commits = [
            Commit(group=g, topic=t, partition=p, next_offset=next_offset)
            for (g, t, p), next_offset in self._commits.items()
            if own.get(("commit", g, t, str(p))) == shard
        ]
        states = [(name, state) for name, state in self._states.items() if own.get(("state", name)) == shard]
        return sorted(ends), tuple(commits), tuple(sorted(states))
