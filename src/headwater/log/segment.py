"""Segments: what their header and marks hold, how one is read, and the sparse index of offsets. See `docs/formats/log.md`."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from headwater.core.errors import CorruptLog
from headwater.core.limits import INDEX_INTERVAL_BYTES, INDEX_PLACE_BYTES
from headwater.kernel import block_directory, check_block, checksum, encode_frame, find_later_frame, read_frame
from headwater.log.interface import Commit, Produced

SEGMENT, BLOCK, MARK = 0, 1, 2
_WINDOW_BYTES = 16 * 1024
_encode = msgspec.msgpack.Encoder().encode


class SegmentHeader(msgspec.Struct, frozen=True):
    """The first frame of a segment: what came before it, so that it can be read without what came before it.

    ``previous`` is the segment that it follows, valid up to byte ``previous_end``, with the chain ``previous_chain``, and no
    further. ``ends``, ``commits``, ``state`` and ``produced`` are all that the shard held then where it is a ``checkpoint``, and
    empty where it is not; ``checkpoint_before`` is the last segment before it that is one. A ``fence`` holds nothing and comes
    before nothing.
    """

    shard: str
    number: int
    previous: int | None
    previous_end: int
    previous_chain: int
    ends: list[tuple[str, int, int]]
    commits: tuple[Commit, ...]
    state: tuple[tuple[str, bytes], ...]
    epoch: int = 0
    writer: str = ""
    fence: bool = False
    checkpoint: bool = True
    checkpoint_before: int | None = None
    produced: tuple[Produced, ...] = ()


class Mark(msgspec.Struct, frozen=True):
    """The last frame of a group. ``chain`` covers every frame of the segment before it; ``closed``: the writer left in order."""

    chain: int
    blocks: int
    commits: tuple[Commit, ...] = ()
    state: tuple[tuple[str, bytes], ...] = ()
    closed: bool = False
    produced: tuple[Produced, ...] = ()


_Content = TypeVar("_Content", SegmentHeader, Mark)


class Group(msgspec.Struct, frozen=True):
    """A whole group as it lies in a file: its blocks as (position, header and body bytes, directory)."""

    number: int
    start: int
    end: int
    chain: int
    mark: Mark
    blocks: list[tuple[int, int, list[tuple[str, int, int, int]]]]


def link(chain: int, frame_checksum: int) -> int:
    """The chain after one more frame."""
    return checksum(struct.pack("<I", frame_checksum), chain)


def frame_checksum(frame: bytes) -> int:
    """The header checksum that a frame carries."""
    found: int = struct.unpack_from("<I", frame, 12)[0]
    return found


def encode_header(header: SegmentHeader, group: int) -> bytes:
    """The bytes a segment begins with; ``group`` is the number of its first group."""
    return encode_frame(SEGMENT, group, _encode(header))


def encode_mark(mark: Mark, group: int) -> bytes:
    """The bytes a group ends with."""
    return encode_frame(MARK, group, _encode(mark))


class Index:
    """Offset → position of a block, per partition; sparse, so that it stays small beside the segment it is of."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], tuple[array[int], array[int]]] = {}

    def add(self, topic: str, partition: int, first_offset: int, position: int) -> None:
        """Notes a block, unless another one of the partition lies close before it."""
        offsets, positions = self._entries.setdefault((topic, partition), (array("Q"), array("Q")))
        # Sparser where there are many partitions: the index of 10,000 must stay small as well.
        interval = max(INDEX_INTERVAL_BYTES, INDEX_PLACE_BYTES * len(self._entries))
        if not positions or position - positions[-1] >= interval:
            offsets.append(first_offset)
            positions.append(position)

    def floor(self, topic: str, partition: int, offset: int) -> int | None:
        """Where a walk for the record at ``offset`` begins; None where the segment holds none so early."""
        offsets, positions = self._entries.get((topic, partition), (array("Q"), array("Q")))
        at = bisect_right(offsets, offset) - 1
        return positions[at] if at >= 0 else None


class Segment:
    """A segment in use: all of it up to ``end`` is durable and may be read; ``chain`` is the chain there."""

    def __init__(self, place: str, header: SegmentHeader, group: int, start: int, chain: int) -> None:
        self.place = place
        self.header = header
        self.group = group
        self.start = start
        self.end = start
        self.start_chain = chain
        self.chain = chain
        self.base = {(topic, partition): end for topic, partition, end in header.ends}


class Torn(Exception):
    """Bytes that are no whole group, at byte ``at``."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at


Read = Callable[[int, int | None], bytes]
"""Bytes from a position on, at most so many (None: to the end); fewer at the end only."""


class SegmentReader:
    """Reads the frames of one segment in order, up to ``size`` or to the end; ``place`` stands in messages."""

    def __init__(self, read: Read, place: str, size: int | None = None) -> None:
        self._read = read
        self._place = place
        self._window = b""
        self._at = 0
        self._size = size

    def _has(self, at: int, need: int) -> bool:
        """Whether so many bytes follow; they are in the window then."""
        if self._size is not None and at + need > self._size:
            return False
        if at < self._at or at + need > self._at + len(self._window):
            self._window, self._at = self._read(at, max(need, _WINDOW_BYTES)), at
        return len(self._window) - (at - self._at) >= need

    def frame(self, at: int) -> tuple[int, int, int, int, bytes]:
        """(kind, group, checksum, end of the frame, header) of the frame at ``at``. Raises Torn, or CorruptLog by name."""
        need = 1
        while True:
            if not self._has(at, need):
                raise self._cut_off(at)
            try:
                found = read_frame(self._window, at - self._at, at)
            except NotImplementedError as e:
                raise CorruptLog(f"{self._place}: {e}") from None
            except ValueError as e:
                raise Torn(at, str(e)) from None
            if isinstance(found, int):
                if found <= need:
                    raise self._cut_off(at)
                need = found
                continue
            kind, group, header_length, body_length, crc = found
            header = self._window[at - self._at : at - self._at + header_length]
            return kind, group, crc, at + header_length + body_length, header

    def _cut_off(self, at: int) -> Torn:
        end = self._size if self._size is not None else self._at + len(self._window)
        return Torn(at, f"the segment ends at byte {end}, inside a frame")

    def header(self) -> Segment:
        """The segment by its first frame. Raises Torn where there is none."""
        kind, group, crc, end, header = self.frame(0)
        if kind != SEGMENT:
            raise Torn(0, f"the file begins with a frame of kind {kind}, not with a segment header")
        content = self._decode(0, header, SegmentHeader)
        return Segment(self._place, content, group, end, link(content.previous_chain, crc))

    def groups(self, segment: Segment) -> Iterator[Group]:
        """The groups of the segment in order. Raises Torn at the start of the first that is not whole."""
        at, number, chain = segment.start, segment.group, segment.start_chain
        while self._has(at, 1):
            group = self.group(at, number, chain)
            yield group
            at, number, chain = group.end, group.number + 1, group.chain

    def next_group(self, at: int, number: int, chain: int) -> Group | None:
        """The group at ``at``; None where it is not whole yet."""
        try:
            return self.group(at, number, chain) if self._has(at, 1) else None
        except Torn:
            return None

    def begins_group(self, at: int, number: int) -> bool:
        """Whether a frame of that group stands at ``at``, as far as its header."""
        try:
            return self._has(at, 1) and self.frame(at)[1] == number
        except Torn:
            return False

    def begins_later(self, at: int, number: int) -> bool:
        """Whether a group behind that one has begun, so that it was durable once. It may have become whole since it was read."""
        return self._has(at, 1) and self.later_frame(at, number + 1) is not None

    def group(self, start: int, number: int, chain: int) -> Group:
        """The group with that number that begins at ``start``, behind that chain. Raises Torn where it is not whole."""
        blocks = []
        at = start
        while True:
            try:
                kind, group, crc, end, header = self.frame(at)
            except Torn as e:
                raise Torn(start, str(e)) from None
            if group != number or kind == SEGMENT:
                raise Torn(start, f"byte {at}: a frame of kind {kind} of group {group} stands where group {number} belongs")
            if kind == MARK:
                break
            blocks.append((at, end - at, self._directory(header, at)))
            chain = link(chain, crc)
            at = end
        mark = self._decode(at, header, Mark)
        if mark.chain != chain or mark.blocks != len(blocks):
            raise Torn(start, f"byte {at}: the mark of group {number} does not fit the frames before it")
        return Group(number=number, start=start, end=end, chain=link(chain, crc), mark=mark, blocks=blocks)

    def _directory(self, header: bytes, at: int) -> list[tuple[str, int, int, int]]:
        try:
            return block_directory(header, at)
        except ValueError as e:
            raise CorruptLog(f"{self._place}: {e}") from None

    def _decode(self, at: int, header: bytes, kind: type[_Content]) -> _Content:
        try:
            return msgspec.msgpack.decode(header[32:], type=kind)
        except msgspec.DecodeError as e:
            raise CorruptLog(f"{self._place}: byte {at}: an intact frame holds no {kind.__name__}: {e}") from None

    def check_bodies(self, group: Group) -> None:
        """Raises Torn where a byte of the group's records is not what was written."""
        for position, length, _ in group.blocks:
            try:
                check_block(self._read(position, length), position)
            except ValueError as e:
                raise Torn(group.start, str(e)) from None

    def later_frame(self, at: int, group: int) -> int | None:
        """Where after ``at`` a valid frame of ``group`` or a later one begins."""
        rest = self._read(at, None if self._size is None else self._size - at)
        found = find_later_frame(rest, 1, group)
        return None if found is None else at + found
