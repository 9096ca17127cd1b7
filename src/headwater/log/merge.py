"""Sorting the blocks of several segments by topic and partition, a slice of the partitions at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.core.limits import COMPACT_BLOCK_BYTES, COMPACT_SLICE_BYTES
from headwater.kernel import Packed, block_times, encode_block, split_block
from headwater.log.history import read_header, reader_of
from headwater.log.member import MemberSite
from headwater.log.segment import Segment, Torn
from headwater.log.shard_view import Run, ShardView
from headwater.log.storage import ObjectMissing

Place = tuple[str, int]
_NEVER_MS = -(2**63)


class Source(NamedTuple):
    """A block of a segment that counts: where it is, what it has of which partition, and when its last record was received."""

    number: int
    position: int
    size: int
    directory: list[tuple[str, int, int, int]]
    newest_ms: int


class Piece(NamedTuple):
    """Records of one partition, with consecutive offsets."""

    first: int
    records: int
    data: bytes
    newest_ms: int


def sources_of(view: ShardView, run: Run) -> tuple[list[int], list[Source]]:
    """The segments of a run that is over and their blocks, in order. Raises CorruptLog, StorageUnavailable."""
    segments: list[Segment] = []
    number, end = run.last, run.last_end
    sources: list[list[Source]] = []
    chain: int | None = None
    while number is not None and number >= run.number:
        found = view.from_any(
            lambda site, number=number, end=end, chain=chain: _read(site, number, end, chain),  # type: ignore[misc]
        )
        segments.append(found[0])
        sources.append(found[1])
        header = found[0].header
        number, end, chain = header.previous, header.previous_end, header.previous_chain
    return [segment.header.number for segment in reversed(segments)], [one for part in reversed(sources) for one in part]


def segments_of(view: ShardView, run: Run) -> list[tuple[int, int]]:
    """The numbers of a run that is over and where its segments end, newest first. Raises CorruptLog, StorageUnavailable."""
    found = []
    number, end = run.last, run.last_end
    while number is not None and number >= run.number:
        found.append((number, end))
        header = view.header(number).header
        number, end = header.previous, header.previous_end
    return found


def newest_of(view: ShardView, run: Run) -> int:
    """When the last record of a run was received (ms since 1970)."""
    return max((source.newest_ms for source in sources_of(view, run)[1]), default=_NEVER_MS)


def _read(site: MemberSite, number: int, end: int, chain: int | None) -> tuple[Segment, list[Source]]:
    segment = read_header(site, number)
    if segment is None:
        raise ObjectMissing(f"{site.name}: {site.place(number)}: there is no such object")
    found = []
    last, headers = segment.start_chain, reader_of(site, number, end)
    try:
        for group in reader_of(site, number, end).groups(segment):
            last = group.chain
            for position, size, directory in group.blocks:
                header = headers.frame(position)[4]
                found.append(Source(number, position, size, directory, block_times(header, position)[3]))
    except Torn as e:
        raise CorruptLog(f"{site.name}: {site.place(number)}: byte {e.at}: {e}") from None
    if chain is not None and last != chain:
        raise CorruptLog(f"{site.name}: {site.place(number)}: the frames are not those that the next segment follows")
    return segment, found


def slices(sources: Sequence[Source]) -> list[set[Place]]:
    """The partitions, sorted, in sets whose records lie in about COMPACT_SLICE_BYTES."""
    sizes: dict[Place, float] = {}
    for source in sources:
        count = sum(entry[3] for entry in source.directory)
        for topic, partition, _, records in source.directory:
            sizes[topic, partition] = sizes.get((topic, partition), 0.0) + source.size * records / count
    found: list[set[Place]] = []
    size = 0.0
    for place in sorted(sizes):
        if not found or size + sizes[place] > COMPACT_SLICE_BYTES:
            found.append(set())
            size = 0.0
        found[-1].add(place)
        size += sizes[place]
    return found


def gather(view: ShardView, sources: Sequence[Source], wanted: set[Place]) -> Iterator[tuple[Place, Piece]]:
    """The records of these partitions, of each in order of offsets. Raises CorruptLog where no site has them whole."""
    for source in sources:
        places: dict[Place, tuple[int, int]] = {}
        for topic, partition, first, count in source.directory:
            if (topic, partition) in wanted:
                begun = places.get((topic, partition), (first, 0))
                places[topic, partition] = begun[0], begun[1] + count
        if places:
            yield from view.from_any(lambda site, source=source, places=places: _split(site, source, places))  # type: ignore[misc]


def _split(site: MemberSite, source: Source, places: Mapping[Place, tuple[int, int]]) -> list[tuple[Place, Piece]]:
    label = f"{site.name}: {site.place(source.number)}"
    frame = site.get(source.number, source.position, source.size)
    if len(frame) != source.size:
        raise CorruptLog(f"{label}: byte {source.position}: the segment ends in a block that counts")
    wanted: dict[str, dict[int, int]] = {}
    for (topic, partition), (first, _) in places.items():
        wanted.setdefault(topic, {})[partition] = first
    found = []
    try:
        for topic, partitions in wanted.items():
            for partition, first, records, data in split_block(frame, source.position, topic, partitions):
                found.append(((topic, partition), Piece(first, records, data, source.newest_ms)))
    except (ValueError, NotImplementedError) as e:
        raise CorruptLog(f"{label}: {e}") from None
    return found


def sorted_blocks(
    gathered: Mapping[Place, Sequence[Piece]], number: Callable[[], int]
) -> Iterator[tuple[bytes, list[tuple[Place, int]]]]:
    """Blocks of about COMPACT_BLOCK_BYTES, with the first offset of each partition in them. ``number`` numbers them."""
    batches: list[tuple[Place, int, int, list[bytes]]] = []
    size = 0
    for place in sorted(gathered):
        for piece in gathered[place]:
            if batches and batches[-1][0] == place:
                _, first, count, parts = batches.pop()
                batches.append((place, first, count + piece.records, [*parts, piece.data]))
            else:
                batches.append((place, piece.first, piece.records, [piece.data]))
            size += len(piece.data)
            if size >= COMPACT_BLOCK_BYTES:
                yield _encoded(batches, number())
                batches, size = [], 0
    if batches:
        yield _encoded(batches, number())


def _encoded(batches: list[tuple[Place, int, int, list[bytes]]], number: int) -> tuple[bytes, list[tuple[Place, int]]]:
    packed = Packed([(place[0], place[1], records, b"".join(parts)) for place, _, records, parts in batches])
    block = encode_block(number, [packed], [[first for _, first, _, _ in batches]])
    return block.joined() if block else b"", [(place, first) for place, first, _, _ in batches]
