"""Consumer groups step by step: sharing, moving, committing, dying, on a clock that only sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from headwater.core import limits
from headwater.core.errors import LogError, Overtaken, StaleGeneration, StorageUnavailable
from headwater.log import groups
from headwater.log.assignment import Unit
from headwater.log.groups import Assignment, Membership, committed, group_names, read_group
from headwater.log.runtime import Threads
from headwater.log.stores.folder import FolderStorage
from headwater.log.takeover import Sites
from tests.unit.log.places import Clock, Place

GROUP = "sessions of users"


class World:
    """Three sites, and members that all take the same topics."""

    def __init__(self) -> None:
        self.places = [Place(name) for name in "abc"]
        self.sites = Sites(tuple(self.places))
        self.clock = Clock()

    def join(self, name: str, topics: dict[str, int] | None = None, group: str = GROUP) -> Membership:
        return Membership(
            group, self.sites, self.clock, name, {"class": 6} if topics is None else topics, f"host of {name}", 10.0, look_s=0.0
        )

    def settle(self, *members: Membership) -> list[Assignment]:
        """Has all of them do what they are asked to, until nothing changes."""
        quiet = 0
        for _ in range(20):
            polled = [member.poll() for member in members]
            for member, assignment in zip(members, polled, strict=True):
                if assignment.removed:
                    member.release(assignment.removed)
            # A join at the end of one round is seen by the others in the next.
            quiet = 0 if any(assignment.added or assignment.removed for assignment in polled) else quiet + 1
            if quiet == 2:
                return polled
        raise AssertionError("they never come to rest")


@pytest.fixture
def world() -> World:
    return World()


def classes(*numbers: int) -> set[Unit]:
    return {("class", number) for number in numbers}


def test_the_first_member_gets_everything_and_shares_it_with_the_next(world: World) -> None:
    one = world.join("one")
    first = one.poll()
    assert set(first.units) == set(first.added) == classes(0, 1, 2, 3, 4, 5)
    other = world.join("other")
    assert other.poll().units == {}, "nothing is given before it is released"
    again = one.poll()
    assert again.added == ()
    assert len(again.units) == len(again.removed) == 3
    assert one.poll().removed == again.removed, "it is said until it is confirmed"
    assert other.poll().units == {}
    one.release(again.removed)
    got = other.poll()
    assert set(got.added) == set(got.units) == set(again.removed)
    assert got.generation == again.generation > first.generation
    assert all(got.units[unit] > first.units[unit] for unit in got.units)


def test_a_rebalance_moves_only_what_must_move(world: World) -> None:
    one, other, third = world.join("one"), world.join("other"), world.join("third")
    before = world.settle(one, other)
    after = world.settle(one, other, third)
    for earlier, later in zip(before, after, strict=False):
        assert set(later.units.items()) < set(earlier.units.items()), "what stays is not even given anew"
    assert [len(assignment.units) for assignment in after] == [2, 2, 2]
    third.leave()
    last = world.settle(one, other)
    assert all(set(later.units.items()) < set(assigned.units.items()) for later, assigned in zip(after, last, strict=False))


def test_offsets_go_on_where_the_last_owner_stopped(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    world.settle(one)
    assert one.committed(("class", 5)) is None
    one.commit({("class", 5): 17, ("class", 0): 3})
    world.settle(one, other)
    assert ("class", 5) in other.poll().units
    assert other.committed(("class", 5)) == 17
    assert committed(GROUP, world.sites, world.clock) == {("class", 5): 17, ("class", 0): 3}


def test_what_is_asked_back_can_be_committed_until_it_is_released(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    world.settle(one)
    other.poll()
    unit = one.poll().removed[0]
    one.commit({unit: 4})
    one.release([unit])
    with pytest.raises(StaleGeneration, match=f"one cannot commit for class/{unit[1]}: it does not have it; now other has it"):
        one.commit({unit: 5})
    assert other.poll().units.keys() == {unit}
    assert other.committed(unit) == 4


def test_who_is_not_seen_for_its_lease_is_expelled(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    world.settle(one, other)
    mine = one.poll().units
    for _ in range(8):
        world.clock.sleep(2)
        one.poll()
    assert list(read_group(GROUP, world.sites, world.clock).members) == ["one"]
    assert len(one.poll().units) == 6
    theirs = [unit for unit in other._told if unit not in mine]
    with pytest.raises(StaleGeneration, match=r"now one has it since \d+ \(generation \d+\)"):
        other.commit({theirs[0]: 1})
    lost = other.poll()
    assert set(lost.removed) == set(theirs), "it learns so, and joins again"
    assert lost.units == {}
    world.settle(one, other)
    assert len(other.poll().units) == 3


def test_a_commit_is_all_or_nothing(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    world.settle(one)
    other.poll()
    gone = one.poll().removed
    one.release(gone[:1])
    with pytest.raises(StaleGeneration):
        one.commit({gone[0]: 5, gone[1]: 5})
    assert committed(GROUP, world.sites, world.clock) == {}
    one.commit({gone[1]: 5})
    one.commit({})
    assert committed(GROUP, world.sites, world.clock) == {gone[1]: 5}


def test_who_lives_stays_whatever_it_does(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    world.settle(one, other)
    before = read_group(GROUP, world.sites, world.clock)
    for second in range(60):
        world.clock.sleep(1)
        one.poll()
        if second % 2:
            other.poll()
    after = read_group(GROUP, world.sites, world.clock)
    assert after.generation == before.generation
    assert after.units == before.units


def test_a_silence_of_all_sites_kills_nobody(world: World) -> None:
    one, other = world.join("one"), world.join("other")
    before = [assignment.units for assignment in world.settle(one, other)]
    for place in world.places[:2]:
        place.silent = True
    for _ in range(10):
        world.clock.sleep(5)
        for member in (one, other):
            with pytest.raises(StorageUnavailable):
                member.poll()
    for place in world.places:
        place.silent = False
    world.clock.sleep(20)
    assert [assignment.units for assignment in world.settle(one, other)] == before


def test_members_go_on_without_a_minority(world: World) -> None:
    world.places[1].silent = True
    one, other = world.join("one"), world.join("other")
    assert [len(assignment.units) for assignment in world.settle(one, other)] == [3, 3]
    one.commit(dict.fromkeys(one.poll().units, 7))


def test_a_process_that_starts_again_takes_over_from_itself(world: World) -> None:
    old = world.join("one")
    before = old.poll().units
    new = world.join("one")
    after = new.poll().units
    assert after.keys() == before.keys()
    assert min(after.values()) > max(before.values())
    for call in (old.poll, lambda: old.commit({("class", 0): 1}), old.leave):
        with pytest.raises(Overtaken, match="another process has joined as one; names of members are all different"):
            call()
    new.commit({("class", 0): 1})


def test_who_left_may_come_back(world: World) -> None:
    one = world.join("one")
    one.poll()
    one.leave()
    one.leave()
    assert read_group(GROUP, world.sites, world.clock).members == {}
    assert len(one.poll().added) == 6


def test_topics_are_shared_by_those_that_take_them(world: World) -> None:
    both, one = world.join("both", {"orders": 3, "views": 2}), world.join("one", {"orders": 3})
    assigned = world.settle(both, one)
    assert [unit[0] for unit in assigned[1].units] == ["orders", "orders"]
    assert len(assigned[0].units) == 3
    both.offer({"views": 2})
    one.offer({"orders": 5})
    assigned = world.settle(both, one)
    assert sorted(assigned[0].units) == [("views", 0), ("views", 1)]
    assert sorted(assigned[1].units) == [("orders", n) for n in range(5)]


def test_a_topic_that_nobody_takes_any_more_keeps_its_offsets(world: World) -> None:
    one = world.join("one", {"orders": 1})
    one.poll()
    one.commit({("orders", 0): 9})
    one.offer({"views": 1})
    world.settle(one)
    holding = read_group(GROUP, world.sites, world.clock).holding(("orders", 0))
    assert holding is not None
    assert (holding.owner, holding.next_offset) == ("", 9)


def test_what_a_group_is_can_be_looked_at(world: World) -> None:
    one = world.join("one", {"orders": 2})
    one.poll()
    one.commit({("orders", 1): 4})
    state = read_group(GROUP, world.sites, world.clock)
    assert state.group == GROUP
    assert state.members["one"].host == "host of one"
    assert state.members["one"].lease_s == 10.0
    assert [(unit, each.owner, each.next_offset) for unit, each in state.holdings()] == [
        (("orders", 0), "one", None),
        (("orders", 1), "one", 4),
    ]
    world.join("two", group="other").poll()
    assert group_names(world.sites, world.clock) == ["other", GROUP]
    assert read_group("nobody's", world.sites, world.clock).members == {}
    assert group_names(world.sites, world.clock) == ["other", GROUP], "looking made none"


def test_a_group_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.GROUP_UNITS_MAX >= 10_000
    monkeypatch.setattr(groups, "GROUP_MEMBERS_MAX", 1)
    monkeypatch.setattr(groups, "GROUP_UNITS_MAX", 6)
    one = world.join("one")
    one.poll()
    with pytest.raises(LogError, match="it has 1 members; other cannot join"):
        world.join("other").poll()
    with pytest.raises(LogError, match="it would share 7 partitions; at most 6 are possible"):
        one.offer({"class": 6, "orders": 1})


def test_a_poll_at_once_after_another_asks_no_site(world: World) -> None:
    asked: list[str] = []
    one = Membership(GROUP, world.sites, world.clock, "one", {"class": 2})
    one.poll()
    for place in world.places:
        place.before = lambda operation, name: bool(asked.append(operation))
    assert len(one.poll().units) == 2
    assert asked == []
    world.clock.sleep(1)
    one.poll()
    assert asked == ["list"] * 3, "where nothing is due it only looks whether there is anything new"


def share(directory: Path, name: str, done: threading.Event, shares: dict[str, Assignment]) -> None:
    """A process, as a thread with a runtime and storages of its own. It dies when it is done: it does not leave."""
    runtime = Threads()
    sites = Sites(tuple(FolderStorage(directory / site) for site in "abc"))
    member = Membership(GROUP, sites, runtime, name, {"class": 12}, lease_s=2.0, look_s=0.02)
    while not done.wait(0.02):
        with suppress(StorageUnavailable):
            assignment = member.poll()
            if assignment.removed:
                member.release(assignment.removed)
            if assignment.units:
                member.commit(dict.fromkeys(assignment.units, len(name)))
            shares[name] = assignment
    del shares[name]
    runtime.close()


def until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("not within 30 s")


def test_members_in_threads_share_folders(tmp_path: Path) -> None:
    names = ["one", "two", "three", "four"]
    done = {name: threading.Event() for name in names}
    shares: dict[str, Assignment] = {}
    threads = [threading.Thread(target=share, args=(tmp_path, name, done[name], shares)) for name in names]

    def are_shared(among: int) -> bool:
        units = [unit for assignment in list(shares.values()) for unit in assignment.units]
        return len(shares) == among and len(units) == len(set(units)) == 12 and all(a.units for a in list(shares.values()))

    try:
        for thread in threads:
            thread.start()
        until(lambda: are_shared(4))
        done["two"].set()
        until(lambda: are_shared(3))
    finally:
        for each in done.values():
            each.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("member", "topics"), [("", {}), ("x" * 201, {}), ("one", {"": 1}), ("one", {"orders": -1})])
def test_what_cannot_join_is_refused(world: World, member: str, topics: dict[str, int]) -> None:
    with pytest.raises(LogError):
        world.join(member, topics)
