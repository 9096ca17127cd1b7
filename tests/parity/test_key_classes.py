"""Key classes beside a plain Python reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.record import Record, decode_all, encode
from headwater.kernel import split_by_class

M = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rotated(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & M


def round_of(accumulator: int, lane: int) -> int:
    return rotated((accumulator + lane * P2) & M, 31) * P1 & M


def xxh64(data: bytes) -> int:
    """As the specification of xxHash says it, seed 0."""
    at = 0
    if len(data) >= 32:
        lanes = [(P1 + P2) & M, P2, 0, -P1 & M]
        while at + 32 <= len(data):
            for n in range(4):
                lanes[n] = round_of(lanes[n], int.from_bytes(data[at + 8 * n : at + 8 * n + 8], "little"))
            at += 32
        result = sum(rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & M
        for lane in lanes:
            result = ((result ^ round_of(0, lane)) * P1 + P4) & M
    else:
        result = P5
    result = (result + len(data)) & M
    for size in (8, 4, 1):
        while at + size <= len(data):
            lane = int.from_bytes(data[at : at + size], "little")
            if size == 8:
                result = (rotated(result ^ round_of(0, lane), 27) * P1 + P4) & M
            elif size == 4:
                result = (rotated(result ^ lane * P1 & M, 23) * P2 + P3) & M
            else:
                result = rotated(result ^ lane * P5 & M, 11) * P1 & M
            at += size
    result = (result ^ result >> 33) * P2 & M
    result = (result ^ result >> 29) * P3 & M
    return result ^ result >> 32


def reference(records: list[Record], classes: int) -> list[tuple[int, int, bytes]]:
    parts: dict[int, list[bytes]] = {}
    for record in records:
        parts.setdefault(xxh64((record.key or record.event_id).encode()) % classes, []).append(encode(record))
    return [(number, len(part), b"".join(part)) for number, part in sorted(parts.items())]


def test_the_reference_knows_the_published_values() -> None:
    assert xxh64(b"") == 0xEF46DB3751D8E999
    assert xxh64(b"abc") == 0x44BC2CF5AD770999
    assert xxh64(b"Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
some_records = st.lists(st.builds(Record, payload=st.binary(max_size=50), key=texts | st.just(""), event_id=texts), max_size=40)


@given(some_records, st.integers(1, 1024))
def test_the_kernel_splits_as_the_reference_does(records: list[Record], classes: int) -> None:
    parts = split_by_class(b"".join(map(encode, records)), classes)
    assert parts == reference(records, classes)
    assert sorted(record.event_id for _, _, part in parts for record in decode_all(part)) == sorted(r.event_id for r in records)


def test_what_is_no_batch_is_refused() -> None:
    record = encode(Record(payload=b"{}", key="k"))
    with pytest.raises(ValueError, match="0 key classes"):
        split_by_class(record, 0)
    with pytest.raises(ValueError, match="cut off at byte 0"):
        split_by_class(record[:-1], 4)
    with pytest.raises(ValueError, match="record version 9"):
        split_by_class(record[:4] + b"\x09" + record[5:], 4)
    assert split_by_class(b"", 4) == []
