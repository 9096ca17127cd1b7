"""Opening a shard: which segments count, where the last one ends, and whether what lies behind is torn or damaged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from headwater.core.errors import CorruptLog
from headwater.log.files import Files
from headwater.log.segment import Group, Index, Segment, SegmentReader, Torn


class Shard:
    """A shard's segments, oldest first. The last one is the one that grows, as long as its writer holds it."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.segments: list[Segment] = []
        self.next_group = 0
        self.next_number = 0

    def segment_of(self, topic: str, partition: int, offset: int) -> Segment:
        """The segment that holds the record; the shard is known to hold it."""
        place = (topic, partition)
        low, high = 0, len(self.segments) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.segments[middle].base.get(place, 0) <= offset:
                low = middle
            else:
                high = middle - 1
        return self.segments[low]


class _Descriptor:
    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self._path = path
        self.fd = files.open(path)
        self.size = files.size(self.fd)

    def reader(self, size: int | None = None) -> SegmentReader:
        return SegmentReader(self._read, str(self._path), self.size if size is None else size)

    def _read(self, at: int, length: int | None) -> bytes:
        return self._files.pread(self.fd, max(self.size - at, 0) if length is None else length, at)

    def close(self) -> None:
        self._files.close(self.fd)


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment."""
    return directory / f"{number:020}"


def open_shard(
    files: Files, name: str, directory: Path, started: Callable[[Segment], None], found: Callable[[Group], None]
) -> Shard:
    """Reads what a shard holds: ``started`` gets the last segment, ``found`` each of its groups in order.

    Raises CorruptLog where what was durable is damaged. A torn tail is left where it is: the next segment says that it does not
    count.
    """
    shard = Shard(name, directory)
    numbers = sorted(int(entry) for entry in files.list_directory(directory) if len(entry) == 20 and entry.isdigit())
    if not numbers:
        return shard
    shard.next_number = numbers[-1] + 1
    last = _last_segment(files, shard, numbers)
    if last is None:
        return shard
    shard.segments = [*_before(files, shard, last), last]
    started(last)
    _read_last(files, shard, last, found)
    return shard


def _last_segment(files: Files, shard: Shard, numbers: list[int]) -> Segment | None:
    for number in reversed(numbers):
        path = segment_path(shard.directory, number)
        with closing(_Descriptor(files, path)) as file:
            reader = file.reader()
            try:
                return _checked(shard, number, reader.header())
            except Torn as e:
                # Its header was never synced, so nothing in it was acknowledged; unless frames follow: then it is damaged.
                if reader.later_frame(0, 0) is not None:
                    raise CorruptLog(f"{path}: byte 0: {e}, but frames follow") from None
    return None


def _checked(shard: Shard, number: int, segment: Segment) -> Segment:
    header = segment.header
    if (header.shard, header.number) != (shard.name, number):
        raise CorruptLog(f"{segment.place}: byte 0: this is segment {header.number} of shard {header.shard}")
    return segment


def _before(files: Files, shard: Shard, last: Segment) -> list[Segment]:
    segments: list[Segment] = []
    after = last
    while after.header.previous is not None:
        path = segment_path(shard.directory, after.header.previous)
        try:
            with closing(_Descriptor(files, path)) as file:
                reader = file.reader()
                segment = _checked(shard, after.header.previous, reader.header())
                size = file.size
        except FileNotFoundError:
            raise CorruptLog(f"{path}: there is no such file, but {Path(after.place).name} follows it") from None
        except Torn as e:
            raise CorruptLog(f"{path}: byte {e.at}: {e}") from None
        segment.end, segment.chain = after.header.previous_end, after.header.previous_chain
        if size < segment.end:
            raise CorruptLog(f"{path}: byte {size}: the file ends here; it was durable up to byte {segment.end}")
        segments.append(segment)
        after = segment
    return segments[::-1]


def _read_last(files: Files, shard: Shard, last: Segment, found: Callable[[Group], None]) -> None:
    with closing(_Descriptor(files, Path(last.place))) as file:
        reader = file.reader()
        last.index = Index()
        pending: Group | None = None
        shard.next_group = last.group

        def accept(group: Group) -> None:
            add_to_index(last, group)
            found(group)
            last.end, last.chain, shard.next_group = group.end, group.chain, group.number + 1

        try:
            for group in reader.groups(last):
                if pending is not None:
                    accept(pending)
                pending = group
        except Torn as e:
            _check_torn(reader, last, e, pending.number + 1 if pending else last.group)
        if pending is not None:
            # Only the last group may be torn within: the ones before it were synced before it was written.
            try:
                reader.check_bodies(pending)
                accept(pending)
            except Torn as e:
                _check_torn(reader, last, e, pending.number)
        # What a killed writer wrote and did not sync is in the cache alone, and is about to be read.
        files.sync(file.fd)
        files.sync_directory(shard.directory)


def _check_torn(reader: SegmentReader, segment: Segment, torn: Torn, group: int) -> None:
    """Raises CorruptLog where a later group is there: it was written after this one was durable, so this one is damaged."""
    later = reader.later_frame(torn.at, group + 1)
    if later is not None:
        raise CorruptLog(f"{segment.place}: byte {torn.at}: {torn}; a later group follows at byte {later}") from None


def add_to_index(segment: Segment, group: Group) -> None:
    """Notes where the group's blocks are."""
    assert segment.index is not None
    for position, _, directory in group.blocks:
        for topic, partition, first_offset, _ in directory:
            segment.index.add(topic, partition, first_offset, position)


def index_closed(files: Files, segment: Segment) -> Index:
    """Makes the index of a segment that does not grow any more. Raises CorruptLog."""
    index = Index()
    with closing(_Descriptor(files, Path(segment.place))) as file:
        reader = file.reader(segment.end)
        chain = segment.start_chain
        try:
            for group in reader.groups(segment):
                chain = group.chain
                for position, _, directory in group.blocks:
                    for topic, partition, first_offset, _ in directory:
                        index.add(topic, partition, first_offset, position)
        except Torn as e:
            raise CorruptLog(f"{segment.place}: byte {e.at}: {e}") from None
        if chain != segment.chain:
            raise CorruptLog(f"{segment.place}: byte {segment.end}: the frames are not those that the next segment follows")
    return index
