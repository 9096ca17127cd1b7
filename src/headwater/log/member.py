"""A shard's segments on one site, under one admission of that site to the shard's members.

An admission has a directory of its own, so that nothing is ever deleted or replaced to bring a site back, and what a writer of
yesterday still sends lies where nobody looks. Its object `base` says that earlier segments lie with an earlier admission; a site
without it was erased, whatever else it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from headwater.log.envelope import Shape
from headwater.log.ledger import numbers_in, object_name
from headwater.log.manifest import Member
from headwater.log.storage import ObjectMissing, Storage


class Base(msgspec.Struct, frozen=True):
    """Segments up to the number ``up_to`` lie with the admission ``before``, or with its base."""

    before: str | None = None
    up_to: int = -1


class _Part(NamedTuple):
    directory: str
    above: int


BASE: Shape[Base] = Shape("the base of an admission", b"\xf5HWB", 1, Base, numbered=False)


def encode_base(base: Base) -> bytes:
    """The object that begins an admission."""
    return BASE.encode(base)


def decode_base(data: bytes, label: str) -> Base:
    """Reads it back. Raises CorruptLog, naming ``label``: damaged, or of a version that is not known."""
    return BASE.decode(data, label)


def directory_of(shard: str, admission: str) -> str:
    """Where an admission keeps its segments."""
    return f"{shard}/segment/{admission}"


class MemberSite:
    """The segments of a shard on a site. Blocks and raises as its storage does; ObjectMissing also where it was erased."""

    def __init__(self, storage: Storage, shard: str, admission: str) -> None:
        self.storage = storage
        self.shard = shard
        self.admission = admission
        self.name = storage.name
        self.appends = storage.appends
        self.member = Member(storage.name, admission)
        self._parts: list[_Part] = []

    def open(self) -> bool:
        """Whether the site still has what it was admitted with."""
        parts: list[_Part] = []
        admission: str | None = self.admission
        try:
            while admission is not None:
                directory = directory_of(self.shard, admission)
                base = decode_base(self.storage.get(f"{directory}/base"), f"{self.name}: {directory}/base")
                parts.append(_Part(directory, base.up_to))
                admission = base.before
        except ObjectMissing:
            return False
        self._parts = parts
        return True

    def is_whole(self) -> bool:
        """Whether the site still has the object that began its admission; one that was erased lost it."""
        try:
            self.storage.get(f"{directory_of(self.shard, self.admission)}/base")
        except ObjectMissing:
            return False
        return True

    @property
    def up_to(self) -> int:
        """The last segment that lies with an earlier admission; -1 where none does."""
        return self._parts[0].above

    def place(self, number: int) -> str:
        """The object of a segment."""
        for part in self._parts[:-1]:
            if number > part.above:
                return object_name(part.directory, number)
        return object_name(self._parts[-1].directory, number)

    def put(self, number: int, data: bytes) -> bool:
        """See `Storage.put`."""
        return self.storage.put(self.place(number), data)

    def append(self, number: int, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage.append`."""
        self.storage.append(self.place(number), at, data, sync)

    def get(self, number: int, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage.get`."""
        return self.storage.get(self.place(number), start, length)

    def numbers(self) -> list[int]:
        """The numbers of the newest admission that has any, sorted, and what is known to lie before them (its ``up_to``)."""
        for part in self._parts:
            numbers = numbers_in(self.storage, part.directory)
            before = [part.above] if part.above >= 0 else []
            if numbers or before:
                return [*before, *(number for number in numbers if number > part.above)]
        return []


def put_same(number: int, data: bytes, site: MemberSite) -> bool:
    """Whether the segment is there with these bytes, by this call or an earlier one that was not answered."""
    return site.put(number, data) or site.get(number) == data
