"""Entries of journals as they are stored: read back as written, and refused when damaged or of another version."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import CorruptLog
from headwater.log import group_state, roster, topics
from headwater.log.envelope import Shape
from headwater.log.group_state import Beat, Expel, GroupState, Holding, Join, Leave, Member, Offsets, Release
from headwater.log.roster import Add, Names
from headwater.log.topics import Set, Topics, TopicSettings

names = st.text(min_size=1, max_size=12)
small = st.integers(0, 2**62)
counts = st.dictionaries(names, st.integers(0, 9), max_size=3)
units = st.lists(st.tuples(names, small), max_size=3)
members = st.builds(Member, counts, small, st.floats(0.1, 100), names, small, small, small, small)
holdings = st.builds(Holding, st.text(max_size=5), st.integers(-1, 2**62), st.booleans(), st.none() | small)
groups = st.one_of(
    st.builds(
        GroupState,
        names,
        st.integers(-1, 2**62),
        st.dictionaries(names, members, max_size=3),
        st.dictionaries(names, st.lists(holdings, max_size=3), max_size=3),
    ),
    st.builds(Join, names, counts, small, st.floats(0.1, 100), names, small, small),
    st.builds(Beat, names, small, small),
    st.builds(Release, names, small, small, units),
    st.builds(Offsets, names, small, small, st.lists(st.tuples(names, small, small, small), max_size=3)),
    st.builds(Leave, names),
    st.builds(Expel, names, small, names),
)
settings = st.builds(TopicSettings, st.none() | small, st.none() | small, st.none() | small, st.sampled_from(["fsync", "none"]))
VALUES: dict[str, tuple[Shape[Any], st.SearchStrategy[Any]]] = {
    "group": (group_state.SHAPE, groups),
    "topics": (
        topics.SHAPE,
        st.one_of(
            st.builds(Topics, st.dictionaries(names, settings, max_size=3)), st.builds(Set, names, settings, st.none() | names)
        ),
    ),
    "roster": (roster.SHAPE, st.one_of(st.builds(Names, st.lists(names, max_size=4)), st.builds(Add, names))),
}
EXAMPLES: dict[str, Any] = {
    "group": Join("w1", {"class": 8}, 77, 10.0, "host-7", 1, 1_700_000_000_000),
    "topics": Set("orders", TopicSettings(partitions=12)),
    "roster": Names(["c1", "c2"]),
}


@given(st.sampled_from(sorted(VALUES)), st.data(), st.integers(0, 2**63))
def test_an_entry_is_read_as_it_was_written(kind: str, data: st.DataObject, number: int) -> None:
    shape, values = VALUES[kind]
    value = data.draw(values)
    assert shape.decode(shape.encode(value, number), "e", number) == value


@pytest.mark.parametrize("kind", VALUES)
def test_a_flipped_bit_or_a_cut_anywhere_is_found(kind: str) -> None:
    shape = VALUES[kind][0]
    data = shape.encode(EXAMPLES[kind], 7)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptLog, match=r"^north: entry 7: "):
            shape.decode(bytes(flipped), "north: entry 7", 7)
    for end in range(len(data)):
        with pytest.raises(CorruptLog):
            shape.decode(data[:end], "north: entry 7", 7)


@pytest.mark.parametrize("kind", VALUES)
def test_other_numbers_kinds_and_versions_are_refused_by_name(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = VALUES[kind][0]
    data = shape.encode(EXAMPLES[kind], 7)
    with pytest.raises(CorruptLog, match="7 stands where number 8 belongs"):
        shape.decode(data, "e", 8)
    other = VALUES["roster" if kind == "group" else "group"][0]
    with pytest.raises(CorruptLog, match="do not begin as an entry of "):
        other.decode(data, "e", 7)
    monkeypatch.setattr(shape, "version", 9)
    newer = shape.encode(EXAMPLES[kind], 7)
    monkeypatch.undo()
    with pytest.raises(CorruptLog, match=f"{shape.what} of version 9; this program knows version 1"):
        shape.decode(newer, "e", 7)


def test_an_intact_entry_of_another_shape_is_refused() -> None:
    other: Shape[Any] = Shape("an entry", b"\xf5HWN", 1, dict, numbered=True)
    with pytest.raises(CorruptLog, match="an entry of the numbered names is intact and cannot be read"):
        roster.SHAPE.decode(other.encode({"a": 1}, 3), "e", 3)
