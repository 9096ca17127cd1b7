"""What counts of a shard when its earlier writer is shut out, and bringing every site to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.log.history import Tail, last_number, read_header, read_tail, reader_of, segment_directory
from headwater.log.ledger import object_name
from headwater.log.segment import Group, Segment, Torn
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable


class Counted(NamedTuple):
    """A segment as far as it counts, with its groups, and the site that it was read from."""

    segment: Segment
    groups: tuple[Group, ...]
    site: Storage


def restore(shard: str, sites: Sequence[Storage]) -> tuple[tuple[Counted, ...], tuple[Storage, ...]]:
    """What counts since the last checkpoint, oldest segment first, and the sites that have all of it now.

    Every site given has all that was acknowledged, unless it is damaged. What was not, and is whole on one of them, is kept, and
    brought to the others. Raises CorruptLog where no site has what counts, StorageUnavailable where none answers.
    """
    number = _greatest(shard, sites)
    if number is None:
        return (), tuple(sites)
    tails: dict[Storage, Tail | None] = {}
    damaged: CorruptLog | None = None
    for site in sites:
        try:
            tails[site] = read_tail(site, shard, number)
        except CorruptLog as e:
            damaged = e
        except StorageUnavailable:
            continue
    held = [(site, tail) for site, tail in tails.items() if tail is not None]
    if not held:
        raise damaged or StorageUnavailable(f"shard {shard}: segment {number} cannot be read any more")
    source, best = max(held, key=lambda each: (not each[1].damage, each[1].segment.end))
    if best.damage:
        raise CorruptLog(f"{source.name}: {best.segment.place}: {best.damage}")
    counted = [Counted(best.segment, best.groups, source)]
    while not counted[-1].segment.header.checkpoint:
        counted.append(_before(shard, counted[-1].segment, [source, *(site for site in sites if site is not source)]))
    whole = [site for site in sites if site in tails and _fill(site, tails[site], counted[0])]
    return tuple(reversed(counted)), tuple(whole)


def _greatest(shard: str, sites: Iterable[Storage]) -> int | None:
    """The number of the last segment; None where there is none."""
    answers = 0
    numbers: list[int] = []
    damaged: CorruptLog | None = None
    for site in sites:
        try:
            number = last_number(site, shard)
        except CorruptLog as e:
            damaged = e
            continue
        except StorageUnavailable:
            continue
        answers += 1
        numbers += [] if number is None else [number]
    if damaged is not None and not numbers:
        raise damaged
    if not answers:
        raise StorageUnavailable(f"shard {shard}: none of its sites answers any more")
    return max(numbers, default=None)


def _before(shard: str, after: Segment, sites: Sequence[Storage]) -> Counted:
    """The segment that the other one follows, as far as that one says."""
    header = after.header
    if header.previous is None:
        raise CorruptLog(f"shard {shard}: segment {header.number} follows nothing, but is no checkpoint")
    reasons = []
    for site in sites:
        try:
            segment = read_header(site, shard, header.previous)
            if segment is None:
                reasons.append(f"{site.name} has no segment {header.previous}")
                continue
            name = object_name(segment_directory(shard), header.previous)
            groups = tuple(reader_of(site, name, header.previous_end).groups(segment))
        except (CorruptLog, ObjectMissing, StorageUnavailable) as e:
            reasons.append(str(e))
            continue
        except Torn as e:
            reasons.append(f"{site.name}: {header.previous}: byte {e.at}: {e}")
            continue
        segment.end, segment.chain = (groups[-1].end, groups[-1].chain) if groups else (segment.start, segment.start_chain)
        if (segment.end, segment.chain) == (header.previous_end, header.previous_chain):
            return Counted(segment, groups, site)
        reasons.append(f"{site.name}: the frames of segment {header.previous} are not those that segment {header.number} follows")
    raise CorruptLog(f"shard {shard}: segment {header.previous} counts, and no site has it: {'; '.join(reasons)}")


def _fill(site: Storage, tail: Tail | None, counted: Counted) -> bool:
    """Brings what counts of the last segment to a site; whether it has it then."""
    segment = counted.segment
    if tail is not None and tail.segment.end >= segment.end:
        return True
    name = object_name(segment_directory(segment.header.shard), segment.header.number)
    try:
        if tail is None:
            data = counted.site.get(name, 0, segment.end)
            return site.put(name, data) or site.get(name, 0, segment.end) == data
        if not site.appends:
            return False
        site.append(name, tail.segment.end, counted.site.get(name, tail.segment.end, segment.end - tail.segment.end))
    except (StorageUnavailable, ObjectMissing):
        return False
    return True
