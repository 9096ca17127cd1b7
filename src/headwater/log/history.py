"""One segment on one site: its header, and how far it is whole."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.log.member import MemberSite
from headwater.log.segment import Group, Segment, SegmentReader, Torn
from headwater.log.storage import ObjectMissing, StorageUnavailable


class Tail(NamedTuple):
    """A segment as far as a site has it whole: its groups, and where a later group shows that what lies between is damaged."""

    segment: Segment
    groups: tuple[Group, ...]
    damage: str


def reader_of(site: MemberSite, number: int, size: int | None = None) -> SegmentReader:
    """Reads a segment of a site."""
    return SegmentReader(partial(site.get, number), f"{site.name}: {site.place(number)}", size)


def read_header(site: MemberSite, number: int) -> Segment | None:
    """The segment by its header; None where the site has no such object.

    Raises CorruptLog where it has one without a whole header, with that of another segment, or of an unknown version: objects are
    put whole, so that it was once.
    """
    try:
        segment = reader_of(site, number).header()
    except ObjectMissing:
        return None
    except Torn as e:
        raise CorruptLog(f"{site.name}: {site.place(number)}: byte 0: {e}") from None
    header = segment.header
    if (header.shard, header.number) != (site.shard, number):
        raise CorruptLog(f"{site.name}: {site.place(number)}: this is segment {header.number} of shard {header.shard}")
    return segment


def read_tail(site: MemberSite, number: int) -> Tail | None:
    """The segment's valid groups; None where the site has no such segment, or a fence in its place.

    Raises CorruptLog where its header is damaged, StorageUnavailable. The records of the last group are checked as well: only
    that one can be torn.
    """
    segment = read_header(site, number)
    if segment is None or segment.header.fence:
        return None
    reader = reader_of(site, number)
    groups: list[Group] = []
    torn: Torn | None = None
    try:
        for group in reader.groups(segment):
            groups.append(group)
        if groups:
            reader.check_bodies(groups[-1])
    except ObjectMissing as e:
        raise StorageUnavailable(f"{site.name}: erased while it was being read: {e}") from None
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
