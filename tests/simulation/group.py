"""A consumer group in a simulated world: members that work, die, pause, leave and come back, while sites fail."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from headwater.core.errors import Overtaken, StaleGeneration
from headwater.log.assignment import Unit
from headwater.log.group_state import GroupState
from headwater.log.groups import DIRECTORY, Membership
from headwater.log.storage import StorageUnavailable
from headwater.log.takeover import Sites
from headwater.testing.simulation import FaultPlan, Process, World

GROUP, TOPICS = "g", {"class": 5}
MEMBERS = 3
LEASE_S = 3.0
SNAPSHOT_ENTRIES = 4
SECONDS = 16.0
# After the last fault all units must be at work, evenly, within this. A single site may be stuck for minutes even then.
CALM_S, CALM_ALONE_S = 60.0, 600.0
PLAN = FaultPlan(
    seconds=SECONDS,
    cuts=5.0,
    kills=8.0,
    pauses=10.0,
    power_cuts=3.0,
    erasures=3.0,
    full_disks=3.0,
    failing_sites=5.0,
    slow_sites=3.0,
    lasts_s=3.0,
)


class Group:
    """A world with one group; `play` raises AssertionError where a promise is broken."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        stores = [self.world.site(name) for name in "abc"[: 1 if seed % 8 == 7 else 3]]
        self.stores = stores
        self.sites = Sites(tuple(stores))
        self.acknowledged: dict[Unit, dict[int, str]] = defaultdict(dict)
        self.owners: dict[tuple[Unit, int], str] = {}
        self.memberships: dict[str, Membership] = {}
        self.refused = self.unknown = self.moved = 0
        self.is_over = False
        self.erased_s = -SECONDS

    def play(self) -> Group:
        """Plays it to its end, and looks at everything."""
        with self.world as world:
            for number in range(MEMBERS):
                world.process(f"w{number}", self.work, on=self.stores[number % len(self.stores)])
            replace(PLAN.some(world), allows=self.allows).unleash(world)
            world.run(SECONDS)
            checker = world.process("checker").start(self.check)
            world.run()
            checker.join()
        return self

    def work(self, process: Process) -> None:
        """Counts up the offset of each unit that it has, by one at a time; leaves now and then."""
        runtime, chance = process.runtime, process.runtime.random
        self.memberships.pop(process.name, None)
        membership = Membership(GROUP, self.sites, runtime, process.name, TOPICS, "", LEASE_S, SNAPSHOT_ENTRIES, 0.0)
        self.memberships[process.name] = membership
        at: dict[Unit, int] = {}
        while not self.is_over:
            runtime.sleep(chance() * 0.8)
            try:
                assignment = membership.poll()
                self.see_added(process.name, membership, assignment.added)
                if assignment.removed:
                    # Work that was begun is ended, unless the unit was lost.
                    for unit in assignment.removed:
                        self.commit(process.name, membership, at, [unit] if unit in at and chance() < 0.5 else [])
                    membership.release(assignment.removed)
                at = {unit: at.get(unit, membership.committed(unit) or 0) for unit in assignment.units}
                if chance() < 0.6:
                    self.commit(process.name, membership, at, list(at))
                if chance() < 0.01 and self.world.now < SECONDS:
                    at = {}
                    membership.leave()
                    runtime.sleep(chance() * 4)
            except StorageUnavailable:
                self.unknown += 1
                at = {}
            except Overtaken as e:
                raise AssertionError(f"{process}: nobody else has its name") from e

    def commit(self, name: str, membership: Membership, at: dict[Unit, int], of: list[Unit]) -> None:
        """One more of each of these units. ``at`` is how far the member knows itself to have come."""
        since = dict(membership._told)
        try:
            membership.commit({unit: at[unit] + 1 for unit in of})
        except StaleGeneration:
            self.refused += 1
            for unit in of:
                del at[unit]
            return
        for unit in of:
            at[unit] += 1
            by = f"{name}, which has it since {since[unit]}"
            before = self.acknowledged[unit].setdefault(at[unit], by)
            assert before is by, f"{unit}: {at[unit]} was acknowledged to {before}; and to {by}"
            owner = self.owners.setdefault((unit, since[unit]), name)
            assert owner == name, f"{unit}: {owner} and {name} both committed with {since[unit]}"

    def see_added(self, name: str, mine: Membership, added: tuple[Unit, ...]) -> None:
        """Nobody who is a member still works on a unit that another has got after it."""
        state: GroupState = mine._journal.state
        self.moved += len(added)
        for other, theirs in self.memberships.items():
            member = state.members.get(other)
            if other == name or member is None or member.token != theirs._token:
                continue
            for unit in added:
                since = theirs._told.get(unit, -1)
                assert not member.joined <= since < mine._told[unit], f"{unit}: {name} gets it, and {other} has it since {since}"

    def allows(self, kind: str, name: str) -> bool:
        """Of three sites one may be erased where the others have the same entries and nothing else is wrong."""
        if kind != "erasures":
            return True
        stores = self.stores
        calm = not self.world.cuts and not any(site.trouble() for site in stores)
        if len(stores) < 3 or not calm or self.world.now < self.erased_s + 8:
            return False
        kept = [{each: site.disk.seen.get(each) for each in site.disk.names} for site in stores]
        others = [each for each, site in zip(kept, stores, strict=True) if site.name != name]
        if others[0] != others[1] or not all(any(each.endswith("/voter") for each in names) for names in kept):
            return False
        self.erased_s = self.world.now
        return True

    def check(self, process: Process) -> None:
        """All units are at work again, evenly; and what was acknowledged is there."""
        observer = Membership(GROUP, self.sites, process.runtime, "observer", {}, "", LEASE_S, SNAPSHOT_ENTRIES)
        before = {unit: max(found, default=0) for unit, found in self.acknowledged.items()}
        state = GroupState(GROUP)
        calm_s = CALM_S if len(self.stores) > 1 else CALM_ALONE_S
        while self.world.now < SECONDS + calm_s:
            process.runtime.sleep(0.5)
            try:
                observer._journal.refresh()
            except StorageUnavailable:
                continue
            state = observer._journal.state
            if self.is_even(state) and all(max(self.acknowledged[unit], default=0) > before.get(unit, 0) for unit in units()):
                break
        else:
            raise AssertionError(f"{calm_s} s after the last fault not all units are at work: {state}; {self.acknowledged}")
        self.is_over = True
        for unit in units():
            holding = state.holding(unit)
            assert holding is not None
            assert (holding.next_offset or 0) >= before.get(unit, 0), f"{unit}: {holding} after {before[unit]} was acknowledged"
        for site in self.stores:
            names = [each for each in site.disk.names if each.startswith(DIRECTORY)]
            assert len(names) < 40 + 12 * SNAPSHOT_ENTRIES, f"{site.name} has {len(names)} entries: nothing is removed"

    def is_even(self, state: GroupState) -> bool:
        loads = [sum(holding.owner == name for _, holding in state.holdings()) for name in state.members]
        whole = all(holding.owner and not holding.going for _, holding in state.holdings())
        return len(loads) == MEMBERS and whole and max(loads) - min(loads) <= 1


def units() -> list[Unit]:
    return [(topic, partition) for topic, count in TOPICS.items() for partition in range(count)]
