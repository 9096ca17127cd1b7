"""Which compacted copies hold nothing but what is past its topic's retention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from headwater.log.compacted import CopyIndex, PartitionEntry
from headwater.log.layout import Compacted, Layout

Place = tuple[str, int]


class Retention(NamedTuple):
    """How long records of a topic stay: so long after they were received, and so many bytes of each partition. None: for ever."""

    ms: int | None = None
    bytes: int | None = None


RetentionOf = Callable[[str], Retention]
CopyOf = Callable[[Compacted], CopyIndex]


def expired(layout: Layout, copy_of: CopyOf, retention_of: RetentionOf, now_ms: int) -> list[Compacted]:
    """The oldest copies that hold nothing else. A partition's bytes are counted in what is compacted."""
    found: list[Compacted] = []
    for at, compacted in enumerate(layout.compacted):
        later = layout.compacted[at + 1 :]
        entries = copy_of(compacted).partitions.values()
        if not all(_is_past(entry, later, copy_of, retention_of(entry.topic), now_ms) for entry in entries):
            break
        found.append(compacted)
    return found


def _is_past(entry: PartitionEntry, later: tuple[Compacted, ...], copy_of: CopyOf, retention: Retention, now_ms: int) -> bool:
    place = (entry.topic, entry.partition)
    if entry.first == entry.end:
        return True
    if later and copy_of(later[-1]).partitions[place].floor >= entry.end:
        return True
    if retention.ms is not None and entry.newest_ms < now_ms - retention.ms:
        return True
    return retention.bytes is not None and bytes_of(later, copy_of, place, retention.bytes) >= retention.bytes


def bytes_of(copies: tuple[Compacted, ...], copy_of: CopyOf, place: Place, enough: int) -> int:
    """The bytes of a partition's records in these copies, or as many as are enough; the newest are counted first."""
    total = 0
    for compacted in reversed(copies):
        entry = copy_of(compacted).partitions.get(place)
        total += entry.records_bytes if entry else 0
        if total >= enough:
            break
    return total


def floor_by_bytes(copies: tuple[Compacted, ...], copy_of: CopyOf, place: Place, own_bytes: int, limit: int) -> int:
    """The first offset to keep in copies that lie before ``own_bytes`` newer ones of the partition; 0: all of them."""
    total = own_bytes
    for compacted in reversed(copies):
        entry = copy_of(compacted).partitions.get(place)
        if entry is None:
            return 0
        if total >= limit:
            return entry.end
        total += entry.records_bytes
    return 0


def without(expired: list[Compacted], layout: Layout) -> Layout | None:
    """The layout without these copies; None where they are gone."""
    gone = {each.id for each in expired}
    left = tuple(each for each in layout.compacted if each.id not in gone)
    if len(left) == len(layout.compacted):
        return None
    doomed = tuple(each.id for each in layout.compacted if each.id in gone)
    return msgspec.structs.replace(layout, compacted=left, doomed=(*layout.doomed, *doomed))


def remove(expired: list[Compacted]) -> Callable[[Layout], Layout | None]:
    """The change of a layout that removes them."""
    return partial(without, expired)
