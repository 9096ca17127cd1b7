"""Reads all that a log has on its sites and says what is not as it was written, or not where it should be. Changes nothing.

A shard may be written meanwhile. What is behind the last whole group of its last segment is not looked at: it may be under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.kernel import check_block
from headwater.log.compacted import damaged_objects, whole_index
from headwater.log.history import read_header, read_tail, reader_of
from headwater.log.layout import Layout, Layouts, index_name, part_name
from headwater.log.ledger import object_name
from headwater.log.manifest import Manifest, decode_manifest
from headwater.log.member import MemberSite, directory_of
from headwater.log.runtime import Runtime
from headwater.log.segment import BLOCK, Group, Segment, SegmentReader, Torn
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable
from headwater.log.takeover import Sites, ledger_of, members_of
from headwater.log.verify_ledgers import Finding, Progress, verify_journals, verify_shard_ledgers

Place = tuple[str, int]


def shards_of(sites: Sites) -> list[str]:
    """The shards that any site has, sorted. Sites that do not answer are passed over."""
    found: set[str] = set()
    for storage in sites.storages:
        try:
            names = [name.removesuffix("/") for name in storage.list("") if not name.startswith("_")]
            found.update(name for name in names if storage.list(f"{name}/manifest"))
        except StorageUnavailable:
            continue
    return sorted(found)


def verify(sites: Sites, runtime: Runtime, progress: Progress | None = None) -> Iterator[Finding]:
    """All that is wrong, shard by shard, and in the journals. Raises StorageUnavailable where too few sites answer to tell."""
    progress = progress or (lambda shard, name: None)
    for shard in shards_of(sites):
        yield from Verification(shard, sites, runtime, progress).findings()
    yield from verify_journals(sites, progress)


def check_segment(
    site: MemberSite, number: int, end: int, chain: int | None, groups: list[Group] | None = None
) -> tuple[int, str] | None:
    """The first byte at which a segment is not as it counts up to ``end``, and why; None where all is whole.

    ``groups`` gets the groups. Raises ObjectMissing, StorageUnavailable.
    """
    label = f"{site.name}: {site.place(number)}"
    try:
        segment = reader_of(site, number).header()
        if (segment.header.shard, segment.header.number) != (site.shard, number):
            return 0, f"this is segment {segment.header.number} of shard {segment.header.shard}"
        if segment.header.fence:
            return 0, "a fence stands where a segment belongs"
        reached, last = segment.start, segment.start_chain
        for group in reader_of(site, number, end).groups(segment):
            for position, size, _ in group.blocks:
                check_block(site.get(number, position, size), position)
            reached, last = group.end, group.chain
            if groups is not None:
                groups.append(group)
    except Torn as e:
        return e.at, str(e)
    except (CorruptLog, ValueError, NotImplementedError) as e:
        return _byte_of(e), str(e).removeprefix(f"{label}: ")
    if reached != end:
        return reached, f"the segment ends here; it counts up to byte {end}"
    if chain is not None and chain != last:
        return 0, "its frames are not those that the next segment follows"
    return None


def _byte_of(error: Exception) -> int:
    words = str(error).replace(":", "").replace(",", "").split()
    numbers = [word for before, word in pairwise(words) if before == "byte" and word.isdigit()]
    return int(numbers[0]) if numbers else 0


class _Link(NamedTuple):
    """A segment that counts: how far, and its chain there, where anything says so."""

    segment: Segment
    end: int
    chain: int | None


class Verification:
    """One shard's."""

    def __init__(self, shard: str, sites: Sites, runtime: Runtime, progress: Progress) -> None:
        self._shard = shard
        self._sites = sites
        self._runtime = runtime
        self._progress = progress
        self._members: list[MemberSite] = []

    def findings(self) -> Iterator[Finding]:
        """See `verify`."""
        yield from verify_shard_ledgers(self._shard, self._sites, self._progress)
        try:
            layout = Layouts(self._shard, self._sites, self._runtime).read()
            members = members_of(self._manifest(), self._sites)
        except CorruptLog as e:
            yield self._shard_finding(str(e))
            return
        yield from self._open(members)
        if not self._members:
            yield self._shard_finding("no member has all that was acknowledged, or none answers")
            return
        ends: dict[Place, int] = {}
        yield from self._copies(layout, ends)
        counted: set[int] = set(layout.doomed_segments)
        for finding in self._segments(layout, ends, counted):
            counted.add(finding.number)
            yield finding
        yield from self._fences(counted)

    def _shard_finding(self, what: str) -> Finding:
        return Finding(self._shard, "", self._shard, None, what, None, "shard")

    def _manifest(self) -> Manifest:
        held = [entry for entry in ledger_of(self._shard, self._sites, self._runtime).entries() if entry.holds]
        if not held:
            raise CorruptLog(f"shard {self._shard} has no manifest that holds")
        return decode_manifest(held[-1].data, held[-1].number, object_name(f"{self._shard}/manifest", held[-1].number))

    def _open(self, members: Sequence[MemberSite]) -> Iterator[Finding]:
        wrong: list[tuple[MemberSite, str]] = []
        for site in members:
            try:
                if site.open():
                    self._members.append(site)
                else:
                    wrong.append((site, "it is not there: the site was erased, or lost it"))
            except CorruptLog as e:
                wrong.append((site, str(e)))
            except StorageUnavailable as e:
                wrong.append((site, f"the site does not answer: {e}"))
        other = self._members[0].name if self._members else None
        for site, what in wrong:
            name = f"{directory_of(self._shard, site.admission)}/base"
            yield Finding(self._shard, site.name, name, None, what, other, "base")

    def _copies(self, layout: Layout, ends: dict[Place, int]) -> Iterator[Finding]:
        storages = [site.storage for site in self._members]
        for at, compacted in enumerate(layout.compacted):
            name = index_name(self._shard, compacted.id)
            self._progress(self._shard, name)
            try:
                index = whole_index(storages, self._shard, compacted)
            except CorruptLog as e:
                for storage in storages:
                    yield Finding(self._shard, storage.name, name, None, str(e), None, "copy", at)
                continue
            damaged = {storage.name: damaged_objects(storage, self._shard, compacted, index) for storage in storages}
            for storage in storages:
                for each in damaged[storage.name]:
                    whole_at = next((other for other, lacks in damaged.items() if each not in lacks), None)
                    what = "it is missing, or its bytes do not fit its checksum"
                    yield Finding(self._shard, storage.name, each, None, what, whole_at, "copy", at)
            for place, entry in index.partitions.items():
                if (at and entry.first < ends.get(place, 0)) or not entry.first <= entry.end or entry.floor > entry.end:
                    what = f"{place[0]}/{place[1]} goes from {entry.first} to {entry.end} behind {ends.get(place, 0)}"
                    yield Finding(self._shard, "", name, None, what, None, "copy", at)
                ends[place] = entry.end
            for part in range(len(compacted.parts)):
                each = part_name(self._shard, compacted.id, part)
                source = next((storage for storage in storages if each not in damaged[storage.name]), None)
                if source is not None:
                    yield from self._blocks(source, each, compacted.parts[part])

    def _blocks(self, storage: Storage, name: str, size: int) -> Iterator[Finding]:
        """Whether the part is whole blocks from its first byte to its last."""
        self._progress(self._shard, name)
        reader = SegmentReader(lambda at, length: storage.get(name, at, length), f"{storage.name}: {name}", size)
        at = 0
        try:
            while at < size:
                kind, _, _, end, _ = reader.frame(at)
                if kind != BLOCK:
                    raise ValueError(f"a frame of kind {kind} stands where a block belongs")
                check_block(storage.get(name, at, end - at), at)
                at = end
        except (Torn, CorruptLog, ValueError, NotImplementedError) as e:
            yield Finding(self._shard, storage.name, name, at, str(e), None, "copy")

    def _fences(self, others: set[int]) -> Iterator[Finding]:
        """Objects that do not count, but for these others: each begins with a whole header all the same, and keeps its number."""
        wrong: list[tuple[MemberSite, int, CorruptLog]] = []
        whole: dict[int, str] = {}
        for site in self._members:
            for number in self._numbers(site):
                if number in others:
                    continue
                self._progress(self._shard, site.place(number))
                try:
                    if read_header(site, number) is not None:
                        whole.setdefault(number, site.name)
                except CorruptLog as e:
                    wrong.append((site, number, e))
                except StorageUnavailable:
                    continue  # Said of the segments that count.
        for site, number, error in wrong:
            name = site.place(number)
            what = str(error).removeprefix(f"{site.name}: {name}: ")
            yield Finding(self._shard, site.name, name, _byte_of(error), what, whole.get(number), "fence", number)

    def _segments(self, layout: Layout, ends: dict[Place, int], counted: set[int]) -> Iterator[Finding]:
        """``counted`` gets the numbers of the segments that count."""
        chain: list[_Link] = []
        for found in self._walk(layout):
            if isinstance(found, Finding):
                yield found
            else:
                chain.append(found)
        chain.reverse()
        counted.update(one.segment.header.number for one in chain)
        known = bool(layout.compacted)
        for at, one in enumerate(chain):
            header = one.segment.header
            if header.checkpoint:
                told = {(topic, partition): end for topic, partition, end in header.ends}
                if known and told != ends:
                    wrong = sorted(set(told.items()) ^ set(ends.items()))[:3]
                    what = f"the checkpoint does not say what the groups before it add up to: {wrong}"
                    yield Finding(self._shard, "", one.segment.place, 0, what, None, "segment", header.number, one.end)
                ends.clear()
                ends.update(told)
                known = True
            yield from self._segment(one, at == len(chain) - 1, ends)

    def _segment(self, one: _Link, is_last: bool, ends: dict[Place, int]) -> Iterator[Finding]:
        number = one.segment.header.number
        wrong: list[tuple[MemberSite, tuple[int | None, str]]] = []
        groups: list[Group] = []
        whole: str | None = None
        for site in self._members:
            self._progress(self._shard, site.place(number))
            found: list[Group] = []
            try:
                fault = check_segment(site, number, one.end, one.chain, found)
            except ObjectMissing:
                wrong.append((site, (None, "it is missing")))
                continue
            except StorageUnavailable as e:
                wrong.append((site, (None, f"the site does not answer: {e}")))
                continue
            if fault is None and is_last:
                fault = self._behind(site, number) or self._cut_short(site, one)
            if fault is not None:
                wrong.append((site, fault))
            elif whole is None:
                whole, groups = site.name, found
        for site, (at, what) in wrong:
            kind = "tail" if is_last else "segment"
            yield Finding(self._shard, site.name, site.place(number), at, what, whole, kind, number, one.end)
        for group in groups:
            for _, _, directory in group.blocks:
                for topic, partition, first, count in directory:
                    end = ends.get((topic, partition), 0)
                    if first != end:
                        what = f"group {group.number} has {topic}/{partition} {first} where {end} belongs"
                        yield Finding(self._shard, "", one.segment.place, group.start, what, None, "segment", number, one.end)
                    ends[topic, partition] = first + count

    def _behind(self, site: MemberSite, number: int) -> tuple[int, str] | None:
        """Damage behind what can be read of the last segment: a later group shows that a group was durable there."""
        damage = ""
        for _ in range(2):  # A group that was under way at the first look is whole at the second.
            tail = read_tail(site, number)
            if tail is None or not tail.damage:
                return None
            damage = tail.damage
        return _byte_of(CorruptLog(damage)), damage

    def _cut_short(self, site: MemberSite, one: _Link) -> tuple[int, str] | None:
        """An object that is put whole has a group and ends with a mark, so that here nothing can be torn."""
        if site.appends or (len(site.get(one.segment.header.number)) == one.end > one.segment.start):
            return None
        return one.end, "it was put whole, and no group follows here that is"

    def _walk(self, layout: Layout) -> Iterator[_Link | Finding]:
        """What counts, newest first; and segments of which no member has the header, so that what they follow is not known."""
        numbers = sorted({number for site in self._members for number in self._numbers(site)}, reverse=True)
        last: _Link | None = None
        for candidate in numbers:
            unreadable: list[Finding] = []
            last = self._last(candidate, unreadable)
            if last is not None:
                break
            yield from unreadable
        if last is None:
            return
        yield last
        link = last
        while link.segment.header.number > layout.starts_at:
            header = link.segment.header
            number, end, chain = header.previous, header.previous_end, header.previous_chain
            if number is None:
                return
            segment = self._header(number)
            if segment is None:
                for site in self._members:
                    what = "no member has the header of this segment, so that what comes before it cannot be told"
                    yield Finding(self._shard, site.name, site.place(number), 0, what, None, "segment", number, end)
                return
            link = _Link(segment, end, chain)
            yield link

    def _numbers(self, site: MemberSite) -> list[int]:
        try:
            return site.numbers()
        except StorageUnavailable:
            return []

    def _header(self, number: int) -> Segment | None:
        for site in self._members:
            try:
                segment = read_header(site, number)
            except (CorruptLog, StorageUnavailable):
                continue
            if segment is not None and not segment.header.fence:
                return segment
        return None

    def _last(self, number: int, unreadable: list[Finding]) -> _Link | None:
        """The last segment, as far as the member has it that has most; None where the number is that of a fence.

        Or where no member can read it: then ``unreadable`` says why.
        """
        best: _Link | None = None
        for site in self._members:
            try:
                segment = read_header(site, number)
                if segment is not None and segment.header.fence:
                    unreadable.clear()
                    return None
                tail = read_tail(site, number)
            except CorruptLog as e:
                name = site.place(number)
                what = str(e).removeprefix(f"{site.name}: {name}: ")
                unreadable.append(Finding(self._shard, site.name, name, _byte_of(e), what, None, "segment", number))
                continue
            except StorageUnavailable:
                continue
            if tail is not None and (best is None or tail.segment.end > best.end):
                best = _Link(tail.segment, tail.segment.end, None)
        return best
