"""Records that no site has whole: they are passed over and counted, and what lies behind them is read.

Nothing is changed on the sites: `headwater log repair`, or a site that comes back, may still have the records whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import structlog

from headwater.core.errors import CorruptLog, ObjectMissing
from headwater.core.limits import QUARANTINED_KNOWN_MAX
from headwater.kernel import decode_ranges, find_ranges
from headwater.log.history import reader_of
from headwater.log.interface import Fetch
from headwater.log.member import MemberSite
from headwater.log.segment import BLOCK, Torn

_log = structlog.get_logger()
_Range = tuple[int, int, int, int, int, int, int, int, int]
_EVERYTHING = 1 << 62


class Stretch(NamedTuple):
    """Bytes of a segment that may have the records that are looked for."""

    segment: int
    start: int
    end: int


class Quarantine:
    """What was passed over, by topic and partition. Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, int, int], int] = OrderedDict()
        self._records: dict[tuple[str, int], int] = {}

    def records(self) -> dict[tuple[str, int], int]:
        """How many records of each topic and partition this process passed over; each is counted once."""
        with self._guard:
            return dict(self._records)

    def passed_over(self, shard: str, topic: str, partition: int, first: int, next_offset: int, why: str) -> None:
        """Counts records, and says so once. Of more than QUARANTINED_KNOWN_MAX places the oldest may be counted again."""
        with self._guard:
            begins, known = (topic, partition, first), self._known
            counted = max([first, *(end for (t, p, at), end in known.items() if (t, p) == begins[:2] and at <= first <= end)])
            if counted >= next_offset:
                return
            known[begins] = next_offset
            if len(known) > QUARANTINED_KNOWN_MAX:
                known.popitem(last=False)
            place = begins[:2]
            self._records[place] = self._records.get(place, 0) + next_offset - counted
        _log.error(
            "records are damaged on every site and are passed over",
            shard=shard,
            topic=topic,
            partition=partition,
            first=first,
            next=next_offset,
            error=why,
        )


def read_past(
    sites: Sequence[MemberSite], stretches: Sequence[Stretch], topic: str, partition: int, offset: int, bytes_max: int
) -> Fetch | None:
    """The first records from ``offset`` on that can be read from any of the sites; None where none of these stretches has any.

    Raises StorageUnavailable where a site is silent: it may have whole what the others have not.
    """
    for stretch in stretches:
        found: list[Fetch] = []
        for site in sites:
            try:
                fetch = next(_readable(site, stretch, topic, partition, offset, bytes_max), None)
            except (CorruptLog, ObjectMissing):
                continue
            if fetch is not None:
                found.append(fetch)
        if found:
            return min(found, key=lambda each: each.first_offset)
    return None


def _readable(site: MemberSite, stretch: Stretch, topic: str, partition: int, offset: int, bytes_max: int) -> Iterator[Fetch]:
    """What of the partition a site has whole, a range of records at a time."""
    for found in _ranges(site, stretch, topic, partition, offset):
        first = max(found[-2], offset)
        try:
            data, next_offset = decode_ranges([(found, site.get(stretch.segment, found[0], found[1]), 0)], first, bytes_max)
        except ValueError:
            continue
        if next_offset > first:
            yield Fetch(data=data, first_offset=first, next_offset=next_offset)


def _ranges(site: MemberSite, stretch: Stretch, topic: str, partition: int, offset: int) -> Iterator[_Range]:
    reader = reader_of(site, stretch.segment, stretch.end)
    at: int | None = stretch.start
    while at is not None and at < stretch.end:
        try:
            kind, _, _, end, header = reader.frame(at)
            if kind == BLOCK:
                yield from find_ranges(header, at, end, topic, partition, offset, _EVERYTHING)[0]
            at = end
        except (Torn, ValueError):
            at = reader.later_frame(at, 0)
