"""The state of a consumer group and the changes of it, as they are stored. See `docs/formats/journal.md`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from headwater.core.errors import StaleGeneration
from headwater.log.assignment import Owned, Unit, assign
from headwater.log.envelope import Shape


class Member(msgspec.Struct):
    """A member. ``topics``: those it takes, with their number of partitions. ``token`` tells it from others of its name.

    ``joined``, ``entry``: the numbers of its join and of its last entry; ``sequence``: of its last change, by its own count.
    ``seen_ms``: the wall clock of its machine then, for people.
    """

    topics: dict[str, int]
    token: int
    lease_s: float
    host: str
    joined: int
    entry: int
    sequence: int
    seen_ms: int


class Holding(msgspec.Struct, array_like=True):
    """A unit: its owner ("" is nobody) since the entry ``since``, whether it is to give it up, and the committed offset."""

    owner: str = ""
    since: int = -1
    going: bool = False
    next_offset: int | None = None


class GroupState(msgspec.Struct, tag="state"):
    """A whole group. ``generation``: the number of the last change of members. Of each topic a list of partitions from 0 on."""

    group: str
    generation: int = -1
    members: dict[str, Member] = {}
    units: dict[str, list[Holding]] = {}

    def holding(self, unit: Unit) -> Holding | None:
        """What is known of a unit."""
        holdings = self.units.get(unit[0], [])
        return holdings[unit[1]] if 0 <= unit[1] < len(holdings) else None

    def holdings(self) -> Iterator[tuple[Unit, Holding]]:
        """All units, in order of topics and partitions."""
        for topic in sorted(self.units):
            for partition, holding in enumerate(self.units[topic]):
                yield (topic, partition), holding


class Join(msgspec.Struct, tag="join"):
    """A member comes, or comes anew (another token: what it had is free), or takes other topics (the same token)."""

    member: str
    topics: dict[str, int]
    token: int
    lease_s: float
    host: str
    sequence: int
    seen_ms: int


class Beat(msgspec.Struct, tag="beat"):
    """A member lives."""

    member: str
    sequence: int
    seen_ms: int


class Release(msgspec.Struct, tag="release"):
    """A member has ended its work on these of its units."""

    member: str
    sequence: int
    seen_ms: int
    units: list[Unit]


class Offsets(msgspec.Struct, tag="offsets"):
    """A member has come so far: (topic, partition, since when it has it, next offset)."""

    member: str
    sequence: int
    seen_ms: int
    offsets: list[tuple[str, int, int, int]]


class Leave(msgspec.Struct, tag="leave"):
    """A member goes, and has ended all its work."""

    member: str


class Expel(msgspec.Struct, tag="expel"):
    """A member of which nothing is seen. ``by`` saw its entry ``entry`` last."""

    member: str
    entry: int
    by: str


Change = Join | Beat | Release | Offsets | Leave | Expel
SHAPE: Shape[GroupState | Change] = Shape("an entry of a consumer group", b"\xf5HWG", 1, GroupState | Change, numbered=True)


def apply(state: GroupState, number: int, change: Change) -> None:
    """What the entry with that number does to the state. What its member may not do, or not any more, does nothing."""
    member = state.members.get(change.member)
    if isinstance(change, Join):
        _join(state, number, change)
    elif member is None:
        return
    elif isinstance(change, Leave) or (isinstance(change, Expel) and change.entry == member.entry):
        _remove(state, number, change.member)
    elif not isinstance(change, Expel):
        if isinstance(change, Offsets):
            if not all(is_owner(state, change.member, (topic, n), since) for topic, n, since, _ in change.offsets):
                return
            for topic, partition, _, next_offset in change.offsets:
                state.units[topic][partition].next_offset = next_offset
        member.entry, member.sequence, member.seen_ms = number, change.sequence, change.seen_ms
        if isinstance(change, Release):
            _free(state, change.member, change.units)
            rebalance(state, number)


def is_owner(state: GroupState, member: str, unit: Unit, since: int) -> bool:
    """Whether the member has the unit, and has had it ever since that entry."""
    holding = state.holding(unit)
    return holding is not None and holding.owner == member and holding.since == since


def check_owner(state: GroupState, member: str, unit: Unit, since: int | None) -> None:
    """Raises StaleGeneration, saying what holds now, unless the member has had the unit since that entry."""
    if since is not None and is_owner(state, member, unit, since):
        return
    holding = state.holding(unit)
    now = f"{holding.owner} has it since {holding.since}" if holding is not None and holding.owner else "nobody has it"
    had = "does not have it" if since is None else f"had it since {since}"
    raise StaleGeneration(
        f"group {state.group}: {member} cannot commit for {unit[0]}/{unit[1]}: it {had}; now {now} "
        f"(generation {state.generation})"
    )


def _join(state: GroupState, number: int, change: Join) -> None:
    before = state.members.get(change.member)
    if before is not None and before.token != change.token:
        _free(state, change.member, [unit for unit, _ in state.holdings()])
    state.members[change.member] = Member(
        topics=change.topics,
        token=change.token,
        lease_s=change.lease_s,
        host=change.host,
        joined=before.joined if before is not None and before.token == change.token else number,
        entry=number,
        sequence=change.sequence,
        seen_ms=change.seen_ms,
    )
    for topic, count in sorted(change.topics.items()):
        holdings = state.units.setdefault(topic, [])
        holdings += [Holding() for _ in range(count - len(holdings))]
    state.generation = number
    rebalance(state, number)


def _remove(state: GroupState, number: int, member: str) -> None:
    _free(state, member, [unit for unit, _ in state.holdings()])
    del state.members[member]
    state.generation = number
    rebalance(state, number)


def _free(state: GroupState, member: str, units: list[Unit]) -> None:
    for unit in units:
        holding = state.holding(unit)
        if holding is not None and holding.owner == member:
            holding.owner, holding.going = "", False


def rebalance(state: GroupState, number: int) -> None:
    """Gives units that nobody has to whom they should go, and asks for those that another should have."""
    owned = {unit: Owned(holding.owner, holding.going) if holding.owner else None for unit, holding in state.holdings()}
    should = assign({name: member.topics for name, member in state.members.items()}, owned)
    for unit, holding in state.holdings():
        owner = should.get(unit, "")
        if not holding.owner:
            if owner:
                holding.owner, holding.since = owner, number
        else:
            holding.going = holding.owner != owner
