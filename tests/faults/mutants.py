"""Logs that are broken on purpose, each in one way. A durability test that passes on its mutant tests nothing."""

from pathlib import Path

from headwater.kernel import checksum
from headwater.log import local, recovery
from headwater.log.files import write_all
from headwater.log.interface import AppendGroup
from headwater.log.local import LocalLog
from headwater.log.recovery import Shard
from headwater.log.segment import Group, Segment, SegmentReader
from headwater.log.writer import LocalWriter
from headwater.testing.faults import SimulatedFiles


class AcknowledgesBeforeSync(LocalWriter):
    def _make_durable(self, segment: Segment, fd: int, data: bytes) -> None:
        write_all(self._files, fd, data, segment.end)


class RetriesAfterFailedSync(LocalWriter):
    def _make_durable(self, segment: Segment, fd: int, data: bytes) -> None:
        write_all(self._files, fd, data, segment.end)
        try:
            self._files.sync(fd)
        except OSError:
            self._files.sync(fd)


class GoesOnAfterFailedSync(LocalWriter):
    """Refuses the batch, but stays on the file instead of sealing it."""

    def _seal(self) -> None:
        pass


class WritesGroupsInHalves(LocalWriter):
    def append(self, group: AppendGroup) -> tuple[int, ...]:
        firsts = [super(WritesGroupsInHalves, self).append(AppendGroup(batches=(one,))) for one in group.batches]
        super().append(AppendGroup(commits=group.commits, state=group.state))
        return tuple(first for one in firsts for first in one)


class WritesBehindTornBytes(LocalWriter):
    """Leaves the torn bytes of a refused write in the file and goes on behind them."""

    def _cut(self, segment: Segment, fd: int) -> bool:
        segment.end = self._files.size(fd)
        return True


class MarksBeforeData(LocalWriter):
    """Writes and syncs the mark before the records; readers of this mutant believe the mark (see `BelievesMarks`)."""

    def _make_durable(self, segment: Segment, fd: int, data: bytes) -> None:
        at = data.rindex(b"\xf5HWL")
        write_all(self._files, fd, data[at:], segment.end + at)
        # The headers of the blocks go with the mark; what is late are the records.
        header = int.from_bytes(data[8:12], "little") if at else 0
        write_all(self._files, fd, data[:header], segment.end)
        self._files.sync(fd)
        write_all(self._files, fd, data[header:at], segment.end + header)
        self._files.sync(fd)


def with_writer(kind: type[LocalWriter]) -> type[LocalLog]:
    return type(f"LogOf{kind.__name__}", (LocalLog,), {"writer_type": kind})


class NoDirectorySync(SimulatedFiles):
    def sync_directory(self, path: Path) -> None:
        pass


def believe_marks(self: SegmentReader, group: Group) -> None:
    """In place of `SegmentReader.check_bodies`."""


def keep_torn_tail(files, name, directory, started, found) -> Shard:
    """In place of `open_shard`: takes the end of the file for the end of the log."""
    shard = recovery.open_shard(files, name, directory, started, found)
    if shard.segments:
        fd = files.open(Path(shard.segments[-1].place))
        shard.segments[-1].end = files.size(fd)
        files.close(fd)
    return shard


_decode_ranges = local.decode_ranges


def decode_unchecked(ranges, offset, bytes_max):
    """In place of `decode_ranges`: believes the records' bytes."""
    trusted = []
    for (at, stored, *lengths, _, first, count), data, start in ranges:
        found = checksum(data[start : start + stored])
        trusted.append(((at, stored, *lengths, found, first, count), data, start))
    return _decode_ranges(trusted, offset, bytes_max)
