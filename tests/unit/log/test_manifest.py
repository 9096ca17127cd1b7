"""Persisted shapes of a shard's members: read back as written, and refused when damaged or of another version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import CorruptLog
from headwater.log.manifest import MANIFEST, Manifest, Member, decode_manifest, encode_manifest
from headwater.log.member import BASE, Base, decode_base, encode_base

names = st.text(min_size=1, max_size=20)
manifest_values = st.builds(
    Manifest, names, names, st.lists(st.builds(Member, names, names), max_size=4).map(tuple), st.text(max_size=20)
)
EXAMPLE = Manifest("orders", "w1", (Member("north", "w1"), Member("south", "w1-2")), "host-7")


@given(manifest_values, st.integers(0, 2**63))
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, number: int) -> None:
    assert decode_manifest(encode_manifest(manifest, number), number, "m") == manifest


@given(st.none() | names, st.integers(-1, 2**63))
def test_a_base_is_read_as_it_was_written(before: str | None, up_to: int) -> None:
    assert decode_base(encode_base(Base(before, up_to)), "b") == Base(before, up_to)


def test_a_flipped_bit_anywhere_is_found() -> None:
    for data, decode in (
        (encode_manifest(EXAMPLE, 7), lambda data: decode_manifest(data, 7, "north: orders/manifest/7")),
        (encode_base(Base("w1", 12)), lambda data: decode_base(data, "north: orders/segment/w1-2/base")),
    ):
        for bit in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(CorruptLog, match=r"^north: orders/"):
                decode(bytes(flipped))


def test_a_cut_anywhere_is_found() -> None:
    data, base = encode_manifest(EXAMPLE, 7), encode_base(Base("w1", 12))
    for end in range(len(data)):
        with pytest.raises(CorruptLog):
            decode_manifest(data[:end], 7, "m")
    for end in range(len(base)):
        with pytest.raises(CorruptLog):
            decode_base(base[:end], "b")


def test_a_newer_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MANIFEST, "version", 9)
    monkeypatch.setattr(BASE, "version", 9)
    manifest, base = encode_manifest(EXAMPLE, 7), encode_base(Base())
    monkeypatch.undo()
    with pytest.raises(CorruptLog, match="version 9; this program knows version 1"):
        decode_manifest(manifest, 7, "m")
    with pytest.raises(CorruptLog, match="version 9; this program knows version 1"):
        decode_base(base, "b")


def test_a_manifest_under_the_number_of_another_is_refused() -> None:
    with pytest.raises(CorruptLog, match="a manifest 7 stands where number 8 belongs"):
        decode_manifest(encode_manifest(EXAMPLE, 7), 8, "m")
