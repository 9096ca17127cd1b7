"""The writer of a shard: appends of several threads become one group, one write and one fsync."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.core.errors import LogError, LogUnavailable
from headwater.core.limits import APPEND_GATHER_BYTES_MAX, APPEND_PENDING_BYTES_MAX, SEGMENT_BYTES_MAX
from headwater.kernel import Packed, encode_block
from headwater.log.files import Files, write_all
from headwater.log.interface import AppendGroup
from headwater.log.recovery import Shard, segment_path
from headwater.log.segment import (
    Index,
    Mark,
    Segment,
    SegmentHeader,
    encode_header,
    encode_mark,
    frame_checksum,
    link,
)
from headwater.log.table import Table, check_group, pack_group

if TYPE_CHECKING:
    from headwater.log.local import LocalLog

_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Pending:
    """An append that waits: ``done`` with either ``firsts`` or ``error``."""

    def __init__(self, group: AppendGroup, packed: Packed, size: int) -> None:
        self.group = group
        self.packed = packed
        self.size = size
        self.firsts: list[int] = []
        self.error: LogError | None = None
        self.done = False


class LocalWriter:
    """The one writer of a shard of a `LocalLog`. Made by `LocalLog.writer`."""

    def __init__(self, log: LocalLog, shard: Shard, lock_fd: int, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
        self._log = log
        self._files: Files = log.files
        self._shard = shard
        self._lock_fd = lock_fd
        self._segment_bytes_max = segment_bytes_max
        self._active: int | None = None
        self._queue: list[_Pending] = []
        self._pending_bytes = 0
        self._leading = False
        self._closed = False
        self._turn = threading.Condition()

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        """See `ShardWriter`."""
        size = check_group(group)
        pending = _Pending(group, pack_group(group), size)
        with self._turn:
            while self._pending_bytes + size > APPEND_PENDING_BYTES_MAX and self._pending_bytes and not self._closed:
                self._turn.wait()
            if self._closed:
                raise LogError(f"shard {self._shard.name} is closed; nothing can be appended")
            with self._log.lock:
                self._log.table.claim(self._shard.name, group)
            self._queue.append(pending)
            self._pending_bytes += size
            while self._leading and not pending.done:
                self._turn.wait()
            if not pending.done:
                self._leading = True
        if not pending.done:
            self._lead(pending)
        if pending.error is not None:
            # Each caller gets an error of its own: a traceback grows with every raise.
            raise type(pending.error)(str(pending.error)) from pending.error
        return tuple(pending.firsts)

    def _lead(self, own: _Pending) -> None:
        """Writes for all who wait until the own append is done; the next of them leads then."""
        while not own.done:
            with self._turn:
                gathered = self._gather()
            error: LogError | None = LogError(f"shard {self._shard.name}: the append was interrupted")
            going_on = False
            try:
                self._write(gathered)
                error, going_on = None, True
            except LogError as e:
                error, going_on = e, True
            finally:
                with self._turn:
                    for pending in gathered:
                        pending.error, pending.done = error, True
                        self._pending_bytes -= pending.size
                    self._leading = going_on and not own.done
                    self._turn.notify_all()

    def _gather(self) -> list[_Pending]:
        size = count = 0
        for pending in self._queue:
            if count and size + pending.size > APPEND_GATHER_BYTES_MAX:
                break
            size += pending.size
            count += 1
        gathered, self._queue = self._queue[:count], self._queue[count:]
        return gathered

    def _write(self, gathered: list[_Pending]) -> None:
        size = sum(pending.size for pending in gathered)
        segment, fd = self._segment_for(size)
        ends = self._place(gathered)
        number = self._shard.next_group
        commits = tuple(commit for pending in gathered for commit in pending.group.commits)
        state = tuple(named for pending in gathered for named in pending.group.state)
        block = encode_block(number, [pending.packed for pending in gathered], [pending.firsts for pending in gathered])
        chain = link(segment.chain, frame_checksum(block)) if block else segment.chain
        mark = encode_mark(Mark(chain=chain, blocks=1 if block else 0, commits=commits, state=state), number)
        if not (block or commits or state):
            return
        self._make_durable(segment, fd, block + mark)
        with self._log.lock:
            position = segment.end
            segment.end += len(block) + len(mark)
            segment.chain = link(chain, frame_checksum(mark))
            self._shard.next_group = number + 1
            assert segment.index is not None
            for (topic, partition), (first, end) in ends.items():
                self._log.table.extend(topic, partition, end)
                segment.index.add(topic, partition, first, position)
            self._log.table.commit(commits, state)
        if ends:
            self._log.notify()

    def _place(self, gathered: list[_Pending]) -> dict[tuple[str, int], tuple[int, int]]:
        """Gives every batch its first offset; the first and the next offset of each partition that gets records."""
        placed: dict[tuple[str, int], tuple[int, int]] = {}
        table: Table = self._log.table
        for pending in gathered:
            firsts = []
            for batch in pending.group.batches:
                place = (batch.topic, batch.partition)
                if place in placed:
                    first, next_offset = placed[place]
                else:
                    with self._log.lock:
                        first = next_offset = table.end(*place)
                firsts.append(next_offset)
                if batch.count:
                    placed[place] = first, next_offset + batch.count
            pending.firsts = firsts
        return placed

    def _make_durable(self, segment: Segment, fd: int, data: bytes) -> None:
        written = False
        sound = False  # Whether the file may be written on.
        try:
            write_all(self._files, fd, data, segment.end)
            written = True
            self._files.sync(fd)
            sound = True
        except OSError as e:
            sound = not written and e.errno in _FULL and self._cut(segment, fd)
            raise LogUnavailable(f"{segment.place}: {len(data)} bytes at byte {segment.end}: {e.strerror or e}") from e
        finally:
            if not sound:
                self._seal()

    def _cut(self, segment: Segment, fd: int) -> bool:
        try:
            self._files.truncate(fd, segment.end)
        except OSError:
            return False
        return True

    def _seal(self) -> None:
        """Leaves the file for good: what was refused may be in it. The next segment says that it does not count.

        So that one is made now, before the refusal. Where that fails, the next append makes it before anything else.
        """
        self._release()
        try:
            self._begin_segment()
        except LogUnavailable:
            self._release()

    def _release(self) -> None:
        if self._active is not None:
            fd, self._active = self._active, None
            try:
                self._files.close(fd)
            except OSError:
                return  # The descriptor is gone all the same, and nothing of the file is trusted beyond its last sync.

    def _segment_for(self, size: int) -> tuple[Segment, int]:
        if self._active is not None:
            segment = self._shard.segments[-1]
            if segment.end == segment.start or segment.end + size <= self._segment_bytes_max:
                return segment, self._active
            self._release()
        return self._begin_segment()

    def _begin_segment(self) -> tuple[Segment, int]:
        shard = self._shard
        number = shard.next_number
        shard.next_number += 1
        before = shard.segments[-1] if shard.segments else None
        with self._log.lock:
            ends, commits, state = self._log.table.of_shard(shard.name)
        header = SegmentHeader(
            shard=shard.name,
            number=number,
            previous=before.header.number if before else None,
            previous_end=before.end if before else 0,
            previous_chain=before.chain if before else 0,
            ends=ends,
            commits=commits,
            state=state,
        )
        data = encode_header(header, shard.next_group)
        path = segment_path(shard.directory, number)
        try:
            fd = self._create(path, data)
        except OSError as e:
            raise LogUnavailable(f"{path}: a new segment cannot be made: {e.strerror or e}") from e
        segment = Segment(str(path), header, shard.next_group, len(data), link(header.previous_chain, frame_checksum(data)))
        segment.index = Index()
        with self._log.lock:
            shard.segments.append(segment)
        self._log.indexed(before)
        self._active = fd
        return segment, fd

    def _create(self, path: Path, data: bytes) -> int:
        fd = self._files.create(path)
        try:
            write_all(self._files, fd, data, 0)
            self._files.sync(fd)
            self._files.sync_directory(path.parent)
        except BaseException:
            self._files.close(fd)
            self._files.remove(path)
            raise
        return fd

    def close(self) -> None:
        """See `ShardWriter`."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._turn.notify_all()
            while self._leading or self._queue:
                self._turn.wait()
        try:
            self._say_closed()
        finally:
            self._release()
            self._files.close(self._lock_fd)
            self._log.released(self._shard.name)

    def _say_closed(self) -> None:
        """Ends the file with an empty group, so that damage to the last group of records is seen for what it is."""
        if self._active is None:
            return
        segment = self._shard.segments[-1]
        mark = encode_mark(Mark(chain=segment.chain, blocks=0, closed=True), self._shard.next_group)
        try:
            write_all(self._files, self._active, mark, segment.end)
            self._files.sync(self._active)
        except OSError:
            return  # Nothing depends on it.
        with self._log.lock:
            segment.end += len(mark)
            segment.chain = link(segment.chain, frame_checksum(mark))
            self._shard.next_group += 1
