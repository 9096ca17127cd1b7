"""Append groups onto every member site: acknowledged by all of them, or refused, or in doubt. See decision 0015."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from headwater.core.errors import AppendInDoubt, LogError, LogUnavailable, Overtaken
from headwater.core.limits import APPEND_DOUBT_S, CHECKPOINT_SEGMENTS, SEGMENT_BYTES_MAX, SITE_LOST_S, STORAGE_TIMEOUT_S
from headwater.log.history import segment_directory
from headwater.log.interface import Commit
from headwater.log.ledger import object_name
from headwater.log.manifest import Manifest, Member, encode_manifest
from headwater.log.readmission import copy_missing
from headwater.log.runtime import Runtime
from headwater.log.segment import Mark, Segment, SegmentHeader, encode_header, encode_mark, frame_checksum, link
from headwater.log.storage import ObjectMissing, Storage, StorageFull, StorageUnavailable
from headwater.log.takeover import Claim, Sites, ledger_of, member_name

_RETRY_S = 0.05


class Held(NamedTuple):
    """All that a shard holds, for a checkpoint."""

    ends: list[tuple[str, int, int]]
    commits: tuple[Commit, ...]
    state: tuple[tuple[str, bytes], ...]


class Group(NamedTuple):
    """What one commit makes durable: a block (may be empty) made for the shard's next group number, commits and states."""

    block: bytes
    commits: tuple[Commit, ...] = ()
    state: tuple[tuple[str, bytes], ...] = ()


class Committer:
    """The appending end of a claimed shard. For one thread at a time.

    ``held`` gives what the shard holds so far. ``lost`` is told of a site that left the members, with the reason.
    """

    def __init__(
        self,
        claim: Claim,
        sites: Sites,
        runtime: Runtime,
        held: Callable[[], Held],
        lost: Callable[[str, str], None],
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self.shard = claim.shard
        self.manifest = claim.manifest
        self.members = claim.members
        self.next_group = claim.next_group
        self.segment: Segment | None = None
        self._epoch = claim.epoch
        self._sites = sites
        self._runtime = runtime
        self._held = held
        self._lost = lost
        self._segment_bytes_max = segment_bytes_max
        self._directory = segment_directory(claim.shard)
        self._before = claim.counted[-1].segment if claim.counted else None
        self._next_number = claim.next_number
        self._since_checkpoint = CHECKPOINT_SEGMENTS  # The first segment of a writer is a checkpoint.
        self._last_checkpoint: int | None = claim.counted[0].segment.header.number if claim.counted else None
        self._over: LogError | None = None

    @property
    def _appends(self) -> bool:
        return all(site.appends for site in self.members)

    def commit(self, group: Group) -> int:
        """Makes the group durable on every member; the byte of its segment at which it begins.

        Raises LogUnavailable (refused: nothing of it will be read), AppendInDoubt or Overtaken (nobody knows; every later call
        raises the same).
        """
        if self._over is not None:
            raise type(self._over)(str(self._over))
        try:
            return self._append(group) or self._begin(group)
        except (AppendInDoubt, Overtaken) as e:
            self._over = e
            raise

    def _frames(self, group: Group, chain: int) -> tuple[bytes, int]:
        """The group's bytes behind a chain, and the chain after them."""
        if group.block:
            chain = link(chain, frame_checksum(group.block))
        mark = encode_mark(Mark(chain, 1 if group.block else 0, group.commits, group.state), self.next_group)
        return group.block + mark, link(chain, frame_checksum(mark))

    def _append(self, group: Group) -> int | None:
        """Appends to the segment that grows; None where it was left, or there is none: then a new one is due."""
        segment = self.segment
        if segment is None or not self._appends:
            return None
        data, chain = self._frames(group, segment.chain)
        if segment.end > segment.start and segment.end + len(data) > self._segment_bytes_max:
            return None
        name = object_name(self._directory, segment.header.number)
        after = object_name(self._directory, segment.header.number + 1)
        answers = self._ask(partial(_append_and_look, name, segment.end, data, after))
        if any(isinstance(answer, Overtaken) for answer in answers.values()):
            raise self._overtaken()
        if any(isinstance(answer, StorageFull) for answer in answers.values()):
            self._cut(name, segment.end, len(data))
        if not all(answer is True for answer in answers.values()):
            return None  # What lies there now does not count: the next segment says so, and has the group itself.
        at, segment.end, segment.chain = segment.end, segment.end + len(data), chain
        self.next_group += 1
        return at

    def _cut(self, name: str, end: int, length: int) -> None:
        """Takes a group back that does not fit on some site's disk. Raises LogUnavailable once nothing of it is left."""
        answers = self._ask(lambda site: site.append(name, end, b""))
        if all(answer is None for answer in answers.values()):
            raise LogUnavailable(f"shard {self.shard}: {name}: no space for {length} bytes at byte {end}")

    def _begin(self, group: Group) -> int:
        """A new segment with the group, put until all members have it, or those that stay silent are members no more."""
        segment, data, at = self._new_segment(group)
        name = object_name(self._directory, segment.header.number)
        waiting = list(self.members)
        began, first = self._runtime.now(), True
        while waiting:
            answers = self._ask(partial(_put, name, data), waiting)
            if any(answer is False for answer in answers.values()):
                raise self._overtaken()
            if first and all(isinstance(answer, StorageFull) for answer in answers.values()):
                raise LogUnavailable(f"shard {self.shard}: {name}: no space for {len(data)} bytes")
            waiting = [site for site, answer in answers.items() if answer is not True]
            if waiting and self._runtime.now() - began >= SITE_LOST_S:
                waiting = self._leave(waiting, f"{answers[waiting[0]]}", began)
            if waiting:
                self._runtime.sleep(_RETRY_S)
            first = False
        self._next_number = segment.header.number + 1
        self._since_checkpoint = 0 if segment.header.checkpoint else self._since_checkpoint + 1
        if segment.header.checkpoint:
            self._last_checkpoint = segment.header.number
        self.segment = self._before = segment
        self.next_group += 1
        return at

    def _new_segment(self, group: Group) -> tuple[Segment, bytes, int]:
        before = self._before
        checkpoint = self._appends or self._since_checkpoint >= CHECKPOINT_SEGMENTS
        held = self._held() if checkpoint else Held([], (), ())
        header = SegmentHeader(
            shard=self.shard,
            number=self._next_number,
            previous=before.header.number if before else None,
            previous_end=before.end if before else 0,
            previous_chain=before.chain if before else 0,
            ends=held.ends,
            commits=held.commits,
            state=held.state,
            epoch=self._epoch,
            writer=self.manifest.writer,
            checkpoint=checkpoint,
            checkpoint_before=self._last_checkpoint,
        )
        head = encode_header(header, self.next_group)
        place = object_name(self._directory, header.number)
        segment = Segment(place, header, self.next_group, len(head), link(header.previous_chain, frame_checksum(head)))
        frames, segment.chain = self._frames(group, segment.start_chain)
        segment.end = len(head) + len(frames)
        return segment, head + frames, len(head)

    def _leave(self, silent: list[Storage], reason: str, began: float) -> list[Storage]:
        """Goes on without the sites that are silent, if a majority says so; those that are still to be waited for."""
        stay = [site for site in self.members if site not in silent]
        if stay:
            names = {site.name for site in stay}
            members = tuple(member for member in self.manifest.members if member.site in names)
            manifest = Manifest(self.shard, self.manifest.writer, members, self.manifest.host)
            number = self._epoch + 1
            try:
                if not ledger_of(self.shard, self._sites, self._runtime).propose(number, encode_manifest(manifest, number)):
                    raise self._overtaken()
            except StorageUnavailable as e:
                reason = f"{reason}; {e}"
            else:
                self._epoch, self.manifest, self.members = number, manifest, tuple(stay)
                for site in silent:
                    self._lost(site.name, reason)
                return []
        if self._runtime.now() - began >= APPEND_DOUBT_S:
            raise AppendInDoubt(f"shard {self.shard}: {', '.join(site.name for site in silent)} did not answer: {reason}")
        return silent

    def readmit(self, site: Storage) -> int:
        """Makes a site a member again once it has all that counts; how many segments it lacked. Appends wait meanwhile.

        Call `copy_missing` with `sealed` before, while appends go on, so that little is left to do. Raises StorageUnavailable
        where the site or a majority does not answer, Overtaken, CorruptLog.
        """
        copied = copy_missing(self.shard, self.members, site, self.sealed())
        # The segment that grew is left: the site has it as it is now.
        self.segment = None
        ledger = ledger_of(self.shard, self._sites, self._runtime)
        ledger.admit()
        number = self._epoch + 1
        member = Member(site.name, f"{self.manifest.writer}-{number}")
        site.put(member_name(self.shard, member.admission), b"")
        manifest = Manifest(self.shard, self.manifest.writer, (*self.manifest.members, member), self.manifest.host)
        try:
            if not ledger.propose(number, encode_manifest(manifest, number)):
                raise self._overtaken()
        except StorageUnavailable as e:
            # It may hold: whoever opens the shard next may trust the site, which must therefore have all that is acknowledged.
            self._over = AppendInDoubt(f"shard {self.shard}: whether {site.name} is a member again is not known: {e}")
            raise self._over from e
        except Overtaken as e:
            self._over = e
            raise
        self._epoch, self.manifest, self.members = number, manifest, (*self.members, site)
        return copied

    def sealed(self) -> Segment | None:
        """The last segment, as far as it is acknowledged now."""
        return self._before

    def _overtaken(self) -> Overtaken:
        return Overtaken(f"shard {self.shard} was taken over by another process; a shard has one writer at a time")

    def _ask(self, what: Callable[[Storage], object], sites: list[Storage] | None = None) -> dict[Storage, object]:
        """What each member gave, or the error where it failed."""
        asked = list(self.members) if sites is None else sites
        answers = self._runtime.together([partial(what, site) for site in asked], STORAGE_TIMEOUT_S)
        for answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, (StorageUnavailable, ObjectMissing, Overtaken)):
                raise answer
        return dict(zip(asked, answers, strict=True))


def _append_and_look(name: str, at: int, data: bytes, after: str, site: Storage) -> bool:
    """Whether the data is durable; then raises Overtaken where a segment stands behind this one, as a fence does."""
    site.append(name, at, data)
    try:
        site.get(after, 0, 0)
    except ObjectMissing:
        return True
    raise Overtaken(f"{site.name}: {after} is there")


def _put(name: str, data: bytes, site: Storage) -> bool:
    """Whether the object is there with these bytes, by this call or an earlier one that was not answered."""
    return site.put(name, data) or site.get(name) == data
