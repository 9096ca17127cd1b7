"""What is known of one shard's segments, and where in them a record lies; older ones are looked up when they are asked for.

A *run* is a checkpoint and the segments behind it up to the next one: one segment that grew to its full size, or up to
CHECKPOINT_SEGMENTS_MAX objects of an object store. A checkpoint says where partitions end when it begins, so that the run of an
offset is found by halves.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import structlog

from headwater.core.errors import CorruptLog, LogError, StorageUnavailable
from headwater.core.limits import BASES_KNOWN_MAX, COPIES_KNOWN_MAX, QUARANTINED_KNOWN_MAX, RUNS_KNOWN_MAX
from headwater.log.compacted import CopyIndex, read_index
from headwater.log.history import read_header, reader_of
from headwater.log.layout import Compacted, Layout, part_name
from headwater.log.member import MemberSite
from headwater.log.segment import Index, Segment, SegmentHeader, Torn
from headwater.log.storage import ObjectMissing, Storage

_log = structlog.get_logger()
T = TypeVar("T")
Place = tuple[str, int]


class Part:
    """A segment as far as it may be read: up to ``end``. Or a part of a compacted ``copy``, by the name of its object."""

    def __init__(self, number: int, start: int, end: int, index: Index, damaged: bool = False, copy: str | None = None) -> None:
        self.damaged = damaged  # The index lacks what no site has whole.
        self.number = number
        self.start = start
        self.end = end
        self.index = index
        self.copy = copy

    def place(self, site: MemberSite) -> str:
        """The object on that site."""
        return self.copy if self.copy is not None else site.place(self.number)


class Run:
    """See above. ``last`` and ``last_end`` are those of its last segment; of the newest run they are None."""

    def __init__(self, number: int, before: int | None) -> None:
        self.number = number
        self.before = before
        self.last: int | None = None
        self.last_end = 0


class ShardView:
    """One shard, as this process may read it. Its log holds ``lock`` for `begin`, `add`, `show`; lookups take it themselves.

    ``storages`` are all sites of its log; ``first`` is the name of the one to read from while it can be.
    """

    def __init__(self, name: str, lock: threading.Lock, storages: Sequence[Storage] = (), first: str = "") -> None:
        self.name = name
        self._storages = storages
        self._first = first
        self.sites: tuple[MemberSite, ...] = ()  # Members, the one to read from first.
        self.layout = Layout(name)
        self.damaged: set[int] = set()  # Segments that were found to be whole on no site.
        self._lock = lock
        self._runs: list[Run] = []
        self._certain: int | None = None
        self._newest: list[Part] = []
        self._loading = threading.RLock()
        self._parts: OrderedDict[int, list[Part]] = OrderedDict()
        self._bases: OrderedDict[int, dict[Place, int]] = OrderedDict()
        self._copies: OrderedDict[str, CopyIndex] = OrderedDict()

    def read_from(self, members: Sequence[MemberSite]) -> None:
        """These are the members now; the site to read from first comes first again, if it failed before."""
        self.sites = tuple(sorted(members, key=lambda site: site.name != self._first))

    @property
    def is_known(self) -> bool:
        """Whether anything of it was ever read."""
        return bool(self._runs)

    def reset(self) -> None:
        """Nothing is known any more."""
        self._runs, self._newest, self._certain = [], [], None
        self._parts.clear()
        self._bases.clear()

    def begin(self, segment: Segment) -> None:
        """A segment counts from now on; the one before it counts as far as this one says."""
        header = segment.header
        if self._newest and header.previous is not None:
            self._cut(header)
        if header.checkpoint:
            if self._runs:
                self._runs[-1].last, self._runs[-1].last_end = header.previous, header.previous_end
                self._keep(self._parts, self._runs[-1].number, self._newest, RUNS_KNOWN_MAX)
            self._runs.append(Run(header.number, header.checkpoint_before))
            self._keep(self._bases, header.number, segment.base, BASES_KNOWN_MAX)
            self._newest = []
        if not self._runs:
            raise CorruptLog(f"shard {self.name}: segment {header.number} is no checkpoint, and none comes before it")
        self._newest.append(Part(header.number, segment.start, segment.start, Index()))

    def _cut(self, header: SegmentHeader) -> None:
        while self._newest[-1].number != header.previous:
            self._newest.pop()
            if not self._newest:
                raise CorruptLog(f"shard {self.name}: segment {header.number} follows {header.previous}, which does not count")
        self._newest[-1].end = header.previous_end

    def add(self, position: int, end: int, directory: Sequence[tuple[str, int, int, int]]) -> None:
        """A group of the last segment may be read."""
        part = self._newest[-1]
        for topic, partition, first, _ in directory:
            part.index.add(topic, partition, first, position)
        part.end = end
        # A run whose groups are shown counts for sure, and so does what it says of the runs before it.
        self._certain = self._runs[-1].number

    def find(self, topic: str, partition: int, offset: int) -> tuple[Part, int] | None:
        """The segment with the record, and where in it to walk from. None where that was removed. Raises CorruptLog, LogError."""
        with self._loading:
            copies = self.layout.compacted
            if copies and offset < self.copy(copies[-1]).end((topic, partition)):
                return self._in_copies(copies, topic, partition, offset)
            if not self._runs:
                return None
            while len(self._runs) > 1 and self._runs[0].number < self.layout.starts_at:
                self._runs.pop(0)
            run = self._run_of((topic, partition), offset)
            if run is None:
                return None
            with self._lock:
                parts = self._newest if run is self._runs[-1] else None
                if parts is not None:
                    return _position(parts, topic, partition, offset)
            known = self._parts.get(run.number)
            if known is None:
                known = self._parts_of(run)
                self._keep(self._parts, run.number, known, RUNS_KNOWN_MAX)
            return _position(known, topic, partition, offset)

    def first_of(self, topic: str, wanted: Mapping[int, int]) -> tuple[Part, int]:
        """Where to walk from to meet all of these offsets. Raises LogError where one was removed, CorruptLog."""
        first: tuple[Part, int] | None = None
        for partition, offset in wanted.items():
            found = self.find(topic, partition, offset)
            if found is None:
                start = self.start_offset(topic, partition)
                raise LogError(f"{topic}/{partition} has no offset {offset} any more; valid are from {start} on")
            # The parts of a copy have one number, and names that sort.
            if first is None or (found[0].number, found[0].copy or "", found[1]) < (
                first[0].number,
                first[0].copy or "",
                first[1],
            ):
                first = found
        assert first is not None, "some partition is wanted"
        return first

    def behind(self, part: Part) -> list[Part]:
        """The segments of its run behind a part."""
        with self._loading, self._lock:
            for parts in (self._newest, *self._parts.values()):
                if part in parts:
                    return parts[parts.index(part) + 1 :]
            return []

    def next_run_at(self, part: Part, topic: str, partition: int) -> int | None:
        """Where the partition goes on in the run behind the part's; None where that is the newest. Raises CorruptLog."""
        with self._loading:
            run = next((run for run in self._runs if run.number > part.number), None)
            return None if run is None else self.base(run).get((topic, partition), 0)

    def _in_copies(self, copies: Sequence[Compacted], topic: str, partition: int, offset: int) -> tuple[Part, int] | None:
        place = (topic, partition)
        if offset < self.start_offset(topic, partition):
            return None
        copy = copies[bisect_right(copies, offset, key=lambda each: self.copy(each).end(place))]
        found = self.copy(copy).position(place, offset)
        if found is None:
            return None
        part, position = found
        return Part(copy.last, 0, copy.parts[part], Index(), copy=part_name(self.name, copy.id, part)), position

    def copy(self, compacted: Compacted) -> CopyIndex:
        """The index of a compacted copy. Raises CorruptLog, StorageUnavailable."""
        with self._loading:
            index = self._copies.get(compacted.id)
            if index is None:
                index = self.from_any(lambda site: read_index(site.storage, self.name, compacted), of_copy=True)
                self._copies[compacted.id] = index
                while len(self._copies) > COPIES_KNOWN_MAX:
                    self._copies.popitem(last=False)
            self._copies.move_to_end(compacted.id)
            return index

    def sealed(self) -> list[Run]:
        """The runs, oldest first, that count for sure, nobody writes to or takes over from, and no copy has yet."""
        with self._loading:
            with self._lock:
                certain = self._certain
            if certain is None:
                return []
            while self._runs[0].number > self.layout.starts_at and self._earlier():
                continue
            return [run for run in self._runs if self.layout.starts_at <= run.number < certain]

    def after(self, run: Run) -> Run:
        """The run that follows one of those that are `sealed`."""
        with self._loading:
            return self._runs[self._runs.index(run) + 1]

    def start_offset(self, topic: str, partition: int) -> int:
        """The first offset that is still there."""
        place = (topic, partition)
        with self._loading:
            copies = self.layout.compacted
            if copies:
                last = self.copy(copies[-1]).partitions.get(place)
                first = self.copy(copies[0]).partitions.get(place)
                return max(last.floor if last else 0, first.first if first else 0)
            if not self._runs:
                return 0
            while self._runs[0].number > self.layout.starts_at and self._earlier():
                continue
            run = next((run for run in self._runs if run.number >= self.layout.starts_at), self._runs[-1])
            return self.base(run).get(place, 0)

    def _run_of(self, place: Place, offset: int) -> Run | None:
        while self.base(self._runs[0]).get(place, 0) > offset:
            if not self._earlier():
                return None
        low, high = 0, len(self._runs) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.base(self._runs[middle]).get(place, 0) <= offset:
                low = middle
            else:
                high = middle - 1
        return self._runs[low]

    def _earlier(self) -> bool:
        """Looks up the run before the first that is known; False where there is none."""
        first = self._runs[0]
        if first.before is None or first.before < self.layout.starts_at:
            return False
        after = self.header(first.number).header
        run = Run(first.before, self.header(first.before).header.checkpoint_before)
        run.last, run.last_end = after.previous, after.previous_end
        with self._lock:
            self._runs.insert(0, run)
        return True

    def base(self, run: Run) -> dict[Place, int]:
        """Where partitions end when the run begins."""
        base = self._bases.get(run.number)
        if base is None:
            base = self.header(run.number).base
            self._keep(self._bases, run.number, base, BASES_KNOWN_MAX)
        return base

    def _parts_of(self, run: Run) -> list[Part]:
        """The segments of a run that is over, with their indexes."""
        parts: list[Part] = []
        number, end = run.last, run.last_end
        while number is not None and number >= run.number:
            try:
                header, part = self.from_any(partial(_part, number, end))
            except CorruptLog as e:
                header, part = self.from_any(partial(_damaged_part, number, end))
                if number not in self.damaged and len(self.damaged) < QUARANTINED_KNOWN_MAX:
                    self.damaged.add(number)
                    _log.error("a segment is damaged on every site; what is whole of it is read", shard=self.name, error=str(e))
            parts.append(part)
            number, end = header.previous, header.previous_end
        return parts[::-1]

    def header(self, number: int) -> Segment:
        """A segment by its header. Raises CorruptLog, StorageUnavailable."""
        return self.from_any(partial(_segment, number))

    def from_any(self, read: Callable[[MemberSite], T], of_copy: bool = False) -> T:
        """What the first site gives that has it whole. Raises CorruptLog where none has, StorageUnavailable where one
        that may have it does not answer.

        Such a site is asked last from then on, until the log puts them in order again. A compacted copy, which has nothing that
        does not count, is also looked for on sites that are no members: one that became a member while it was made may lack it.
        """
        first: LogError | None = None
        silent: StorageUnavailable | None = None
        for site in (*self.sites, *(self._others() if of_copy else ())):
            try:
                return read(site)
            except StorageUnavailable as e:
                silent = silent or e
                if site not in self.sites:
                    continue
                self.sites = (*(other for other in self.sites if other is not site), site)
            except (CorruptLog, ObjectMissing) as e:
                first = first or e
        if silent is not None:
            raise silent
        if isinstance(first, ObjectMissing):
            raise CorruptLog(f"shard {self.name}: {first}") from first
        raise first or StorageUnavailable(f"shard {self.name}: no site of it is known")

    def _others(self) -> list[MemberSite]:
        members = {site.name for site in self.sites}
        return [MemberSite(storage, self.name, "") for storage in self._storages if storage.name not in members]

    def _keep(self, known: OrderedDict[int, T], number: int, value: T, most: int) -> None:
        known[number] = value
        while len(known) > most:
            known.popitem(last=False)


def _segment(number: int, site: MemberSite) -> Segment:
    segment = read_header(site, number)
    if segment is None:
        raise ObjectMissing(f"{site.name}: {site.place(number)}: there is no such object")
    return segment


def _part(number: int, end: int, site: MemberSite) -> tuple[SegmentHeader, Part]:
    segment = _segment(number, site)
    part = Part(number, segment.start, end, Index())
    at = segment.start
    try:
        for group in reader_of(site, number, end).groups(segment):
            for position, _, directory in group.blocks:
                for topic, partition, first, _ in directory:
                    part.index.add(topic, partition, first, position)
            at = group.end
    except Torn as e:
        raise CorruptLog(f"{site.name}: {site.place(number)}: byte {e.at}: {e}") from None
    if at != end:
        raise CorruptLog(f"{site.name}: {site.place(number)}: the segment ends at byte {at}; it was durable up to byte {end}")
    return segment.header, part


def _damaged_part(number: int, end: int, site: MemberSite) -> tuple[SegmentHeader, Part]:
    """A segment that no site has whole: without an index, so that all of it is looked through."""
    segment = _segment(number, site)
    return segment.header, Part(number, segment.start, end, Index(), damaged=True)


def _position(parts: Sequence[Part], topic: str, partition: int, offset: int) -> tuple[Part, int] | None:
    damaged = None
    for part in reversed(parts):
        at = part.index.floor(topic, partition, offset)
        if at is not None:
            return part, at
        damaged = part if part.damaged else damaged
    return None if damaged is None else (damaged, damaged.start)
