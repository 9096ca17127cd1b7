"""Brings what is damaged or missing on a site from another one that has it whole.

The source is checked byte by byte just before, never believed. Where a storage can append, a segment is written over in place,
and what stands behind stays; elsewhere the object is deleted and put anew. That frees its number for a moment, which is safe
where a segment counts: the number that a writer of yesterday needs next is that of a fence, or of a segment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headwater.core.errors import CorruptLog, LogError, StorageUnavailable
from headwater.core.limits import REPAIR_CHUNK_BYTES
from headwater.log.compacted import repair_copy
from headwater.log.history import read_header
from headwater.log.layout import Layouts
from headwater.log.ledger import object_name
from headwater.log.manifest import decode_manifest
from headwater.log.member import MemberSite
from headwater.log.runtime import Runtime
from headwater.log.storage import ObjectMissing
from headwater.log.takeover import Sites, ledger_of, members_of, opened
from headwater.log.verify import check_segment, verify
from headwater.log.verify_ledgers import Finding, Progress

_LAST = "who opens the shard next brings its last segment to every member"


class Repaired(NamedTuple):
    """What was done about a finding; ``done`` is False where nothing was, or, in a dry run, where nothing could be."""

    finding: Finding
    done: bool
    what: str


def repair(sites: Sites, runtime: Runtime, dry_run: bool = False, progress: Progress | None = None) -> Iterator[Repaired]:
    """Verifies, and repairs what can be. Raises as `verify` does."""
    done: set[tuple[str, str]] = set()
    for finding in verify(sites, runtime, progress):
        if (finding.site, finding.name) in done:
            continue
        done.add((finding.site, finding.name))
        why = _cannot(finding)
        if why:
            yield Repaired(finding, False, why)
        elif dry_run:
            yield Repaired(finding, True, f"it would be brought from {finding.whole_at}")
        else:
            try:
                yield Repaired(finding, True, _repair(finding, sites, runtime))
            except LogError as e:
                yield Repaired(finding, False, str(e))


def _cannot(finding: Finding) -> str:
    """Why a finding is left as it is; nothing where it can be repaired."""
    if finding.whole_at is None:
        return "no other site has it whole"
    if finding.kind == "tail" and not finding.at:
        return _LAST
    return ""


def _repair(finding: Finding, sites: Sites, runtime: Runtime) -> str:
    shard = finding.shard
    storages = {storage.name: storage for storage in (*sites.storages, *sites.witnesses)}
    storage = storages[finding.site]
    if finding.kind == "base":
        # Without it the site is as good as erased: it leaves the members, and comes back with all that it needs.
        storage.delete(finding.name)
        return "the site is taken for erased; the shard's writer fills it again"
    if finding.kind in ("manifest", "layout", "journal"):
        # A majority of the others has these bytes, so that no vote that comes meanwhile changes what holds.
        data = storages[str(finding.whole_at)].get(finding.name)
        storage.delete(finding.name)
        storage.put(finding.name, data)
        return f"put anew, as {finding.whole_at} has it"
    if finding.kind == "copy":
        compacted = Layouts(shard, sites, runtime).read().compacted[finding.number]
        names = repair_copy(sites.storages, storage, shard, compacted)
        return f"put anew: {', '.join(names) or 'nothing any more'}"
    members = open_members(shard, sites, runtime)
    site = next((member for member in members if member.name == finding.site), None)
    if site is None:
        raise StorageUnavailable(f"{finding.site} is no member of shard {shard} any more")
    if finding.kind == "tail" and not _is_same(site, members, finding):
        raise StorageUnavailable(_LAST)
    if finding.kind == "fence":
        source = next(member for member in members if member.name == finding.whole_at)
        return _repair_fence(source, site, finding.number)
    return f"brought from {repair_segment(site, members, finding.number, finding.end)}"


def _is_same(site: MemberSite, members: Sequence[MemberSite], finding: Finding) -> bool:
    """Whether the site has that segment, damaged behind its header, where it can be written over in place.

    What cannot be read, or is not there, may be a fence, and the segment may not count: that is for a take-over to say.
    """
    mine = read_header(site, finding.number)
    others = [read_header(member, finding.number) for member in members if member.name == finding.whole_at]
    return site.appends and mine is not None and all(other is not None and other.header == mine.header for other in others)


def _repair_fence(source: MemberSite, site: MemberSite, number: int) -> str:
    """Who the fence shuts out needs the source as well, so that its number may be free on this site for a moment."""
    found = read_header(source, number)
    if found is None:
        raise CorruptLog(f"{source.name}: {source.place(number)}: it is not there any more")
    _bring(source, site, number, found.start)
    return f"brought from {source.name}"


def open_members(shard: str, sites: Sites, runtime: Runtime) -> list[MemberSite]:
    """The members by the last manifest that holds, as far as they answer and have their base. Raises StorageUnavailable."""
    entries = [entry for entry in ledger_of(shard, sites, runtime).entries() if entry.holds]
    if not entries:
        raise StorageUnavailable(f"shard {shard}: no manifest holds")
    name = object_name(f"{shard}/manifest", entries[-1].number)
    manifest = decode_manifest(entries[-1].data, entries[-1].number, name)
    return list(opened(runtime, members_of(manifest, sites)))


def repair_segment(site: MemberSite, members: Sequence[MemberSite], number: int, end: int) -> str:
    """Brings a segment that counts up to ``end`` to a site; the name of the site that it came from.

    Raises CorruptLog where no other member has it whole, StorageUnavailable.
    """
    why: list[str] = []
    for source in members:
        if source.name == site.name:
            continue
        try:
            fault = check_segment(source, number, end, None)
            if fault is None:
                _bring(source, site, number, end)
                return source.name
            why.append(f"{source.name}: byte {fault[0]}: {fault[1]}")
        except ObjectMissing as e:
            why.append(str(e))
    raise CorruptLog(f"shard {site.shard}: segment {number}: no other site has it whole: {'; '.join(why)}")


def _bring(source: MemberSite, site: MemberSite, number: int, end: int) -> None:
    if not (site.appends and _is_there(site, number)):
        site.storage.delete(site.place(number))
        data = source.get(number, 0, end)
        if not site.put(number, data) and site.get(number, 0, end) != data:
            raise CorruptLog(f"{site.name}: {site.place(number)}: something else was put there meanwhile")
        return
    for at in range(0, end, REPAIR_CHUNK_BYTES):
        length = min(REPAIR_CHUNK_BYTES, end - at)
        data = source.get(number, at, length)
        if site.get(number, at, length) != data:
            site.append(number, at, data)


def _is_there(site: MemberSite, number: int) -> bool:
    try:
        site.get(number, 0, 0)
    except ObjectMissing:
        return False
    return True
