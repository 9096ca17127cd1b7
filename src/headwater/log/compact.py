"""Compaction: runs of segments that are over become one copy, sorted by topic and partition, without what is past its retention.

The copy is on every member, whole, before a layout names it; what it stands for is deleted later, by `upkeep`. A process that is
killed anywhere in between leaves objects that no layout names, or an id in `Layout.begun` that others remove.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count

import msgspec

from headwater.core.errors import CorruptLog
from headwater.core.ids import new_id
from headwater.core.limits import COMPACT_PART_BYTES_MAX, COMPACT_PUT_S_MAX
from headwater.kernel import checksum, index_at_time
from headwater.log.compacted import INDEX, CompactedIndex, PartitionEntry
from headwater.log.layout import Compacted, Layout, Layouts, index_name, part_name
from headwater.log.merge import Piece, Place, gather, slices, sorted_blocks, sources_of
from headwater.log.retention import RetentionOf, floor_by_bytes
from headwater.log.runtime import Runtime
from headwater.log.shard_view import Run, ShardView
from headwater.log.storage import StorageUnavailable

_NEVER_MS = -(2**63)


class _Entry:
    """A partition while it is copied."""

    def __init__(self, first: int, floor: int) -> None:
        self.first = self.end = first
        self.floor = floor
        self.records_bytes = 0
        self.newest_ms = _NEVER_MS
        self.blocks: list[tuple[int, int, int]] = []


class Compaction:
    """Makes one copy of these runs, the oldest that no copy has yet, with the next run's base as where they must end."""

    def __init__(
        self, view: ShardView, layouts: Layouts, runtime: Runtime, retention_of: RetentionOf, now_ms: int, part_bytes_max: int = 0
    ) -> None:
        self._view = view
        self._layouts = layouts
        self._runtime = runtime
        self._retention_of = retention_of
        self._now_ms = now_ms
        self._part_bytes_max = part_bytes_max or COMPACT_PART_BYTES_MAX
        self._id = new_id()
        self._buffer = bytearray()
        self._parts: list[tuple[int, int]] = []
        self._entries: dict[Place, _Entry] = {}

    def run(self, runs: Sequence[Run], following: Run) -> bool:
        """Whether the copy counts now. False: somebody else was faster. Raises StorageUnavailable, CorruptLog."""
        starts_at = self._view.layout.starts_at
        if self._id not in self._layouts.change(partial(_begin, self._id, starts_at)).begun:
            return False
        numbers: list[int] = []
        sources = []
        for run in runs:
            found = sources_of(self._view, run)
            numbers += found[0]
            sources += found[1]
        ends = self._view.base(following)
        self._prepare(runs[0], ends)
        block_numbers = count()
        for wanted in slices(sources):
            gathered: dict[Place, list[Piece]] = {}
            for place, piece in gather(self._view, sources, wanted):
                self._take(place, piece, gathered)
            for block, firsts in sorted_blocks(gathered, block_numbers.__next__):
                self._add(block, firsts)
        for place, end in ends.items():
            if self._entries[place].end != end:
                raise CorruptLog(
                    f"shard {self._view.name}: {place[0]}/{place[1]} ends at {self._entries[place].end} in segments up to "
                    f"{numbers[-1]}, and at {end} where segment {following.number} begins"
                )
        compacted = self._finish(numbers[0], numbers[-1])
        layout = self._layouts.change(partial(_complete, compacted, starts_at, following.number, tuple(numbers)))
        if compacted in layout.compacted:
            return True
        self.abandon()
        return False

    def abandon(self) -> None:
        """Leaves what was begun. Raises StorageUnavailable."""
        self._layouts.change(partial(abandoned, self._id))

    def _prepare(self, first: Run, ends: dict[Place, int]) -> None:
        base = self._view.base(first)
        copies = self._layouts.last.compacted
        before = self._view.copy(copies[-1]).partitions if copies else {}
        for place in ends:
            known = before.get(place)
            self._entries[place] = _Entry(base.get(place, 0), known.floor if known else 0)

    def _take(self, place: Place, piece: Piece, gathered: dict[Place, list[Piece]]) -> None:
        entry = self._entries.get(place)
        if entry is None:
            raise CorruptLog(f"shard {self._view.name}: {place[0]}/{place[1]} is in a segment, and in no checkpoint behind it")
        if piece.first != entry.end:
            raise CorruptLog(f"shard {self._view.name}: {place[0]}/{place[1]} goes on at {piece.first} where {entry.end} belongs")
        entry.end = piece.first + piece.records
        ms = self._retention_of(place[0]).ms
        if entry.first == piece.first and ms is not None and index_at_time(piece.data, self._now_ms - ms) == piece.records:
            entry.first = entry.floor = entry.end
            return
        entry.records_bytes += len(piece.data)
        entry.newest_ms = max(entry.newest_ms, piece.newest_ms)
        gathered.setdefault(place, []).append(piece)

    def _add(self, block: bytes, firsts: list[tuple[Place, int]]) -> None:
        if self._buffer and len(self._buffer) + len(block) > self._part_bytes_max:
            self._put_part()
        for place, first in firsts:
            self._entries[place].blocks.append((len(self._parts), len(self._buffer), first))
        self._buffer += block

    def _put_part(self) -> None:
        data = bytes(self._buffer)
        self._put(part_name(self._view.name, self._id, len(self._parts)), data)
        self._parts.append((len(data), checksum(data)))
        self._buffer.clear()

    def _finish(self, first: int, last: int) -> Compacted:
        if self._buffer:
            self._put_part()
        self._limit_bytes()
        partitions = tuple(
            PartitionEntry(topic, partition, e.first, e.end, e.floor, e.records_bytes, e.newest_ms, tuple(e.blocks))
            for (topic, partition), e in sorted(self._entries.items())
        )
        data = INDEX.encode(CompactedIndex(self._view.name, self._id, tuple(crc for _, crc in self._parts), partitions))
        self._put(index_name(self._view.name, self._id), data)
        size = sum(entry.records_bytes for entry in partitions)
        return Compacted(self._id, first, last, tuple(size for size, _ in self._parts), len(data), checksum(data), size)

    def _limit_bytes(self) -> None:
        """Moves the floors of partitions that have more bytes than their topic keeps past copies that are beyond it."""
        copies = self._layouts.last.compacted
        for place, entry in self._entries.items():
            limit = self._retention_of(place[0]).bytes
            if limit is not None:
                beyond = floor_by_bytes(copies, self._view.copy, place, entry.records_bytes, limit)
                entry.floor = max(entry.floor, beyond)

    def _put(self, name: str, data: bytes) -> None:
        """Puts the object on every member; raises StorageUnavailable where one does not take it."""
        sites = [site.storage for site in self._view.sites]
        calls = [lambda site=site: site.put(name, data) or site.get(name) == data for site in sites]
        for site, answer in zip(sites, self._runtime.together(calls, COMPACT_PUT_S_MAX), strict=True):
            if answer is not True:
                raise answer if isinstance(answer, StorageUnavailable) else StorageUnavailable(f"{site.name}: {name}: {answer}")


def _begin(id: str, starts_at: int, layout: Layout) -> Layout | None:
    if layout.starts_at != starts_at or id in layout.begun:
        return None
    return msgspec.structs.replace(layout, begun=(*layout.begun, id))


def _complete(compacted: Compacted, starts_at: int, next_start: int, numbers: tuple[int, ...], layout: Layout) -> Layout | None:
    if compacted.id not in layout.begun or layout.starts_at != starts_at:
        return None
    return msgspec.structs.replace(
        layout,
        starts_at=next_start,
        compacted=(*layout.compacted, compacted),
        begun=tuple(id for id in layout.begun if id != compacted.id),
        doomed_segments=(*layout.doomed_segments, *numbers),
    )


def abandoned(id: str, layout: Layout) -> Layout | None:
    """What was begun is left: its objects are deleted like those that were in use."""
    if id not in layout.begun:
        return None
    begun = tuple(each for each in layout.begun if each != id)
    return msgspec.structs.replace(layout, begun=begun, doomed=(*layout.doomed, id))
