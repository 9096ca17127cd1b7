"""Opening a shard for writing: a claim that holds, fences, and what of the shard counts. See decision 0015 for why it is safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from headwater.core.errors import CorruptLog, Overtaken
from headwater.core.limits import CLAIM_TRIES_MAX, STORAGE_TIMEOUT_S
from headwater.log.ledger import Entry, Ledger, object_name
from headwater.log.manifest import Manifest, Member, decode_manifest, encode_manifest
from headwater.log.member import Base, MemberSite, directory_of, encode_base, put_same
from headwater.log.restore import Counted, restore
from headwater.log.runtime import Runtime
from headwater.log.segment import SegmentHeader, SegmentReader, Torn, encode_header
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable

S = TypeVar("S")
T = TypeVar("T")


class Sites(NamedTuple):
    """Where a shard lies. ``witnesses`` take part in claims and hold no records. Names are all different."""

    storages: tuple[Storage, ...]
    witnesses: tuple[Storage, ...] = ()


class Claim(NamedTuple):
    """A shard that is this process's to write. ``members`` are the sites that must have a group before it is acknowledged.

    The next segment is ``next_number``, and follows the last of ``counted`` (what counts since the last checkpoint).
    """

    shard: str
    epoch: int
    manifest: Manifest
    members: tuple[MemberSite, ...]
    counted: tuple[Counted, ...]
    next_number: int
    next_group: int


def ledger_of(shard: str, sites: Sites, runtime: Runtime) -> Ledger:
    """The ledger with a shard's manifests."""
    directory = f"{shard}/manifest"
    return Ledger((*sites.storages, *sites.witnesses), directory, runtime, STORAGE_TIMEOUT_S, decode_manifest)


def members_of(manifest: Manifest, sites: Sites) -> list[MemberSite]:
    """The members of a manifest that are sites of this log, in its order."""
    storages = {storage.name: storage for storage in sites.storages}
    return [MemberSite(storages[m.site], manifest.shard, m.admission) for m in manifest.members if m.site in storages]


def each(runtime: Runtime, sites: Sequence[S], what: Callable[[S], T]) -> dict[S, T]:
    """What each of the sites gave that answered, all asked at the same time. Raises any error but StorageUnavailable."""
    answers: dict[S, T] = {}
    for site, answer in zip(sites, runtime.together([partial(what, site) for site in sites], STORAGE_TIMEOUT_S), strict=True):
        if not isinstance(answer, Exception):
            answers[site] = answer
        elif not isinstance(answer, StorageUnavailable):
            raise answer
    return answers


def opened(runtime: Runtime, sites: Sequence[MemberSite]) -> tuple[MemberSite, ...]:
    """Those of the sites that answer and still have what they were admitted with. Raises CorruptLog where damage leaves none."""
    answers = each(runtime, sites, _open)
    whole = tuple(site for site, (is_one, _) in answers.items() if is_one)
    damage = [text for _, text in answers.values() if text]
    if damage and not whole:
        raise CorruptLog("; ".join(damage))
    return whole


def _open(site: MemberSite) -> tuple[bool, str]:
    try:
        return site.open(), ""
    except CorruptLog as e:
        return False, str(e)


def take_over(shard: str, sites: Sites, runtime: Runtime, writer: str, host: str = "") -> Claim:
    """Makes this process the shard's writer; whoever was it before acknowledges nothing more.

    Raises StorageUnavailable where too few sites answer, Overtaken where others claim it again and again, CorruptLog.
    """
    opening = _Opening(shard, sites, runtime, writer, host)
    number, manifest = opening.claim()
    fence, fenced = opening.fence(number, manifest)
    # Whoever claimed after us shuts us out; who claimed before and was slower must not come after.
    opening.check_last(number)
    try:
        counted, restored = restore(fenced)
    except CorruptLog:
        # Where this process was paused for hours, what it looks for may be compacted and removed, behind a later writer.
        opening.check_last(number)
        raise
    # Again, since what was brought to a site that was erased meanwhile is not all that counts.
    whole = opened(runtime, restored)
    if not whole:
        raise StorageUnavailable(f"shard {shard}: no site that has all that was acknowledged answers any more")
    if len(whole) < len(manifest.members):
        number, manifest = opening.narrow(number, manifest, whole)
    segment, groups = (counted[-1].segment, counted[-1].groups) if counted else (None, ())
    next_group = groups[-1].number + 1 if groups else segment.group if segment else 0
    return Claim(shard, number, manifest, whole, counted, fence + 1, next_group)


class _Opening:
    def __init__(self, shard: str, sites: Sites, runtime: Runtime, writer: str, host: str) -> None:
        self._shard = shard
        self._sites = sites
        self._runtime = runtime
        self._writer = writer
        self._host = host
        self._ledger = ledger_of(shard, sites, runtime)

    def claim(self) -> tuple[int, Manifest]:
        """Number and manifest that make this process the writer.

        Its members are those that every manifest names that may be in force: they have all that was acknowledged, and a fence on
        one of them shuts out whoever acknowledges by any of these.
        """
        self._ledger.admit()
        for attempt in range(CLAIM_TRIES_MAX):
            if attempt:
                self._runtime.sleep(self._runtime.random() * 0.05 * 2**attempt)
            entries, number = self._ledger.read()
            held = max((at for at, entry in enumerate(entries) if entry.holds), default=None)
            earlier = [self._decoded(entry).members for entry in entries[held or 0 :]]
            members = earlier[0] if earlier else self._admit_all()
            members = tuple(member for member in members if all(member in others for others in earlier))
            if not members:
                raise StorageUnavailable(
                    f"shard {self._shard}: too few sites answer to tell which have all that was acknowledged"
                )
            manifest = Manifest(self._shard, self._writer, members, self._host)
            if self._ledger.propose(number, encode_manifest(manifest, number)):
                return number, manifest
        raise self._overtaken([])

    def _decoded(self, entry: Entry) -> Manifest:
        return decode_manifest(entry.data, entry.number, object_name(f"{self._shard}/manifest", entry.number))

    def _admit_all(self) -> tuple[Member, ...]:
        """The members of a new shard: every site that answers."""
        name = f"{directory_of(self._shard, self._writer)}/base"
        admitted = each(self._runtime, self._sites.storages, lambda site: site.put(name, encode_base(Base())))
        return tuple(Member(site.name, self._writer) for site in admitted)

    def _overtaken(self, entries: list[Entry]) -> Overtaken:
        last = self._decoded(entries[-1]) if entries else None
        by = (last.host or last.writer) if last else "others, again and again"
        return Overtaken(f"shard {self._shard} was taken over by {by}; a shard has one writer at a time")

    def fence(self, epoch: int, manifest: Manifest) -> tuple[int, list[MemberSite]]:
        """The number that shuts earlier writers out, and the members that took it."""
        sites = members_of(manifest, self._sites)
        for _ in range(CLAIM_TRIES_MAX):
            listed = each(self._runtime, opened(self._runtime, sites), MemberSite.numbers)
            if not listed:
                members = ", ".join(site.name for site in sites)
                raise StorageUnavailable(
                    f"shard {self._shard}: no site with all that was acknowledged answers; such are {members}"
                )
            number = 1 + max((numbers[-1] for numbers in listed.values() if numbers), default=-1)
            if not self._level(epoch, number, listed):
                continue
            took = each(self._runtime, list(listed), partial(put_same, number, self._fence_data(epoch, number)))
            if all(took.values()) and len(took) == len(listed):
                return number, list(took)
            # An earlier writer was as fast, so that its segment may count and the fence belongs behind it; or a site fell silent.
        raise self._overtaken([])

    def _level(self, epoch: int, fence: int, listed: dict[MemberSite, list[int]]) -> bool:
        """Fills what a site lacks of the numbers before the fence: an earlier writer could still put its segment there.

        With that segment where another site has it, else with a fence. Whether all of it was there to be had.
        """
        for site, numbers in listed.items():
            for number in range(numbers[-1] + 1 if numbers else 0, fence):
                try:
                    offers = [other.get(number) for other, found in listed.items() if number in found]
                    site.put(number, next((o for o in offers if not _is_fence(o)), self._fence_data(epoch, number)))
                except (StorageUnavailable, ObjectMissing):
                    return False
        return True

    def _fence_data(self, epoch: int, number: int) -> bytes:
        nothing = SegmentHeader(self._shard, number, None, 0, 0, [], (), (), epoch, self._writer, fence=True, checkpoint=False)
        return encode_header(nothing, 0)

    def check_last(self, number: int) -> None:
        """Raises Overtaken where somebody claimed the shard after that number."""
        later = self._ledger.entries(number)
        if later:
            raise self._overtaken(later)

    def narrow(self, number: int, manifest: Manifest, whole: Sequence[MemberSite]) -> tuple[int, Manifest]:
        """Leaves only those sites members that have all that counts."""
        fewer = Manifest(self._shard, self._writer, tuple(site.member for site in whole), self._host)
        if not self._ledger.propose(number + 1, encode_manifest(fewer, number + 1)):
            raise self._overtaken(self._ledger.entries(number))
        return number + 1, fewer


def _is_fence(data: bytes) -> bool:
    try:
        return SegmentReader(lambda at, length: data[at : None if length is None else at + length], "").header().header.fence
    except (Torn, CorruptLog):
        return False
