"""The log on one machine: a directory with segment files for each shard, an fsync before every acknowledgement."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from headwater.core.errors import CorruptLog, LogError
from headwater.core.limits import FETCH_BYTES_MAX, INDEXED_SEGMENTS_MAX, SEGMENT_BYTES_MAX
from headwater.kernel import decode_ranges, find_ranges
from headwater.log.files import Files, OsFiles, make_durable_directory
from headwater.log.interface import AppendGroup, Batch, Fetch
from headwater.log.recovery import Shard, index_closed, open_shard
from headwater.log.segment import Group, Index, Mark, Segment, SegmentHeader
from headwater.log.table import Table, check_shard_name
from headwater.log.writer import LocalWriter

_WALK_BYTES = 64 * 1024
_Range = tuple[int, int, int, int, int, int, int, int, int]


class LocalLog:
    """A `Log` in a directory, for one process; `docs/formats/log.md` says what is on disk.

    Sees at once what this process appends. Of a shard that another process writes it sees what was there when it was opened.
    Raises CorruptLog where a shard is damaged, OSError where the directory cannot be used.
    """

    writer_type: ClassVar[type[LocalWriter]] = LocalWriter

    def __init__(self, path: Path, files: Files | None = None, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
        self.files: Files = files or OsFiles()
        self.lock = threading.Lock()
        self.table = Table()
        self._path = path
        self._segment_bytes_max = segment_bytes_max
        self._shards: dict[str, Shard] = {}
        self._writers: dict[str, LocalWriter] = {}
        self._indexed: OrderedDict[str, Segment] = OrderedDict()
        self._indexing = threading.Lock()
        self._appended = threading.Condition()
        self._appends = 0
        self._seen = threading.local()
        self._closed = False
        make_durable_directory(self.files, path)
        for name in sorted(self.files.list_directory(path)):
            self._open_shard(name)

    def _open_shard(self, name: str) -> Shard:
        with self.lock:
            self.table.forget(name)
            directory = self._path / name / "segment"
            self._shards[name] = open_shard(self.files, name, directory, partial(self._started, name), partial(self._found, name))
            return self._shards[name]

    def _started(self, shard: str, segment: Segment) -> None:
        header = segment.header
        self._claim(shard, _named(((t, p) for t, p, _ in header.ends), header))
        for topic, partition, end in header.ends:
            self.table.extend(topic, partition, end)
        self.table.commit(header.commits, header.state)

    def _found(self, shard: str, group: Group) -> None:
        places = [entry for _, _, directory in group.blocks for entry in directory]
        self._claim(shard, _named(((t, p) for t, p, _, _ in places), group.mark))
        for topic, partition, first, count in places:
            end = self.table.end(topic, partition)
            if first != end:
                raise CorruptLog(f"shard {shard}: group {group.number} has {topic}/{partition} {first} where {end} belongs")
            self.table.extend(topic, partition, first + count)
        self.table.commit(group.mark.commits, group.mark.state)

    def _claim(self, shard: str, group: AppendGroup) -> None:
        try:
            self.table.claim(shard, group)
        except LogError as e:
            raise CorruptLog(f"{self._path / shard}: {e}") from None

    def writer(self, shard: str) -> LocalWriter:
        """See `Log`. One at a time, in this process as well."""
        check_shard_name(shard)
        self._check_open()
        directory = self._path / shard
        make_durable_directory(self.files, directory / "segment")
        self.files.sync_directory(self._path)
        try:
            lock_fd = self.files.lock(directory / "lock")
        except BlockingIOError:
            raise LogError(f"shard {shard} in {self._path} has a writer already; a shard has one at a time") from None
        try:
            # Another process may have written since this one looked.
            self._writers[shard] = self.writer_type(self, self._open_shard(shard), lock_fd, self._segment_bytes_max)
        except BaseException:
            self.files.close(lock_fd)
            raise
        return self._writers[shard]

    def _check_open(self) -> None:
        if self._closed:
            raise LogError(f"the log in {self._path} is closed")

    def partitions(self, topic: str) -> tuple[int, ...]:
        """See `Log`."""
        with self.lock:
            return self.table.partitions(topic)

    def topics(self) -> tuple[str, ...]:
        """See `Log`."""
        with self.lock:
            return self.table.topics()

    def end_offset(self, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.table.end(topic, partition)

    def committed(self, group: str, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.table.committed(group, topic, partition)

    def state(self, name: str) -> bytes | None:
        """See `Log`."""
        with self.lock:
            return self.table.state(name)

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """See `Log`. Raises LogError for an offset past the end."""
        self._check_open()
        bytes_max = max(bytes_max, 1)
        with self.lock:
            end = self.table.end(topic, partition)
            if not 0 <= offset <= end:
                raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {end}")
            if offset == end:
                return Fetch(data=b"", first_offset=offset, next_offset=offset)
            owner = self.table.owner(topic, partition)
            assert owner is not None
            segment = self._shards[owner].segment_of(topic, partition, offset)
            segment_end = segment.end
        index = self._index(segment)
        with self.lock:
            start = index.floor(topic, partition, offset)
        if start is None:
            raise CorruptLog(f"{segment.place}: byte {segment.start}: {topic}/{partition} {offset} is not in this segment")
        try:
            data, next_offset = self._read(segment, start, segment_end, topic, partition, offset, bytes_max)
        except (ValueError, NotImplementedError) as e:
            raise CorruptLog(f"{segment.place}: {e}") from None
        if next_offset == offset:
            raise CorruptLog(f"{segment.place}: byte {start}: {topic}/{partition} {offset} is not found from here on")
        return Fetch(data=data, first_offset=offset, next_offset=next_offset)

    def _read(
        self, segment: Segment, start: int, end: int, topic: str, partition: int, offset: int, bytes_max: int
    ) -> tuple[bytes, int]:
        parts: list[tuple[_Range, bytes, int]] = []
        fd = self.files.open(Path(segment.place))
        try:
            position, need, raw, first_found = start, 0, 0, start
            while position < end and raw < bytes_max and position - first_found <= FETCH_BYTES_MAX:
                window = self.files.pread(fd, max(need, _WALK_BYTES), position)
                if len(window) < need or not window:
                    raise ValueError(f"byte {position}: the file ends here; it was durable up to byte {end}")
                ranges, after, need = find_ranges(window, position, end, topic, partition, offset, bytes_max, raw)
                for found in ranges:
                    raw += found[2]
                    parts.append(self._bytes_of(fd, found, window, position))
                if not parts:
                    first_found = after
                position = after
            return decode_ranges(parts, offset, bytes_max)
        finally:
            self.files.close(fd)

    def _bytes_of(self, fd: int, found: _Range, window: bytes, position: int) -> tuple[_Range, bytes, int]:
        at, stored = found[0], found[1]
        if at + stored <= position + len(window):
            return found, window, at - position
        return found, self.files.pread(fd, stored, at), 0

    def _index(self, segment: Segment) -> Index:
        with self._indexing:
            index = segment.index
            if index is None:
                index = segment.index = index_closed(self.files, segment)
            if segment.place in self._indexed:
                self._indexed.move_to_end(segment.place)
        if segment.place not in self._indexed and not self._grows(segment):
            self.indexed(segment)
        return index

    def _grows(self, segment: Segment) -> bool:
        with self.lock:
            return any(shard.segments and shard.segments[-1] is segment for shard in self._shards.values())

    def indexed(self, segment: Segment | None) -> None:
        """A closed segment has its index in memory: the one that was used longest ago may have to go."""
        if segment is None or segment.index is None:
            return
        with self._indexing:
            self._indexed[segment.place] = segment
            while len(self._indexed) > INDEXED_SEGMENTS_MAX:
                _, oldest = self._indexed.popitem(last=False)
                oldest.index = None

    def wait(self, seconds: float) -> bool:
        """See `Log`. Every thread has its own last call."""
        with self._appended:
            seen = getattr(self._seen, "appends", 0)
            self._appended.wait_for(lambda: self._appends != seen or self._closed, seconds)
            self._seen.appends = self._appends
            return self._appends != seen

    def notify(self) -> None:
        """Wakes those who wait for records."""
        with self._appended:
            self._appends += 1
            self._appended.notify_all()

    def released(self, shard: str) -> None:
        """The shard's writer is gone."""
        self._writers.pop(shard, None)

    def close(self) -> None:
        """See `Log`. A second call does nothing."""
        for writer in list(self._writers.values()):
            writer.close()
        self._closed = True
        with self._appended:
            self._appended.notify_all()


def _named(places: Iterable[tuple[str, int]], other: SegmentHeader | Mark) -> AppendGroup:
    batches = tuple(Batch(topic=topic, partition=partition, data=b"", count=0) for topic, partition in places)
    return AppendGroup(batches=batches, commits=other.commits, state=other.state)
