"""Layouts and indexes of copies: what is put is what is read, and no flipped bit goes unseen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import CorruptLog
from headwater.kernel import checksum
from headwater.log.compacted import INDEX, CompactedIndex, PartitionEntry, decode_index
from headwater.log.layout import LAYOUT, Change, Compacted, Layout, Whole

_numbers = st.integers(0, 2**62)
_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_tuples = st.lists(_numbers, max_size=5).map(tuple)
_compacted = st.builds(Compacted, _texts, _numbers, _numbers, _tuples, _numbers, st.integers(0, 2**32 - 1), _numbers)
_layouts = st.builds(
    Layout,
    _texts,
    _numbers,
    st.lists(_compacted, max_size=3).map(tuple),
    st.lists(_texts, max_size=3).map(tuple),
    st.lists(_texts, max_size=3).map(tuple),
    _tuples,
)
_entries = st.builds(
    PartitionEntry,
    _texts,
    st.integers(0, 2**32 - 1),
    _numbers,
    _numbers,
    _numbers,
    _numbers,
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.tuples(_numbers, _numbers, _numbers), max_size=3).map(tuple),
)
_indexes = st.builds(CompactedIndex, _texts, _texts, _tuples, st.lists(_entries, max_size=3).map(tuple))


@given(_layouts, _numbers, st.booleans(), _texts)
def test_a_layout_is_read_as_it_was_put(layout: Layout, number: int, whole: bool, by: str) -> None:
    value = Whole(layout) if whole else Change(layout, by)
    assert LAYOUT.decode(LAYOUT.encode(value, number), "x", number) == value


@given(_indexes)
def test_an_index_is_read_as_it_was_put(index: CompactedIndex) -> None:
    assert INDEX.decode(INDEX.encode(index), "x") == index


@settings(max_examples=5)
@given(_layouts, _indexes)
def test_every_flipped_bit_is_found(layout: Layout, index: CompactedIndex) -> None:
    for data, decode in (
        (LAYOUT.encode(Whole(layout), 7), lambda data: LAYOUT.decode(data, "x", 7)),
        (INDEX.encode(index), lambda data: INDEX.decode(data, "x")),
    ):
        for at in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            with pytest.raises(CorruptLog, match=r"^x: "):
                decode(bytes(flipped))
        for end in range(len(data)):
            with pytest.raises(CorruptLog, match=r"^x: "):
                decode(data[:end])


def test_newer_versions_are_refused_by_number() -> None:
    data = bytearray(LAYOUT.encode(Whole(Layout("s")), 3))
    data[4] = 2
    with pytest.raises(CorruptLog, match="version 2"):
        LAYOUT.decode(bytes(data), "x", 3)


def test_the_index_of_another_copy_is_refused() -> None:
    data = INDEX.encode(CompactedIndex("s", "one", (), ()))
    right = Compacted("one", 1, 2, (), len(data), checksum(data), 0)
    assert decode_index(data, "s", right, "x").id == "one"
    for shard, compacted in (("other", right), ("s", Compacted("two", 1, 2, (), len(data), checksum(data), 0))):
        with pytest.raises(CorruptLog, match="index of one"):
            decode_index(data, shard, compacted, "x")
    with pytest.raises(CorruptLog, match="not the index"):
        decode_index(data, "s", Compacted("one", 1, 2, (), len(data), 1, 0), "x")
