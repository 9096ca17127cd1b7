"""Bringing a site back that left a shard's members, or was erased: it gets what it missed, and loses what never counted."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.core.errors import CorruptLog
from headwater.log.history import read_header, segment_directory
from headwater.log.ledger import numbers_in, object_name
from headwater.log.segment import Segment
from headwater.log.storage import ObjectMissing, Storage


def copy_missing(shard: str, members: Sequence[Storage], site: Storage, last: Segment | None) -> int:
    """Gives a site that is no member every segment up to ``last``, as far as it counts; how many it lacked.

    What it has under other numbers, or beyond what counts, is removed: nobody reads it while the site is no member.
    Raises StorageUnavailable, CorruptLog where no member has a segment whole.
    """
    lacking: list[tuple[Segment, bytes]] = []
    counts: set[int] = set()
    segment = last
    while segment is not None:
        counts.add(segment.header.number)
        name = object_name(segment_directory(shard), segment.header.number)
        data = _bytes_of(members, name, segment.end)
        if _holds(site, name, data):
            break
        lacking.append((segment, data))
        segment = _before(shard, members, segment)
    for number in numbers_in(site, segment_directory(shard), segment.header.number if segment is not None else -1):
        site.delete(object_name(segment_directory(shard), number))
    # Oldest first: what a site has is without holes at every moment, so that the walk above may stop at the first it has.
    for each, data in reversed(lacking):
        site.put(object_name(segment_directory(shard), each.header.number), data)
    return len(lacking)


def _holds(site: Storage, name: str, data: bytes) -> bool:
    try:
        return site.get(name, 0, len(data) + 1) == data
    except ObjectMissing:
        return False


def _bytes_of(members: Sequence[Storage], name: str, end: int) -> bytes:
    for member in members:
        try:
            data = member.get(name, 0, end)
        except ObjectMissing:
            continue
        if len(data) == end:
            return data
    raise CorruptLog(f"{name}: no member has all {end} bytes that count")


def _before(shard: str, members: Sequence[Storage], after: Segment) -> Segment | None:
    """The segment that the other one follows, as far as it counts."""
    number = after.header.previous
    if number is None:
        return None
    for member in members:
        segment = read_header(member, shard, number)
        if segment is not None:
            segment.end, segment.chain = after.header.previous_end, after.header.previous_chain
            return segment
    raise CorruptLog(f"shard {shard}: segment {number} counts, and no member has it")
