"""The writer of a shard of a `SharedLog`: appends of several threads become one group, one write and one sync on every site."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from headwater.core.errors import AppendInDoubt, LogError, Overtaken
from headwater.core.limits import APPEND_GATHER_BYTES_MAX, APPEND_PENDING_BYTES_MAX, OBJECT_FLUSH_BYTES_MAX
from headwater.kernel import Packed, encode_block
from headwater.log.admissible import check_group, pack_group
from headwater.log.commit import Committer, Group
from headwater.log.interface import AppendGroup, Produced
from headwater.log.segment import Segment
from headwater.log.shard_view import ShardView
from headwater.log.storage import Storage, StorageUnavailable

if TYPE_CHECKING:
    from headwater.log.shared import SharedLog


_Placed = dict[tuple[str, int], tuple[int, int]]
"""The first and the next offset of each partition that gets records."""


class _Pending:
    """An append that waits. ``turn`` is released once when it is done, or when its caller has to lead."""

    def __init__(self, group: AppendGroup, packed: Packed, size: int) -> None:
        self.group = group
        self.packed = packed
        self.size = size
        self.firsts: tuple[int, ...] = ()
        self.error: LogError | None = None
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()


class SharedWriter:
    """The one writer of a shard. Made by `SharedLog.writer`."""

    def __init__(self, log: SharedLog, view: ShardView, committer: Committer, flush_s: float) -> None:
        self._log = log
        self._view = view
        self._committer = committer
        self._flush_s = 0.0 if all(site.appends for site in committer.members) else flush_s
        self._segment: Segment | None = None
        self._queue: list[_Pending] = []
        self._pending_bytes = 0
        self._leading = False
        self._closed = False
        self._guard = threading.Lock()
        self._room = threading.Condition(self._guard)
        self._full = threading.Event()
        # Held by whoever uses the committer: the leader, or who stands behind, syncs or readmits.
        self._turn = threading.Lock()
        self._seen_group = -1
        self._stands_behind = -1
        self._sync_due_s: float | None = None
        self.dead: LogError | None = None

    @property
    def shard(self) -> str:
        """Its name."""
        return self._view.name

    @property
    def members(self) -> tuple[str, ...]:
        """The sites that back its acknowledgements."""
        return tuple(site.name for site in self._committer.members)

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        """See `ShardWriter`."""
        size = check_group(group)
        pending = _Pending(group, pack_group(group), size)
        with self._guard:
            while self._pending_bytes + pending.size > APPEND_PENDING_BYTES_MAX and self._pending_bytes and not self._closed:
                self._room.wait()
            self._check_open()
            self._log.claim(self.shard, group)
            self._queue.append(pending)
            self._pending_bytes += pending.size
            if self._pending_bytes >= OBJECT_FLUSH_BYTES_MAX:
                self._full.set()
            leads, self._leading = not self._leading, True
        if not leads:
            pending.turn.acquire()
        if not pending.done:
            self._lead(pending)
        if pending.error is not None:
            # Each caller gets an error of its own: a traceback grows with every raise.
            raise type(pending.error)(str(pending.error)) from pending.error
        return pending.firsts

    def _check_open(self) -> None:
        if self.dead is not None:
            raise type(self.dead)(str(self.dead))
        if self._closed:
            raise LogError(f"shard {self.shard} is closed; nothing can be appended")

    def _lead(self, own: _Pending) -> None:
        """Writes for all who wait until the own append is done; the next of them leads then."""
        while not own.done:
            if self._flush_s:
                self._full.wait(self._flush_s)
            with self._guard:
                gathered = self._gather()
            error: LogError | None = LogError(f"shard {self.shard}: the append was interrupted")
            try:
                self._write(gathered)
                error = None
            except LogError as e:
                error = e
            finally:
                self._finish(gathered, error, own)

    def _finish(self, gathered: list[_Pending], error: LogError | None, own: _Pending) -> None:
        with self._guard:
            if isinstance(error, (AppendInDoubt, Overtaken)):
                self.dead = error
                gathered, self._queue = gathered + self._queue, []
            for pending in gathered:
                pending.error = pending.error or error
                pending.done = True
                self._pending_bytes -= pending.size
            self._full.clear()
            self._room.notify_all()
            following = None
            if own.done:
                following = self._queue[0] if self._queue else None
                self._leading = following is not None
        for pending in gathered:
            if pending is not own:
                pending.turn.release()
        if following is not None:
            following.turn.release()

    def _gather(self) -> list[_Pending]:
        most = OBJECT_FLUSH_BYTES_MAX if self._flush_s else APPEND_GATHER_BYTES_MAX
        size = count = 0
        for pending in self._queue:
            if count and size + pending.size > most:
                break
            size += pending.size
            count += 1
        gathered, self._queue = self._queue[:count], self._queue[count:]
        return gathered

    def _write(self, gathered: list[_Pending]) -> None:
        with self._turn:
            placed, produced = self._place(gathered)
            writing = [pending for pending in gathered if not pending.done]
            groups = [pending.group for pending in writing]
            commits = tuple(commit for group in groups for commit in group.commits)
            state = tuple(named for group in groups for named in group.state)
            if not (placed or commits or state or produced):
                return
            firsts = [list(pending.firsts) for pending in writing]
            block = encode_block(self._committer.next_group, [pending.packed for pending in writing], firsts)
            within_s = [self._log.sync_within_s(group) for group in groups]
            position = self._committer.commit(Group(block, commits, state, produced), sync=0.0 in within_s)
            self._sync_due(within_s)
            with self._log.lock:
                self._took_in(position, [(*place, first, end - first) for place, (first, end) in placed.items()])
                holdings = self._log.owners.of(self.shard)
                for place, (_, end) in placed.items():
                    self._log.owners.extend(self.shard, place, end)
                holdings.take(commits, state, produced)
        self._log.appended(bool(placed))

    def _took_in(self, position: int, directory: list[tuple[str, int, int, int]]) -> None:
        committer = self._committer
        segment = committer.segment
        assert segment is not None
        if segment is not self._segment:
            self._view.begin(segment)
            self._segment = segment
        self._view.add(position, segment.end, directory)
        if len(self._view.sites) != len(committer.members):
            self._view.read_from(committer.members)

    def _place(self, gathered: list[_Pending]) -> tuple[_Placed, tuple[Produced, ...]]:
        """Gives every batch its first offset, and repeated appends those that they got before."""
        placed: _Placed = {}
        produced: dict[tuple[str, int], Produced] = {}
        with self._log.lock:
            holdings = self._log.owners.of(self.shard)
        for pending in gathered:
            producer = pending.group.producer
            if producer is not None:
                try:
                    twin = produced.get((producer.id, producer.sequence))
                    firsts = twin.firsts if twin else holdings.repeated(producer)
                except LogError as e:
                    pending.error, pending.done = e, True
                    continue
                if firsts is not None:
                    # Done, but not yet told: its twin may be in this group, and not be durable.
                    pending.firsts, pending.done = firsts, True
                    continue
            pending.firsts = _firsts(pending.group, holdings.ends, placed)
            if producer is not None:
                produced[producer.id, producer.sequence] = Produced(producer.id, producer.sequence, pending.firsts)
        return placed, tuple(produced.values())

    def stand_behind(self) -> bool:
        """Where nothing was appended since the last call, shows other processes the last group. False where something was."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            group = self._committer.next_group
            if self.dead is not None or self._closed or group == self._stands_behind:
                return True
            if group != self._seen_group:
                self._seen_group = group
                return False
            self._committer.stand_behind()
            self._stands_behind = self._committer.next_group
            segment = self._committer.segment
            if segment is not None and segment is not self._segment:
                with self._log.lock:
                    self._took_in(segment.end, [])
        except (AppendInDoubt, Overtaken) as e:
            self._die(e)
        except LogError:
            return False  # The disk is full, say: it will be tried again.
        finally:
            self._turn.release()
        return True

    def _die(self, error: LogError) -> None:
        with self._guard:
            self.dead = error

    def _sync_due(self, within_s: list[float | None]) -> None:
        if 0.0 in within_s or not self._committer.unsynced:
            self._sync_due_s = None
            return
        due = [self._log.now() + seconds for seconds in within_s if seconds is not None]
        if due and (self._sync_due_s is None or min(due) < self._sync_due_s):
            self._sync_due_s = min(due)

    def sync_if_due(self, now: float) -> float | None:
        """Makes durable what topics of durability `interval` wrote, once it is time. When it will be, None: nothing waits."""
        if self._sync_due_s is None or now < self._sync_due_s:
            return self._sync_due_s
        with self._turn:
            self._sync_due_s = None
            if self.dead is None:
                self._committer.sync()
        return None

    def readmit(self, storage: Storage) -> bool:
        """Makes a site a member again. False where it does not answer yet. Raises CorruptLog.

        Most is copied while appends go on; they wait for what came in meanwhile alone.
        """
        committer = self._committer
        try:
            # A site that stays away must not cost a segment each time that it is looked for.
            storage.list(f"{self.shard}/manifest")
        except StorageUnavailable:
            return False
        with self._turn:
            if self.dead is not None or self._closed or storage.name in self.members:
                return True
            committer.leave_segment()
        try:
            copied = committer.copy(storage)
            with self._turn:
                if self.dead is None and not self._closed:
                    committer.readmit(copied)
                    with self._log.lock:
                        self._view.read_from(committer.members)
        except StorageUnavailable:
            return False
        except (AppendInDoubt, Overtaken) as e:
            self._die(e)
        return True

    def close(self) -> None:
        """See `ShardWriter`."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._room.notify_all()
            while self._leading:
                self._room.wait()
        with self._turn:
            if self.dead is None:
                try:
                    self._committer.stand_behind(closed=True)
                except LogError as e:
                    self.dead = e  # Nothing depends on it.
        self._log.released(self)


def _firsts(group: AppendGroup, held: dict[tuple[str, int], int], placed: _Placed) -> tuple[int, ...]:
    firsts = []
    for batch in group.batches:
        place = (batch.topic, batch.partition)
        first, next_offset = placed.get(place) or (held.get(place, 0),) * 2
        firsts.append(next_offset)
        if batch.count:
            placed[place] = first, next_offset + batch.count
    return tuple(firsts)
