"""Consumer groups: members share units, each has one owner at a time, and commits of who is it no more are refused.

A group is a journal of its own. There is no coordinator: every member reads the journal, expels whom it sees no more, and works
out who has what from the same state by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from headwater.core.clock import now_ms
from headwater.core.errors import LogError, Overtaken
from headwater.core.limits import (
    GROUP_LEASE_S,
    GROUP_LOOK_S,
    GROUP_MEMBER_NAME_BYTES_MAX,
    GROUP_MEMBERS_MAX,
    GROUP_UNITS_MAX,
)
from headwater.log.assignment import Unit
from headwater.log.group_state import (
    SHAPE,
    Beat,
    Change,
    Expel,
    GroupState,
    Holding,
    Join,
    Leave,
    Member,
    Offsets,
    Release,
    apply,
    check_owner,
)
from headwater.log.journal import SNAPSHOT_ENTRIES, Journal, check_name, part_of
from headwater.log.runtime import Runtime
from headwater.log.takeover import Sites, each

DIRECTORY = "_groups"
_BEATS_IN_LEASE = 4


class Assignment(NamedTuple):
    """What a member is to work on: ``units``, each with the number of the entry since which it has it.

    ``added``: new since the last poll. ``removed``: not to be worked on any more; said again until `Membership.release` confirms
    that the work ended. A unit that was lost and came back is removed first, and added once that is confirmed.
    """

    generation: int
    units: dict[Unit, int]
    added: tuple[Unit, ...]
    removed: tuple[Unit, ...]


class Membership:
    """A process's part in a group. ``topics``: those it takes, with their number of partitions; ``{"class": 8}`` for key classes.

    For one thread at a time, which calls `poll` more often than every quarter of the lease. All calls raise StorageUnavailable
    where no majority of the sites answers (what was under way may hold or come to; call again), and Overtaken once another
    process has joined under the same name. A poll within ``look_s`` after the last one asks no site.
    """

    def __init__(
        self,
        group: str,
        sites: Sites,
        runtime: Runtime,
        member: str,
        topics: Mapping[str, int],
        host: str = "",
        lease_s: float = GROUP_LEASE_S,
        snapshot_entries: int = SNAPSHOT_ENTRIES,
        look_s: float = GROUP_LOOK_S,
    ) -> None:
        check_name("a consumer group's member", member, GROUP_MEMBER_NAME_BYTES_MAX)
        if host:
            check_name("a member's host", host, GROUP_MEMBER_NAME_BYTES_MAX)
        self._name = member
        self._topics = _checked(topics)
        self._host = host
        self._lease_s = lease_s
        self._look_s = look_s
        self._runtime = runtime
        self._token = int(runtime.random() * 2**53)
        self._journal = _journal(group, sites, runtime, snapshot_entries)
        self._sequence = 0
        self._has_joined = False
        self._told: dict[Unit, int] = {}
        self._last_entry = -1
        self._beat_s = 0.0
        # Not all members find the same one dead in the same moment.
        self._patience = 1.0 + 0.1 * runtime.random()
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked_s = runtime.now()

    def poll(self) -> Assignment:
        """Does what is due (joins, tells that it lives, expels who does not), and says what to work on."""
        now = self._runtime.now()
        if now - self._looked_s >= self._look_s or self._mine(self._journal.state) is None:
            self._journal.perform(self._due)
            for name, entry in self._watch(now):
                self._journal.perform(lambda state, name=name, entry=entry: self._expulsion(state, name, entry))  # type: ignore[misc]
        state = self._journal.state
        if self._mine(state) is None:
            # Expelled in this very moment; the next poll joins anew.
            return Assignment(state.generation, {}, (), tuple(self._told))
        mine = {unit: holding.since for unit, holding in state.holdings() if self._keeps(holding)}
        removed = tuple(unit for unit, since in self._told.items() if mine.get(unit) != since)
        added = tuple(unit for unit in mine if unit not in self._told)
        self._told.update({unit: mine[unit] for unit in added})
        units = {unit: since for unit, since in self._told.items() if unit not in removed}
        return Assignment(state.generation, units, added, removed)

    def release(self, units: Iterable[Unit]) -> None:
        """Confirms that the work on units that were removed has ended: others get them now."""
        for unit in units:
            self._told.pop(unit, None)
        self._journal.perform(self._due)

    def commit(self, offsets: Mapping[Unit, int]) -> None:
        """Makes them the next offsets of the group, all or none. Also of units that are to be released: until they are.

        Raises StaleGeneration: some unit is not this member's (any more), and nothing was committed; but if this call had to try
        again and the member was expelled meanwhile, its first try may have been made in time.
        """
        self._sequence += 1
        sequence = self._sequence

        def due(state: GroupState) -> Change | None:
            member = self._mine(state)
            if member is not None and member.sequence >= sequence:
                return None
            for unit in sorted(offsets):
                check_owner(state, self._name, unit, self._told.get(unit) if member is not None else None)
            found = [(*unit, self._told[unit], next_offset) for unit, next_offset in sorted(offsets.items())]
            return Offsets(self._name, sequence, now_ms(), found)

        if offsets:
            self._journal.perform(due)

    def offer(self, topics: Mapping[str, int]) -> None:
        """Takes these topics from now on, with these numbers of partitions: as topics grow, come and go."""
        self._topics = _checked(topics)
        self._journal.perform(self._due)

    def leave(self) -> None:
        """Gives everything up; the work must have ended. `poll` joins again."""
        self._told.clear()
        self._journal.perform(lambda state: Leave(self._name) if self._mine(state) is not None else None)
        self._has_joined = False

    def committed(self, unit: Unit) -> int | None:
        """The next offset of a unit as of the last poll; None where nobody ever committed."""
        holding = self._journal.state.holding(unit)
        return None if holding is None else holding.next_offset

    def _due(self, state: GroupState) -> Change | None:
        member = self._mine(state)
        if member is None or member.topics != self._topics:
            return self._join(state)
        self._has_joined = True
        now = self._runtime.now()
        if member.entry != self._last_entry:
            self._last_entry, self._beat_s = member.entry, now
        ended = [unit for unit, holding in state.holdings() if self._is_to_release(unit, holding)]
        if ended:
            return Release(self._name, self._next_sequence(), now_ms(), ended)
        if now - self._beat_s >= self._lease_s / _BEATS_IN_LEASE:
            return Beat(self._name, self._next_sequence(), now_ms())
        return None

    def _join(self, state: GroupState) -> Join:
        if self._name not in state.members and len(state.members) >= GROUP_MEMBERS_MAX:
            raise LogError(f"group {state.group}: it has {GROUP_MEMBERS_MAX} members; {self._name} cannot join")
        counts = {topic: len(holdings) for topic, holdings in state.units.items()}
        for topic, count in self._topics.items():
            counts[topic] = max(count, counts.get(topic, 0))
        if sum(counts.values()) > GROUP_UNITS_MAX:
            raise LogError(
                f"group {state.group}: with what {self._name} takes it would share {sum(counts.values())} partitions; "
                f"at most {GROUP_UNITS_MAX} are possible"
            )
        return Join(self._name, self._topics, self._token, self._lease_s, self._host, self._next_sequence(), now_ms())

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _mine(self, state: GroupState) -> Member | None:
        member = state.members.get(self._name)
        if member is None or member.token == self._token:
            return member
        if self._has_joined:
            raise Overtaken(
                f"group {state.group}: another process has joined as {self._name}; names of members are all different"
            )
        return None

    def _keeps(self, holding: Holding) -> bool:
        return holding.owner == self._name and not holding.going

    def _is_to_release(self, unit: Unit, holding: Holding) -> bool:
        return holding.owner == self._name and holding.going and self._told.get(unit) != holding.since

    def _watch(self, now: float) -> list[tuple[str, int]]:
        """The members of which nothing was seen for their lease, and their last entries."""
        members = self._journal.state.members
        elapsed, self._looked_s = now - self._looked_s, now
        silent = []
        seen = {}
        for name, member in members.items():
            entry, silent_s = self._seen.get(name, (-1, 0.0))
            # Who could not look for long, as when no site answered, must not take the others for dead at once.
            silent_s = silent_s + min(elapsed, member.lease_s / _BEATS_IN_LEASE) if entry == member.entry else 0.0
            seen[name] = (member.entry, silent_s)
            if name != self._name and silent_s > member.lease_s * self._patience:
                silent.append((name, member.entry))
        self._seen = seen
        return silent

    def _expulsion(self, state: GroupState, name: str, entry: int) -> Expel | None:
        member = state.members.get(name)
        if member is None or member.entry != entry or self._mine(state) is None:
            return None
        return Expel(name, entry, self._name)


def read_group(group: str, sites: Sites, runtime: Runtime) -> GroupState:
    """The group as it is now: members with hosts and leases, units with owners, generations and offsets. For whoever looks on.

    A group that nobody joined yet is empty. Raises StorageUnavailable, CorruptLog.
    """
    journal = _journal(group, sites, runtime, SNAPSHOT_ENTRIES)
    journal.refresh()
    return journal.state


def committed(group: str, sites: Sites, runtime: Runtime) -> dict[Unit, int]:
    """The next offset of each unit that somebody committed. Raises as `read_group` does."""
    holdings = read_group(group, sites, runtime).holdings()
    return {unit: holding.next_offset for unit, holding in holdings if holding.next_offset is not None}


def group_names(sites: Sites, runtime: Runtime) -> list[str]:
    """The names of all groups, sorted. Raises as `read_group` does."""
    listed = each(runtime, (*sites.storages, *sites.witnesses), lambda site: site.list(DIRECTORY))
    parts = sorted({part.rstrip("/") for parts in listed.values() for part in parts})
    states = [_opened(f"{DIRECTORY}/{part}", "", sites, runtime, SNAPSHOT_ENTRIES) for part in parts]
    for journal in states:
        journal.refresh()
    return sorted(journal.state.group for journal in states if journal.state.group)


def _journal(group: str, sites: Sites, runtime: Runtime, snapshot_entries: int) -> Journal[GroupState, Change]:
    check_name("a consumer group", group)
    return _opened(f"{DIRECTORY}/{part_of(group)}", group, sites, runtime, snapshot_entries)


def _opened(directory: str, group: str, sites: Sites, runtime: Runtime, snapshot_entries: int) -> Journal[GroupState, Change]:
    how: Callable[[GroupState, int, Change], None] = apply
    return Journal(sites, directory, runtime, SHAPE, GroupState(group), how, snapshot_entries)


def _checked(topics: Mapping[str, int]) -> dict[str, int]:
    for topic, count in topics.items():
        check_name("a topic", topic)
        if count < 0:
            raise LogError(f"topic {topic} cannot have {count} partitions")
    return dict(sorted(topics.items()))
