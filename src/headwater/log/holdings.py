"""What a log knows without reading records: where partitions begin and end, committed offsets, named states, producers."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from headwater.core.errors import CorruptLog, LogError
from headwater.core.limits import PRODUCER_SEQUENCES_MAX, PRODUCERS_MAX
from headwater.log.commit import Held
from headwater.log.interface import AppendGroup, Commit, Produced, Producer

Place = tuple[str, int]


class Holdings:
    """What one shard holds. Not safe by itself: its log holds a lock around every call."""

    def __init__(self) -> None:
        self.ends: dict[Place, int] = {}
        self.commits: dict[tuple[str, str, int], int] = {}
        self.states: dict[str, bytes] = {}
        # Oldest first: of a producer, and of the producers by their last append.
        self.produced: dict[str, list[Produced]] = {}

    def take(self, commits: Iterable[Commit], states: Iterable[tuple[str, bytes]], produced: Iterable[Produced]) -> None:
        """Takes in what a group or a checkpoint has, in order: the last one of a name counts."""
        for commit in commits:
            self.commits[commit.group, commit.topic, commit.partition] = commit.next_offset
        self.states.update(states)
        for one in produced:
            known = self.produced.pop(one.id, [])
            known.append(one)
            self.produced[one.id] = known[-PRODUCER_SEQUENCES_MAX:]
        while len(self.produced) > PRODUCERS_MAX:
            del self.produced[next(iter(self.produced))]

    def repeated(self, producer: Producer) -> tuple[int, ...] | None:
        """The offsets that an append of this producer and sequence got before; None where it is new.

        Raises LogError where it is older than all that is remembered, so that nobody can tell.
        """
        known = self.produced.get(producer.id, [])
        for one in known:
            if one.sequence == producer.sequence:
                return one.firsts
        if known and producer.sequence < known[-1].sequence:
            raise LogError(
                f"producer {producer.id} appends sequence {producer.sequence} after {known[-1].sequence}; they grow, and the "
                f"last {PRODUCER_SEQUENCES_MAX} may be repeated"
            )
        return None

    def checkpoint(self) -> Held:
        """All of it, as a segment header has it."""
        ends = sorted((topic, partition, end) for (topic, partition), end in self.ends.items())
        commits = tuple(
            Commit(group=g, topic=t, partition=p, next_offset=next_offset) for (g, t, p), next_offset in self.commits.items()
        )
        produced = tuple(one for known in self.produced.values() for one in known)
        return Held(ends, commits, tuple(sorted(self.states.items())), produced)


class Owners:
    """Which shard holds what: a partition, an offset of a group, a state belong to one. Its log locks around every call."""

    def __init__(self) -> None:
        self._shards: dict[str, Holdings] = {}
        self._partitions: dict[Place, str] = {}
        self._commits: dict[tuple[str, str, int], str] = {}
        self._states: dict[str, str] = {}
        self._numbers: dict[str, list[int]] = {}
        self.unread: dict[str, str] = {}  # Shards of which nothing could be read, because of damage, and why.

    def of(self, shard: str) -> Holdings:
        """What a shard holds; nothing yet where it is new."""
        return self._shards.setdefault(shard, Holdings())

    def forget(self, shard: str) -> None:
        """Drops all that a shard holds, before it is read anew. What it owns stays its own."""
        self._shards[shard] = Holdings()

    def claim(self, shard: str, group: AppendGroup) -> None:
        """Makes the shard the owner of what the group names. Raises LogError where another shard is: one writer each.

        As everything here does, CorruptLog for what belongs to no shard that could be read, while there are others.
        """
        if self.unread:
            self._check_all_known(group)
        self.claim_partitions(shard, ((batch.topic, batch.partition) for batch in group.batches))
        self.claim_names(shard, group.commits, group.state)

    def claim_partitions(self, shard: str, places: Iterable[Place]) -> None:
        """See `claim`."""
        for place in places:
            owner = self._partitions.get(place)
            if owner is None:
                self._partitions[place] = shard
            elif owner != shard:
                raise _foreign("partition", f"{place[0]}/{place[1]}", owner, shard)

    def claim_names(self, shard: str, commits: Iterable[Commit], states: Iterable[tuple[str, bytes]]) -> None:
        """See `claim`."""
        for commit in commits:
            owner = self._commits.setdefault((commit.group, commit.topic, commit.partition), shard)
            if owner != shard:
                raise _foreign("commit", f"{commit.group}/{commit.topic}/{commit.partition}", owner, shard)
        for name, _ in states:
            owner = self._states.setdefault(name, shard)
            if owner != shard:
                raise _foreign("state", name, owner, shard)

    def extend(self, shard: str, place: Place, next_offset: int) -> None:
        """A partition of the shard now ends at ``next_offset``."""
        ends = self._shards[shard].ends
        if place not in ends:
            numbers = self._numbers.setdefault(place[0], [])
            if place[1] not in numbers:
                insort(numbers, place[1])
        ends[place] = next_offset

    def owner(self, topic: str, partition: int) -> str | None:
        """The shard that holds a partition."""
        return self._known(self._partitions.get((topic, partition)), f"{topic}/{partition}")

    def _check_all_known(self, group: AppendGroup) -> None:
        for batch in group.batches:
            self.end(batch.topic, batch.partition)
        for commit in group.commits:
            self.committed(commit.group, commit.topic, commit.partition)
        for name, _ in group.state:
            self.state(name)

    def _known(self, owner: str | None, what: str) -> str | None:
        if owner is None and self.unread:
            shard, why = min(self.unread.items())
            raise CorruptLog(f"{what} may belong to shard {shard}, which cannot be read: {why}")
        return owner

    def end(self, topic: str, partition: int) -> int:
        """One past the last record; 0 where there is none."""
        owner = self.owner(topic, partition)
        return 0 if owner is None else self._shards[owner].ends.get((topic, partition), 0)

    def commits(self) -> list[Commit]:
        """Where every group is, sorted."""
        found = [(*place, self._shards[shard].commits.get(place, 0)) for place, shard in sorted(self._commits.items())]
        return [Commit(*each) for each in found]

    def committed(self, group: str, topic: str, partition: int) -> int:
        """Where the group goes on."""
        owner = self._known(self._commits.get((group, topic, partition)), f"{group} in {topic}/{partition}")
        return 0 if owner is None else self._shards[owner].commits.get((group, topic, partition), 0)

    def state(self, name: str) -> bytes | None:
        """The last state of that name."""
        owner = self._known(self._states.get(name), f"state {name}")
        return None if owner is None else self._shards[owner].states.get(name)

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic that hold anything, sorted."""
        return tuple(self._numbers.get(topic, ()))

    def topics(self) -> tuple[str, ...]:
        """The topics that hold anything, sorted."""
        return tuple(sorted(self._numbers))


def _foreign(kind: str, name: str, owner: str, shard: str) -> LogError:
    return LogError(f"{kind} {name} belongs to shard {owner}; shard {shard} cannot write it")
