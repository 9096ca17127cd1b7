"""Logs that are broken on purpose, each in one way. A durability test that passes on its mutant tests nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from headwater.core.errors import LogUnavailable
from headwater.kernel import checksum
from headwater.log import history, reading, restore, shared
from headwater.log.commit import Committer, Group
from headwater.log.files import write_all
from headwater.log.history import Tail
from headwater.log.interface import AppendGroup
from headwater.log.member import Base, MemberSite, directory_of, encode_base
from headwater.log.segment import Segment, SegmentReader
from headwater.log.shard_writer import SharedWriter
from headwater.log.storage import Storage
from headwater.log.stores.descriptors import OpenFile
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import SimulatedFiles


class AppendsWithoutSync(FolderStorage):
    """Calls durable what was only written."""

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        super().append(name, at, data, sync=False)


class SyncsAgainAfterFailedSync(FolderStorage):
    """Asks once more where a sync failed, and believes the answer."""

    def _append(self, path: Path, file: OpenFile, at: int, data: bytes, sync: bool) -> None:
        write_all(self._files, file.fd, data, at)
        try:
            self._files.sync(file.fd)
        except OSError:
            self._files.sync(file.fd)
        self._sync_names(path.parent)


class MarksBeforeData(FolderStorage):
    """Writes and syncs the mark before the records; readers of this mutant believe the mark (see `believe_marks`)."""

    def _append(self, path: Path, file: OpenFile, at: int, data: bytes, sync: bool) -> None:
        mark = data.rindex(b"\xf5HWL")
        # The headers of the blocks go with the mark; what is late are the records.
        header = int.from_bytes(data[8:12], "little") if mark else 0
        for start, end in ((mark, len(data)), (0, header), (header, mark)):
            write_all(self._files, file.fd, data[start:end], at + start)
            if start != mark:
                self._files.sync(file.fd)


class NoDirectorySync(SimulatedFiles):
    """A disk whose names are durable by chance alone."""

    def sync_directory(self, path: Path) -> None:
        pass


class WritesGroupsInHalves(SharedWriter):
    """Appends each batch of a group by itself."""

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        firsts = [super(WritesGroupsInHalves, self).append(AppendGroup(batches=(one,))) for one in group.batches]
        super().append(AppendGroup(commits=group.commits, state=group.state))
        return tuple(first for one in firsts for first in one)


def stay_on_the_segment(patch: pytest.MonkeyPatch) -> None:
    """Refuses a group whose append failed, but stays on the segment instead of leaving it for good."""
    append = Committer._append

    def stay(self: Committer, segment: Segment, group: Group, sync: bool, empty: bool = False) -> int | None:
        due = segment.end > segment.start and segment.end + len(group.block or ()) > self._segment_bytes_max
        at = append(self, segment, group, sync, empty)
        if at is None and not due:
            self.segment = segment
            raise LogUnavailable("refused")
        return at

    patch.setattr(Committer, "_append", stay)
    patch.setattr(FolderStorage, "_refuse_failed", lambda *_, **__: None)


def write_behind_torn_bytes(patch: pytest.MonkeyPatch) -> None:
    """Leaves the torn bytes of a refused write in the file and goes on behind them."""
    append = Committer._append

    def go_on(self: Committer, segment: Segment, group: Group, sync: bool, empty: bool = False) -> int | None:
        try:
            return append(self, segment, group, sync, empty)
        except LogUnavailable:
            segment.end = len(self.members[0].get(segment.header.number))
            self.segment = segment
            raise

    patch.setattr(Committer, "_append", go_on)
    patch.setattr(FolderStorage, "_refuse_failed", lambda *_, **__: None)


def believe_marks(patch: pytest.MonkeyPatch) -> None:
    """Looks at no record when a shard is opened."""
    patch.setattr(SegmentReader, "check_bodies", lambda self, group: None)


def keep_torn_tail(patch: pytest.MonkeyPatch) -> None:
    """Takes the end of the file for the end of the log."""

    def read_tail(site: MemberSite, number: int) -> Tail | None:
        tail = history.read_tail(site, number)
        if tail is not None:
            tail.segment.end = len(site.get(number))
        return tail

    patch.setattr(restore, "read_tail", read_tail)


def believe_records(patch: pytest.MonkeyPatch) -> None:
    """Reads records without looking at their checksums."""
    decode_ranges = reading.decode_ranges

    def decode_unchecked(ranges: Any, offset: int, bytes_max: int) -> Any:
        trusted = []
        for (at, stored, *lengths, _, first, count), data, start in ranges:
            found = checksum(data[start : start + stored])
            trusted.append(((at, stored, *lengths, found, first, count), data, start))
        return decode_ranges(trusted, offset, bytes_max)

    patch.setattr(reading, "decode_ranges", decode_unchecked)


def with_writer(kind: type[SharedWriter]) -> Callable[[pytest.MonkeyPatch], None]:
    """Logs that open shards with that kind of writer."""
    return lambda patch: patch.setattr(shared, "SharedWriter", kind)


def fill_nothing(site: MemberSite, tail: object, counted: object) -> bool:
    """Leaves a site without what it lacks of the last segment when a shard is opened."""
    return True


def admit_empty(members: Sequence[MemberSite], storage: Storage, admission: str, *_: object) -> MemberSite:
    """A site comes back, and gets nothing of what it missed."""
    site = MemberSite(storage, members[0].shard, admission)
    storage.put(f"{directory_of(site.shard, admission)}/base", encode_base(Base()))
    assert site.open()
    return site
