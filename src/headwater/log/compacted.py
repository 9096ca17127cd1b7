"""Compacted copies of segments: parts with blocks sorted by topic and partition, and an index. See `docs/formats/log.md`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from headwater.core.errors import CorruptLog, LogError
from headwater.kernel import checksum
from headwater.log.envelope import Shape
from headwater.log.layout import Compacted, index_name, names_of
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable


class PartitionEntry(msgspec.Struct, frozen=True):
    """A partition as a compacted copy has it: offsets from ``first`` to ``end``; none where they are equal.

    ``floor``: offsets below it are past their retention, here and in copies before this one. ``records_bytes`` are those of its
    records, and none was received after ``newest_ms``. ``blocks``: (part, position, first offset) in order of offsets.
    """

    topic: str
    partition: int
    first: int
    end: int
    floor: int
    records_bytes: int
    newest_ms: int
    blocks: tuple[tuple[int, int, int], ...]


class CompactedIndex(msgspec.Struct, frozen=True):
    """What the parts of a compacted copy hold. ``checksums``: CRC32C of each part; ``partitions``: sorted, all there are."""

    shard: str
    id: str
    checksums: tuple[int, ...]
    partitions: tuple[PartitionEntry, ...]


INDEX: Shape[CompactedIndex] = Shape("the index of a compacted copy", b"\xf5HWX", 1, CompactedIndex, numbered=False)


class CopyIndex:
    """An index in memory, with the copy that it is of."""

    def __init__(self, compacted: Compacted, index: CompactedIndex) -> None:
        self.compacted = compacted
        self.checksums = index.checksums
        self.partitions = {(entry.topic, entry.partition): entry for entry in index.partitions}

    def end(self, place: tuple[str, int]) -> int:
        """Where the partition ends in this copy."""
        entry = self.partitions.get(place)
        return 0 if entry is None else entry.end

    def position(self, place: tuple[str, int], offset: int) -> tuple[int, int] | None:
        """(part, position) of the block with the offset; None where the copy does not have it."""
        entry = self.partitions.get(place)
        if entry is None or not entry.first <= offset < entry.end:
            return None
        at = bisect_right(entry.blocks, offset, key=lambda block: block[2]) - 1
        return entry.blocks[at][:2] if at >= 0 else None


def decode_index(data: bytes, shard: str, compacted: Compacted, label: str) -> CompactedIndex:
    """The index of that copy. Raises CorruptLog, naming ``label``: damaged, or of another copy, or of an unknown version."""
    index = INDEX.decode(data, label)
    if (len(data), checksum(data)) != (compacted.index_bytes, compacted.index_checksum):
        raise CorruptLog(f"{label}: this is not the index that the layout names")
    if (index.shard, index.id) != (shard, compacted.id) or len(index.checksums) != len(compacted.parts):
        raise CorruptLog(f"{label}: this is the index of {index.id} of shard {index.shard}")
    return index


def read_index(storage: Storage, shard: str, compacted: Compacted) -> CopyIndex:
    """Reads an index from a site. Raises ObjectMissing, StorageUnavailable, CorruptLog."""
    name = index_name(shard, compacted.id)
    return CopyIndex(compacted, decode_index(storage.get(name), shard, compacted, f"{storage.name}: {name}"))


def damaged_objects(storage: Storage, shard: str, compacted: Compacted, index: CopyIndex) -> list[str]:
    """The objects of a copy that a site does not have, or not as they were put. Raises StorageUnavailable."""
    wanted = [*zip(compacted.parts, index.checksums, strict=True), (compacted.index_bytes, compacted.index_checksum)]
    found = []
    for (name, _), (size, crc) in zip(names_of(shard, compacted), wanted, strict=True):
        try:
            data = storage.get(name)
        except ObjectMissing:
            found.append(name)
            continue
        if len(data) != size or checksum(data) != crc:
            found.append(name)
    return found


def repair_copy(sources: Sequence[Storage], storage: Storage, shard: str, compacted: Compacted) -> list[str]:
    """Makes a site's copy whole; the objects that were not. ``sources`` are all sites of the log.

    Raises StorageUnavailable, CorruptLog where no source has them.
    """
    index = whole_index(sources, shard, compacted)
    damaged = damaged_objects(storage, shard, compacted, index)
    for name in damaged:
        data = whole_object(sources, shard, compacted, name)
        storage.delete(name)
        storage.put(name, data)
        if storage.get(name) != data:
            raise CorruptLog(f"{storage.name}: {name}: it is not what was put there just now")
    return damaged


def whole_object(sources: Sequence[Storage], shard: str, compacted: Compacted, name: str) -> bytes:
    """An object of a copy from the first site that has it as the layout and the index say. Raises as `repair_copy` does."""
    first: LogError | None = None
    silent: StorageUnavailable | None = None
    for source in sources:
        try:
            data = source.get(name)
            if name == index_name(shard, compacted.id):
                decode_index(data, shard, compacted, f"{source.name}: {name}")
                return data
            part = int(name.rpartition(".")[2])
            wanted = whole_index(sources, shard, compacted).checksums[part]
            if checksum(data) == wanted and len(data) == compacted.parts[part]:
                return data
            raise CorruptLog(f"{source.name}: {name}: its checksum does not fit its bytes")
        except StorageUnavailable as e:
            silent = silent or e
        except (CorruptLog, ObjectMissing) as e:
            first = first or e
    if silent is not None:
        raise silent
    raise CorruptLog(f"shard {shard}: no site has {name} whole: {first}")


def whole_index(sources: Sequence[Storage], shard: str, compacted: Compacted) -> CopyIndex:
    """The index of a copy from the first site that has it whole. Raises as `repair_copy` does."""
    data = whole_object(sources, shard, compacted, index_name(shard, compacted.id))
    return CopyIndex(compacted, decode_index(data, shard, compacted, index_name(shard, compacted.id)))
