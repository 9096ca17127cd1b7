"""Append groups onto every member site: acknowledged by all of them, or refused, or in doubt. See decision 0015."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from headwater.core.errors import AppendInDoubt, LogError, LogUnavailable, Overtaken
from headwater.core.limits import APPEND_DOUBT_S, CHECKPOINT_SEGMENTS_MAX, SEGMENT_BYTES_MAX, SITE_LOST_S, STORAGE_TIMEOUT_S
from headwater.kernel import Block
from headwater.log.interface import Commit, Produced
from headwater.log.layout import Layout, Layouts
from headwater.log.manifest import Manifest, decode_manifest, encode_manifest
from headwater.log.member import MemberSite, put_same
from headwater.log.readmission import admit, bring_copies
from headwater.log.runtime import Runtime
from headwater.log.segment import Mark, Segment, SegmentHeader, encode_header, encode_mark, frame_checksum, link
from headwater.log.storage import ObjectMissing, Storage, StorageFull, StorageUnavailable
from headwater.log.takeover import Claim, Sites, ledger_of

_RETRY_S = 0.05
_TRY_S_MIN = 1.0


class Held(NamedTuple):
    """All that a shard holds, for a checkpoint."""

    ends: list[tuple[str, int, int]]
    commits: tuple[Commit, ...]
    state: tuple[tuple[str, bytes], ...]
    produced: tuple[Produced, ...] = ()


class Group(NamedTuple):
    """What one commit makes durable: a block, if any, made for the shard's next group number, commits and states."""

    block: Block | None = None
    commits: tuple[Commit, ...] = ()
    state: tuple[tuple[str, bytes], ...] = ()
    produced: tuple[Produced, ...] = ()
    closed: bool = False


class Copied(NamedTuple):
    """A site with an admission that no manifest names yet, and the layout whose compacted copies it has."""

    site: MemberSite
    layout: Layout


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
        self._before = claim.counted[-1].segment if claim.counted else None
        self._next_number = claim.next_number
        self._since_checkpoint = CHECKPOINT_SEGMENTS_MAX  # The first segment of a writer is a checkpoint.
        self._last_checkpoint: int | None = claim.counted[0].segment.header.number if claim.counted else None
        self._admissions = 0
        self._over: LogError | None = None
        self.unsynced = False  # Whether the segment that grows, or grew, has groups that no sync covers yet.
        self._without_marks: tuple[int, int] | None = None  # End and chain before empty groups that no sync covers.

    @property
    def _appends(self) -> bool:
        return all(site.appends for site in self.members)

    def commit(self, group: Group, sync: bool = True) -> int:
        """Makes the group durable on every member, or only writes it there, without ``sync``; where in its segment it begins.

        Raises LogUnavailable (refused: nothing of it will be read), AppendInDoubt or Overtaken (nobody knows; every later call
        raises the same).
        """
        if self._over is not None:
            raise type(self._over)(str(self._over))
        began = self._runtime.now()
        try:
            in_doubt = False
            if self.segment is not None and self._appends:
                at = self._append(self.segment, group, sync)
                if at is not None:
                    return at
                in_doubt = self.segment is None
            return self._begin(group, in_doubt, began)
        except (AppendInDoubt, Overtaken) as e:
            self._over = e
            raise

    def stand_behind(self, closed: bool = False) -> None:
        """Puts an empty group behind the last one, which other processes may show then. Nothing depends on it being there later.

        Raises as `commit` does.
        """
        group = Group(closed=closed)
        if self.segment is None and (closed or self._before is None):
            return
        if self.segment is None or not self._appends or self._over is not None:
            self.commit(group)
            return
        before = self._without_marks or (self.segment.end, self.segment.chain)
        try:
            at = self._append(self.segment, group, sync=closed, empty=True)
        except Overtaken as e:
            self._over = e
            raise
        except LogUnavailable:
            return
        if at is not None and not closed:
            self._without_marks = before

    def _frames(self, group: Group, chain: int, head: bytes = b"") -> tuple[bytes, int]:
        """The group's bytes behind a chain, ``head`` before them, and the chain after them."""
        block = group.block
        if block is not None:
            chain = link(chain, block.checksum)
        mark = encode_mark(
            Mark(chain, 0 if block is None else 1, group.commits, group.state, group.closed, group.produced), self.next_group
        )
        data = head + mark if block is None else block.joined(head, mark)
        return data, link(chain, frame_checksum(mark))

    def _append(self, segment: Segment, group: Group, sync: bool, empty: bool = False) -> int | None:
        """Appends to the segment that grows; None where a new one is due: it is full, or had to be left."""
        data, chain = self._frames(group, segment.chain)
        if not empty and segment.end > segment.start and segment.end + len(data) > self._segment_bytes_max:
            return None
        number = segment.header.number
        answers = self._ask(partial(_append_and_look, number, segment.end, data, sync))
        if any(isinstance(answer, Overtaken) for answer in answers.values()):
            raise self._overtaken()
        if not all(answer is True for answer in answers.values()):
            # Left for good: what was asked may be done later still. What lies there now does not count: the next segment says so.
            self.segment = None
            if len(answers) == 1 and isinstance(next(iter(answers.values())), StorageFull):
                raise LogUnavailable(
                    f"shard {self.shard}: segment {number}: no space for {len(data)} bytes at byte {segment.end}"
                )
            return None
        at, segment.end, segment.chain = segment.end, segment.end + len(data), chain
        self.next_group += 1
        if sync:
            self.unsynced, self._without_marks = False, None
        elif not empty:
            self.unsynced, self._without_marks = True, None
        return at

    def _begin(self, group: Group, in_doubt: bool, began: float) -> int:
        """A new segment with the group, put until all members have it, or those that stay silent are members no more.

        ``in_doubt``: the group may lie in the segment before already. ``began``: when it was first tried.
        """
        segment, data, at = self._new_segment(group)
        number = segment.header.number
        waiting = list(self.members)
        while waiting:
            timeout_s = max(min(STORAGE_TIMEOUT_S, began + SITE_LOST_S - self._runtime.now()), _TRY_S_MIN)
            # What the new segment follows must not be lost behind its back.
            unsynced = self._before if self.unsynced else None
            answers = self._ask(partial(_put_behind, unsynced, segment.header, data), waiting, timeout_s)
            if any(answer is False for answer in answers.values()):
                raise self._overtaken()
            if not in_doubt and all(isinstance(answer, StorageFull) for answer in answers.values()):
                raise LogUnavailable(f"shard {self.shard}: segment {number}: no space for {len(data)} bytes")
            waiting = [site for site, answer in answers.items() if answer is not True]
            if waiting and self._runtime.now() - began >= SITE_LOST_S:
                waiting = self._leave(waiting, f"{answers[waiting[0]]}", began)
            if waiting:
                self._runtime.sleep(_RETRY_S)
            in_doubt = True
        self._next_number = segment.header.number + 1
        self._since_checkpoint = 0 if segment.header.checkpoint else self._since_checkpoint + 1
        if segment.header.checkpoint:
            self._last_checkpoint = segment.header.number
        self.segment = self._before = segment
        self.unsynced, self._without_marks = False, None
        self.next_group += 1
        return at

    def sync(self) -> None:
        """Makes durable what was appended without; or the next commit does."""
        if self.segment is None or not self.unsynced:
            return
        number, end = self.segment.header.number, self.segment.end
        answers = self._ask(lambda site: site.append(number, end, b""))
        self.unsynced = any(answer is not None for answer in answers.values())
        if not self.unsynced:
            self._without_marks = None
        else:
            self.segment = None  # The next one is put once the sites of this one have it, or have left.

    def _new_segment(self, group: Group) -> tuple[Segment, bytes, int]:
        before = self._before
        if before is not None and self._without_marks is not None:
            before.end, before.chain = self._without_marks
        checkpoint = self._appends or self._since_checkpoint >= CHECKPOINT_SEGMENTS_MAX
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
            produced=held.produced,
        )
        head = encode_header(header, self.next_group)
        segment = Segment(
            f"{self.shard} {header.number}", header, self.next_group, len(head), link(header.previous_chain, frame_checksum(head))
        )
        data, segment.chain = self._frames(group, segment.start_chain, head)
        segment.end = len(data)
        return segment, data, len(head)

    def _leave(self, silent: list[MemberSite], reason: str, began: float) -> list[MemberSite]:
        """Goes on without the sites that are silent, if a majority says so; those that are still to be waited for."""
        # One that was erased may have taken all that came since the last checkpoint, and must not be the one that is left.
        answers = self._ask(MemberSite.is_whole, [site for site in self.members if site not in silent])
        stay = tuple(site for site, whole in answers.items() if whole is True)
        gone = [site for site in self.members if site not in stay]
        if stay:
            manifest = Manifest(self.shard, self.manifest.writer, tuple(site.member for site in stay), self.manifest.host)
            number = self._epoch + 1
            ledger = ledger_of(self.shard, self._sites, self._runtime)
            ledger.leave_out([site.name for site in gone])
            try:
                if not ledger.propose(number, encode_manifest(manifest, number)):
                    raise self._overtaken()
            except StorageUnavailable as e:
                reason = f"{reason}; {e}"
            else:
                self._epoch, self.manifest, self.members = number, manifest, stay
                for site in gone:
                    self._lost(site.name, reason)
                return []
        if self._runtime.now() - began >= APPEND_DOUBT_S:
            raise AppendInDoubt(f"shard {self.shard}: {', '.join(site.name for site in silent)} did not answer: {reason}")
        return silent

    def leave_segment(self) -> None:
        """The next commit begins a new segment, so that what is there can be copied while appends go on."""
        self.segment = None

    def copy(self, storage: Storage) -> Copied:
        """Brings a site that left what it missed so far; it is no member yet. Another thread may commit meanwhile.

        Raises StorageUnavailable where the site or a majority does not answer, CorruptLog.
        """
        ledger = ledger_of(self.shard, self._sites, self._runtime)
        ledger.admit()
        manifests = [decode_manifest(entry.data, entry.number, self.shard) for entry in ledger.entries()]
        members = [member for manifest in reversed(manifests) for member in manifest.members]
        earlier = [member.admission for member in members if member.site == storage.name]
        layout = self._layout()
        bring_copies(self._sites.storages, storage, layout)
        site = admit(self.members, storage, self._new_admission(), list(dict.fromkeys(earlier)), self._before, layout)
        return Copied(site, layout)

    def _layout(self) -> Layout:
        return Layouts(self.shard, self._sites, self._runtime).read()

    def _new_admission(self) -> str:
        self._admissions += 1
        return f"{self.manifest.writer}-{self._admissions}"

    def readmit(self, copied: Copied) -> None:
        """Makes a site a member again, once it has what was appended since it was copied to. Appends wait meanwhile.

        Raises StorageUnavailable where the site or a majority does not answer, Overtaken, AppendInDoubt, CorruptLog.
        """
        ledger = ledger_of(self.shard, self._sites, self._runtime)
        storage = copied.site.storage
        number = self._epoch + 1
        layout = self._layout()
        bring_copies(self._sites.storages, storage, layout, but=copied.layout)
        site = admit(self.members, storage, self._new_admission(), [copied.site.admission], self._before, layout)
        if not copied.site.is_whole():
            raise StorageUnavailable(f"{storage.name}: shard {self.shard} was erased there while it was being filled")
        # The segment that grew is left: the site has it as it is now.
        self.segment = None
        manifest = Manifest(self.shard, self.manifest.writer, (*self.manifest.members, site.member), self.manifest.host)
        try:
            if not ledger.propose(number, encode_manifest(manifest, number)):
                raise self._overtaken()
        except StorageUnavailable as e:
            # It may hold: whoever opens the shard next may trust the site, which must therefore have all that is acknowledged.
            self._over = AppendInDoubt(f"shard {self.shard}: whether {storage.name} is a member again is not known: {e}")
            raise self._over from e
        except Overtaken as e:
            self._over = e
            raise
        self._epoch, self.manifest, self.members = number, manifest, (*self.members, site)
        # Who compacts looks for members after its layout holds; what held before this manifest did is seen here.
        bring_copies(self._sites.storages, storage, self._layout(), but=layout)

    def _overtaken(self) -> Overtaken:
        return Overtaken(f"shard {self.shard} was taken over by another process; a shard has one writer at a time")

    def _ask(
        self,
        what: Callable[[MemberSite], object],
        sites: list[MemberSite] | None = None,
        timeout_s: float = STORAGE_TIMEOUT_S,
    ) -> dict[MemberSite, object]:
        """What each member gave, or the error where it failed."""
        asked = list(self.members) if sites is None else sites
        answers = self._runtime.together([partial(what, site) for site in asked], timeout_s)
        for answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, (StorageUnavailable, ObjectMissing, Overtaken)):
                raise answer
        return dict(zip(asked, answers, strict=True))


def _append_and_look(number: int, at: int, data: bytes, sync: bool, site: MemberSite) -> bool:
    """Whether the data is durable; then raises Overtaken where a segment stands behind this one, as a fence does."""
    site.append(number, at, data, sync)
    try:
        site.get(number + 1, 0, 0)
    except ObjectMissing:
        return True
    raise Overtaken(f"{site.name}: {site.place(number + 1)} is there")


def _put_behind(unsynced: Segment | None, header: SegmentHeader, data: bytes, site: MemberSite) -> bool:
    # Names are free again where a site was erased, so that it would take this one and lack all others. In an object store, where
    # a look costs a request for each group, checkpoints must do.
    if header.checkpoint and not site.is_whole():
        raise StorageUnavailable(f"{site.name}: {header.shard} was erased there")
    if unsynced is not None:
        site.append(unsynced.header.number, unsynced.end, b"")
    return put_same(header.number, data, site)
