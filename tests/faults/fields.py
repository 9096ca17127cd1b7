"""Walks an object of the log by `docs/formats/log.md` and names every byte: which field of which frame it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_ENVELOPE = (("magic", 4), ("version", 1), ("zeros", 3), ("checksum", 4))
_FRAME = (
    ("magic", 4),
    ("version", 1),
    ("kind", 1),
    ("zeros", 2),
    ("header bytes", 4),
    ("checksum", 4),
    ("group", 8),
    ("body bytes", 8),
)
_BLOCK = (
    ("number of ranges", 4),
    ("number of chunks", 4),
    ("number of topics", 4),
    ("zeros", 4),
    ("least event time", 8),
    ("greatest event time", 8),
    ("least received time", 8),
    ("greatest received time", 8),
)
_CHUNK = (("bytes stored", 4), ("bytes unpacked", 4), ("checksum", 4), ("codec", 1), ("zeros", 3))
_RANGE = (("topic", 4), ("partition", 4), ("first offset", 8), ("records", 4), ("chunk", 4), ("begins", 4), ("bytes", 4))
_KINDS = ("segment header", "block", "mark")
NUMBERED, PLAIN = b"MYGTN", b"BX"  # The last letter of the magic of each shape, with a number behind the checksum or without.
SEGMENTS = ord("L")


class Field(NamedTuple):
    """A field's place in its object; ``name`` says what it is in."""

    name: str
    start: int
    end: int


def fields_of(data: bytes) -> list[Field]:
    """The fields of an object in order: every byte is in just one. Raises ValueError for bytes that are no object of the log."""
    if data[:3] != b"\xf5HW":
        raise ValueError(f"no object of the log begins with {data[:4]!r}")
    found = list(_frames(data) if data[3] == SEGMENTS else _shape(data))
    at = 0
    for field in found:
        if field.start != at or field.end < at:
            raise ValueError(f"{field.name} is from {field.start} to {field.end}; byte {at} is next")
        at = field.end
    if at != len(data):
        raise ValueError(f"byte {at} of {len(data)} is in no field")
    return [field for field in found if field.end > field.start]


def _table(table: tuple[tuple[str, int], ...], prefix: str, at: int) -> Iterator[Field]:
    for name, size in table:
        yield Field(f"{prefix}{name}", at, at + size)
        at += size


def _shape(data: bytes) -> Iterator[Field]:
    yield from _table(_ENVELOPE, "", 0)
    at = 12
    if data[3] in NUMBERED:
        yield Field("number", at, at + 8)
        at += 8
    elif data[3] not in PLAIN:
        raise ValueError(f"no shape has the magic {data[:4]!r}")
    yield from _Packed(data).fields(at, "")


def _frames(data: bytes) -> Iterator[Field]:
    at = counted = 0
    while at < len(data):
        kind = data[at + 5]
        prefix = f"frame {counted} ({_KINDS[kind]}): "
        header, body = int.from_bytes(data[at + 8 : at + 12], "little"), int.from_bytes(data[at + 24 : at + 32], "little")
        yield from _table(_FRAME, prefix, at)
        content = _block(data, at, prefix) if kind == 1 else _Packed(data).fields(at + 32, prefix)
        yield from content
        at += header + body
        counted += 1


def _block(data: bytes, at: int, prefix: str) -> Iterator[Field]:
    header = at + int.from_bytes(data[at + 8 : at + 12], "little")
    ranges, chunks, topics = (int.from_bytes(data[at + 32 + n : at + 36 + n], "little") for n in (0, 4, 8))
    yield from _table(_BLOCK, prefix, at + 32)
    at, sizes = at + 80, []
    for number in range(chunks):
        sizes.append(int.from_bytes(data[at : at + 4], "little"))
        yield from _table(_CHUNK, f"{prefix}chunk {number}: ", at)
        at += 16
    for number in range(ranges):
        yield from _table(_RANGE, f"{prefix}range {number}: ", at)
        at += 32
    for number in range(topics):
        size = int.from_bytes(data[at : at + 2], "little")
        yield from _table((("length", 2), ("name", size)), f"{prefix}topic {number}: ", at)
        at += 2 + size
    if at != header:
        raise ValueError(f"{prefix}the header ends at byte {header}, its fields at {at}")
    for number, size in enumerate(sizes):
        yield Field(f"{prefix}records of chunk {number}", at, at + size)
        at += size


class _Packed:
    """MessagePack: a field for each value, each key, and the length of each list and map."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = 0

    def fields(self, at: int, name: str) -> Iterator[Field]:
        """The fields of the value at a byte."""
        first = self._data[at]
        if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            at, count = self._count(at, first, 0x80)
            yield Field(f"{name}entries of a map", self._end, at)
            for _ in range(count):
                key = self._scalar_end(at)
                text = self._data[at + (1 if self._data[at] < 0xC0 else 2) : key].decode()
                yield Field(f"{name}{text} (key)", at, key)
                yield from self.fields(key, f"{name}{text} ")
                at = self._end
        elif 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
            at, count = self._count(at, first, 0x90)
            yield Field(f"{name}length of a list", self._end, at)
            for number in range(count):
                yield from self.fields(at, f"{name}{number} ")
                at = self._end
        else:
            at, self._end = at, self._scalar_end(at)
            yield Field(name.rstrip(), at, self._end)
            return
        self._end = at

    def _count(self, at: int, first: int, fixed: int) -> tuple[int, int]:
        self._end = at
        if first < 0xA0:
            return at + 1, first - fixed
        size = 2 if first in (0xDC, 0xDE) else 4
        return at + 1 + size, int.from_bytes(self._data[at + 1 : at + 1 + size], "big")

    def _scalar_end(self, at: int) -> int:
        first = self._data[at]
        if first < 0x80 or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
            return at + 1
        if 0xA0 <= first <= 0xBF:
            return at + 1 + first - 0xA0
        lengths = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4}
        if first in lengths:
            size = lengths[first]
            return at + 1 + size + int.from_bytes(self._data[at + 1 : at + 1 + size], "big")
        sizes = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
        if first not in sizes:
            raise ValueError(f"byte {at}: {first:#x} begins nothing that the log writes")
        return at + 1 + sizes[first]
