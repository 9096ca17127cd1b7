"""What counts of a shard when its earlier writer is shut out, and bringing every site to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headwater.core.errors import CorruptLog, LogError
from headwater.log.history import Tail, read_header, read_tail, reader_of
from headwater.log.member import MemberSite
from headwater.log.segment import Group, Segment, Torn
from headwater.log.storage import ObjectMissing, StorageUnavailable


class Counted(NamedTuple):
    """A segment as far as it counts, with its groups, and the site that it was read from."""

    segment: Segment
    groups: tuple[Group, ...]
    site: MemberSite


def restore(sites: Sequence[MemberSite]) -> tuple[tuple[Counted, ...], tuple[MemberSite, ...]]:
    """What counts since the last checkpoint, oldest segment first, and the sites that have all of it now.

    Every site given had to acknowledge what was acknowledged, and has it unless it is damaged. What was not, and is whole on one
    of them, is kept, and brought to the others; but for a segment in whose place one of them has a fence.
    Raises CorruptLog where no site has what counts, StorageUnavailable where none answers.
    """
    number = _last_number(sites)
    if number is None:
        return (), tuple(sites)
    tails: dict[MemberSite, Tail | None] = {}
    damaged: CorruptLog | None = None
    for site in sites:
        try:
            tails[site] = read_tail(site, number)
        except CorruptLog as e:
            damaged = e
        except StorageUnavailable:
            continue
    held = [(site, tail) for site, tail in tails.items() if tail is not None]
    if not held:
        raise damaged or StorageUnavailable(f"shard {sites[0].shard}: segment {number} cannot be read any more")
    source, best = max(held, key=lambda each: (not each[1].damage, each[1].segment.end))
    if best.damage:
        raise CorruptLog(f"{source.name}: {best.segment.place}: {best.damage}")
    counted = [Counted(best.segment, best.groups, source)]
    while not counted[-1].segment.header.checkpoint:
        counted.append(before(counted[-1].segment, [source, *(site for site in sites if site is not source)]))
    whole = [site for site in sites if site in tails and _fill(site, tails[site], counted[0])]
    return tuple(reversed(counted)), tuple(whole)


def _last_number(sites: Sequence[MemberSite]) -> int | None:
    """The number of the last segment that counts; None where there is none."""
    found: dict[MemberSite, list[int]] = {}
    for site in sites:
        try:
            found[site] = site.numbers()
        except StorageUnavailable:
            continue
    if not found:
        raise StorageUnavailable(f"shard {sites[0].shard}: none of its sites answers any more")
    for number in sorted({number for numbers in found.values() for number in numbers}, reverse=True):
        fenced, holds, unread = _fenced(number, [site for site, numbers in found.items() if number in numbers])
        if fenced:
            continue
        if holds:
            return number
        if unread is not None:
            raise unread
    return None


def _fenced(number: int, sites: Sequence[MemberSite]) -> tuple[bool, bool, LogError | None]:
    """Whether a site has a fence under the number, whether one has a segment there, and why another cannot be read."""
    fenced = holds = False
    unread: LogError | None = None
    for site in sites:
        try:
            segment = read_header(site, number)
        except (CorruptLog, StorageUnavailable) as e:
            unread = e
            continue
        fenced = fenced or (segment is not None and segment.header.fence)
        holds = holds or (segment is not None and not segment.header.fence)
    return fenced, holds, unread


def before(after: Segment, sites: Sequence[MemberSite]) -> Counted:
    """The segment that the other one follows, as far as that one says. Raises StorageUnavailable, CorruptLog."""
    number = after.header.previous
    if number is None:
        raise CorruptLog(f"shard {after.header.shard}: segment {after.header.number} follows nothing, but is no checkpoint")
    reasons: list[str] = []
    silent = False
    for site in sites:
        try:
            segment = read_header(site, number)
            if segment is None:
                reasons.append(f"{site.name} has no segment {number}")
                continue
            groups = tuple(reader_of(site, number, after.header.previous_end).groups(segment))
        except (CorruptLog, ObjectMissing, StorageUnavailable) as e:
            silent = silent or isinstance(e, StorageUnavailable)
            reasons.append(str(e))
            continue
        except Torn as e:
            reasons.append(f"{site.name}: {site.place(number)}: byte {e.at}: {e}")
            continue
        segment.end, segment.chain = (groups[-1].end, groups[-1].chain) if groups else (segment.start, segment.start_chain)
        if (segment.end, segment.chain) == (after.header.previous_end, after.header.previous_chain):
            return Counted(segment, groups, site)
        reasons.append(
            f"{site.name}: the frames of {site.place(number)} are not those that segment {after.header.number} follows"
        )
    text = f"shard {after.header.shard}: segment {number} counts, and no site has it: {'; '.join(reasons)}"
    raise StorageUnavailable(text) if silent else CorruptLog(text)


def _fill(site: MemberSite, tail: Tail | None, counted: Counted) -> bool:
    """Brings what counts of the last segment to a site; whether it has it then, durable."""
    segment, number = counted.segment, counted.segment.header.number
    try:
        if tail is None:
            data = counted.site.get(number, 0, segment.end)
            return site.put(number, data) or site.get(number, 0, segment.end) == data
        if not site.appends:
            return tail.segment.end >= segment.end
        # The last group anew, also where it is there: its writer may have died before it synced, or been told that a sync
        # failed, after which the system may call the next one a success and have dropped the bytes.
        start = min(tail.segment.end, counted.groups[-1].start if counted.groups else segment.end)
        site.append(number, start, counted.site.get(number, start, segment.end - start))
    except (StorageUnavailable, ObjectMissing):
        return False
    return True
