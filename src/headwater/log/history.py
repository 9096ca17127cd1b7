"""What one site, or several, hold of a shard: which segments count, and how far the last one reaches. See decision 0015."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.log.ledger import numbers_in, object_name
from headwater.log.segment import Group, Segment, SegmentReader, Torn
from headwater.log.storage import ObjectMissing, Storage


class Tail(NamedTuple):
    """A segment as far as a site has it whole: its groups, and where a later group shows that what lies between is damaged."""

    segment: Segment
    groups: tuple[Group, ...]
    damage: str


def segment_directory(shard: str) -> str:
    """Where a shard's segments lie, on each site."""
    return f"{shard}/segment"


def reader_of(site: Storage, name: str, size: int | None = None) -> SegmentReader:
    """Reads a segment of a site."""
    return SegmentReader(partial(site.get, name), f"{site.name}: {name}", size)


def read_header(site: Storage, shard: str, number: int) -> Segment | None:
    """The segment by its header; None where the site has no such object.

    Raises CorruptLog where it has one without a whole header, with that of another segment, or of an unknown version: objects are
    put whole, so that it was once.
    """
    name = object_name(segment_directory(shard), number)
    try:
        segment = reader_of(site, name).header()
    except ObjectMissing:
        return None
    except Torn as e:
        raise CorruptLog(f"{site.name}: {name}: byte 0: {e}") from None
    header = segment.header
    if (header.shard, header.number) != (shard, number):
        raise CorruptLog(f"{site.name}: {name}: this is segment {header.number} of shard {header.shard}")
    return segment


def last_number(site: Storage, shard: str) -> int | None:
    """The greatest number of a segment that is no fence; None where the site has none. Raises CorruptLog."""
    for number in reversed(numbers_in(site, segment_directory(shard))):
        segment = read_header(site, shard, number)
        if segment is not None and not segment.header.fence:
            return number
    return None


def read_tail(site: Storage, shard: str, number: int) -> Tail | None:
    """The segment's valid groups; None where the site has no such segment. Raises CorruptLog where its header is damaged.

    The records of the last group are checked as well: only a last group can be torn.
    """
    segment = read_header(site, shard, number)
    if segment is None:
        return None
    reader = reader_of(site, object_name(segment_directory(shard), number))
    groups: list[Group] = []
    torn: Torn | None = None
    try:
        for group in reader.groups(segment):
            groups.append(group)
        if groups:
            reader.check_bodies(groups[-1])
    except Torn as e:
        torn = e
        if groups and e.at < groups[-1].end:
            groups.pop()
    if groups:
        segment.end, segment.chain = groups[-1].end, groups[-1].chain
    damage = ""
    if torn is not None:
        # Only one group can be torn: a later one was begun when this one was durable.
        later = reader.later_frame(torn.at, (groups[-1].number + 1 if groups else segment.group) + 1)
        damage = "" if later is None else f"byte {torn.at}: {torn}; a later group follows at byte {later}"
    return Tail(segment, tuple(groups), damage)
