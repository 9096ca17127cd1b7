"""Who should have what: balanced, sticky, and given only when it is free, whatever happens to a group."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.log.assignment import Owned, assign
from headwater.log.group_state import Beat, Expel, GroupState, Join, Leave, Release, apply

NAMES = ["a", "b", "c", "d", "e"]
ops = st.tuples(st.sampled_from(["join", "leave", "expel", "release", "beat"]), st.sampled_from(NAMES))


def loads(state: GroupState) -> list[int]:
    return [sum(holding.owner == name for _, holding in state.holdings()) for name in state.members]


@settings(max_examples=200)
@given(st.integers(1, 12), st.lists(ops, max_size=30))
def test_units_are_balanced_and_move_when_they_are_free(count: int, changes: list[tuple[str, str]]) -> None:
    state = GroupState("g")
    for number, (what, name) in enumerate(changes):
        before = {unit: (holding.owner, holding.since, holding.going) for unit, holding in state.holdings()}
        member = state.members.get(name)
        if what == "join":
            what = "rejoin" if member is not None else what
            apply(state, number, Join(name, {"t": count}, number, 1.0, "", 1, 0))
        elif what == "leave":
            apply(state, number, Leave(name))
        elif what == "expel":
            apply(state, number, Expel(name, member.entry if member else 0, "a"))
        elif what == "beat":
            apply(state, number, Beat(name, 1, 0))
        else:
            apply(state, number, Release(name, 1, 0, [unit for unit, (owner, _, going) in before.items() if going]))
        for unit, holding in state.holdings():
            owner, since, going = before.get(unit, ("", -1, False))
            if holding.owner != owner and owner in state.members:
                assert what == "rejoin" or (what == "release" and going and owner == name), (
                    "an owner that lives gives it up first"
                )
            if (holding.owner, owner) == (owner, holding.owner) and what not in ("rejoin", "release"):
                assert holding.since == since
            assert not holding.owner or holding.owner in state.members
            assert bool(holding.owner) == bool(state.members)
    for _ in range(len(NAMES)):
        for name in list(state.members):
            going = [unit for unit, holding in state.holdings() if holding.owner == name and holding.going]
            apply(state, 1000, Release(name, 1, 0, going))
    assert not any(holding.going for _, holding in state.holdings())
    if state.members:
        assert max(loads(state)) - min(loads(state)) <= 1


@given(st.integers(0, 40), st.integers(1, 6))
def test_only_as_many_move_as_must(count: int, members: int) -> None:
    topics = {"t": count}
    names = {f"m{n}": topics for n in range(members)}
    before = assign(names, {("t", n): None for n in range(count)})
    assert len(before) == count
    more = {**names, "new": topics}
    after = assign(more, {unit: Owned(owner, False) for unit, owner in before.items()})
    moved = [unit for unit in before if before[unit] != after[unit]]
    assert {after[unit] for unit in moved} <= {"new"}
    assert len(moved) == count // (members + 1)
    fewer = assign(names, {unit: Owned(owner, False) for unit, owner in after.items()})
    assert all(fewer[unit] == after[unit] for unit in after if after[unit] != "new")


def test_what_is_on_the_move_already_moves_first() -> None:
    topics = {"t": 4}
    owned = {("t", n): Owned("a", going=n == 1) for n in range(4)}
    assert [unit for unit, name in assign({"a": topics, "b": topics, "c": topics}, owned).items() if name != "a"][0:1] == [
        ("t", 1)
    ]


def test_ten_thousand_partitions_are_shared_in_one_go() -> None:
    topics = {"t": 10_000}
    members = {f"m{n}": topics for n in range(50)}
    first = assign({"m0": topics}, {("t", n): None for n in range(10_000)})
    after = assign(members, {unit: Owned(owner, False) for unit, owner in first.items()})
    assert sorted({list(after.values()).count(name) for name in members}) == [200]


def test_members_with_other_topics_get_what_they_take() -> None:
    members = {"a": {"t": 2, "u": 2}, "b": {"t": 2}, "c": {"v": 9}}
    given = assign(members, {(topic, n): None for topic in "tuvw" for n in range(2)})
    assert {unit[0] for unit, name in given.items() if name == "c"} == {"v"}
    assert {unit for unit, name in given.items() if name == "b"} == {("t", 0), ("t", 1)}
    assert ("w", 0) not in given
