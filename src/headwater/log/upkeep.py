"""What a log does to a shard besides appending: compaction, retention, and deleting what neither readers nor writers need.

Nothing is deleted that a layout which holds does not call doomed, and that not before a grace by this process's own clock has
passed since it saw so, nor before every member was seen to have all copies that the layout names, byte by byte. A number that
nobody counted (a fence, what was left in doubt) is never deleted: a fence must stand as long as a writer of yesterday may wake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from headwater.core.clock import now_ms
from headwater.core.errors import CorruptLog, LogError, StorageUnavailable
from headwater.core.limits import (
    COMPACT_SEGMENTS_MIN,
    COMPACT_SOURCE_BYTES_MAX,
    COMPACT_SOURCE_BYTES_MIN,
    RETENTION_GRACE_S,
    UPKEEP_LOOK_S,
)
from headwater.log.compact import Compaction, abandoned
from headwater.log.compacted import repair_copy
from headwater.log.layout import Layout, Layouts, compacted_directory, copy_of
from headwater.log.ledger import object_name
from headwater.log.manifest import decode_manifest
from headwater.log.member import MemberSite, directory_of
from headwater.log.merge import newest_of, segments_of
from headwater.log.retention import RetentionOf, expired, remove
from headwater.log.runtime import Runtime
from headwater.log.shard_view import Run, ShardView
from headwater.log.storage import Storage
from headwater.log.takeover import Sites, ledger_of, members_of


class UpkeepSettings(NamedTuple):
    """When runs are compacted, how long what is doomed stays, how often a shard is looked at. See core/limits.py."""

    segments_min: int = COMPACT_SEGMENTS_MIN
    source_bytes_min: int = COMPACT_SOURCE_BYTES_MIN
    source_bytes_max: int = COMPACT_SOURCE_BYTES_MAX
    grace_s: float = RETENTION_GRACE_S
    look_s: float = UPKEEP_LOOK_S
    part_bytes_max: int = 0


class Done(NamedTuple):
    """What one step did."""

    compacted: int = 0
    expired: int = 0
    deleted: int = 0


class Upkeep:
    """Tidies one shard up, a step at a time. For one thread at a time; its shard may be written and read meanwhile."""

    def __init__(
        self, view: ShardView, sites: Sites, runtime: Runtime, retention_of: RetentionOf, settings: UpkeepSettings | None = None
    ) -> None:
        self._view = view
        self._sites = sites
        self._runtime = runtime
        self._retention_of = retention_of
        self._settings = settings or UpkeepSettings()
        self._layouts = Layouts(view.name, sites, runtime)
        self._manifests = ledger_of(view.name, sites, runtime)
        self._manifest = 0
        self._seen_s: dict[str | int, float] = {}
        self._checked: set[tuple[str, str]] = set()  # (copy, admission) that were seen whole.
        self._newest_ms: dict[int, int] = {}
        self._segments: dict[int, list[tuple[int, int]]] = {}  # Of runs that are over: numbers and ends.

    def step(self, force: bool = False) -> Done:
        """Does what is due; ``force``: compacts also what is too little. Raises StorageUnavailable, CorruptLog."""
        self._look()
        deleted = self._delete()
        gone = self._expire()
        compacted = self._compact(force)
        if compacted:
            self._make_whole(self._layouts.last)  # A site may have become a member while the copy was made.
        self._mark(self._layouts.last)
        return Done(compacted, gone, deleted)

    def _look(self) -> None:
        self._view.layout = self._layouts.read()

    def _expire(self) -> int:
        gone = expired(self._layouts.last, self._view.copy, self._retention_of, now_ms())
        if gone:
            self._view.layout = self._layouts.change(remove(gone))
        return len(gone)

    def _compact(self, force: bool) -> int:
        sealed = self._view.sealed()
        runs, following = self._due(sealed, force)
        if following is None:
            return 0
        settings = self._settings
        compaction = Compaction(self._view, self._layouts, self._runtime, self._retention_of, now_ms(), settings.part_bytes_max)
        try:
            done = compaction.run(runs, following)
        except LogError:
            self._abandon(compaction)
            raise
        self._view.layout = self._layouts.last
        return len(runs) if done else 0

    def _abandon(self, compaction: Compaction) -> None:
        try:
            compaction.abandon()
        except StorageUnavailable:
            return  # It is among those that were begun, and goes after the grace.

    def _due(self, sealed: Sequence[Run], force: bool) -> tuple[list[Run], Run | None]:
        """The oldest runs, if it is time to compact them, and the run that follows."""
        settings = self._settings
        self._segments = {run.number: self._segments[run.number] for run in sealed if run.number in self._segments}
        chosen: list[Run] = []
        segments = size = 0
        for run in sealed:
            each = self._segments[run.number] = self._segments.get(run.number) or segments_of(self._view, run)
            if chosen and size + sum(end for _, end in each) > settings.source_bytes_max:
                break
            chosen.append(run)
            segments += len(each)
            size += sum(end for _, end in each)
        if not chosen:
            return [], None
        enough = force or segments >= settings.segments_min or size >= settings.source_bytes_min
        if not enough and not self._is_past(chosen[0]):
            return [], None
        following = self._view.after(chosen[-1])
        return chosen, following

    def _is_past(self, run: Run) -> bool:
        """Whether all that the run has is past its retention by time."""
        topics = {topic for topic, _ in self._view.base(self._view.after(run))}
        limits = [self._retention_of(topic).ms for topic in topics]
        longest = max((ms for ms in limits if ms is not None), default=None)
        if longest is None or None in limits:
            return False
        newest = self._newest_ms.get(run.number)
        if newest is None:
            newest = newest_of(self._view, run)
            self._newest_ms = {run.number: newest}
        return newest < now_ms() - longest

    def _delete(self) -> int:
        """Deletes what was doomed for the grace. Until a site that does not answer has lost it too, it stays doomed."""
        layout = self._layouts.last
        over = self._mark(layout)
        for id in layout.begun:
            if id in over:
                layout = self._view.layout = self._layouts.change(lambda each, id=id: abandoned(id, each))  # type: ignore[misc]
        self._make_whole(layout)
        segments = [number for number in layout.doomed_segments if number in over]
        ids = [id for id in layout.doomed if id in over]
        if not segments and not ids:
            return 0
        for storage in self._sites.storages:
            self._delete_from(storage, segments, ids)
        gone = set(segments), set(ids)
        self._view.layout = self._layouts.change(lambda each: _cleared(each, *gone))
        return len(segments) + len(ids)

    def _mark(self, layout: Layout) -> set[str | int]:
        """Notes since when what is doomed or was begun is known; what has been for the grace."""
        now = self._runtime.now()
        marked: list[str | int] = [*layout.begun, *layout.doomed, *layout.doomed_segments]
        self._seen_s = {each: self._seen_s.get(each, now) for each in marked}
        return {each for each, since_s in self._seen_s.items() if now - since_s >= self._settings.grace_s}

    def _delete_from(self, storage: Storage, segments: Sequence[int], ids: Sequence[str]) -> None:
        shard = self._view.name
        admissions = [name.removesuffix("/") for name in storage.list(f"{shard}/segment")]
        for admission in admissions:
            for number in segments:
                storage.delete(object_name(directory_of(shard, admission), number))
        for name in storage.list(compacted_directory(shard)) if ids else ():
            if copy_of(name) in ids:
                storage.delete(f"{compacted_directory(shard)}/{name}")

    def _make_whole(self, layout: Layout) -> None:
        """Sees to it that every member has every copy. Raises StorageUnavailable where one does not answer, CorruptLog."""
        for member in self._members() if layout.compacted else ():
            for compacted in layout.compacted:
                seen = (compacted.id, f"{member.name}/{member.admission}")
                if seen not in self._checked:
                    repair_copy(self._sites.storages, member.storage, self._view.name, compacted)
                    self._checked.add(seen)
        known = {compacted.id for compacted in layout.compacted}
        self._checked = {seen for seen in self._checked if seen[0] in known}

    def _members(self) -> list[MemberSite]:
        """The members by the last manifest. Raises StorageUnavailable where that is not known."""
        entries = self._manifests.entries(self._manifest - 1)
        if not entries or not entries[-1].holds:
            raise StorageUnavailable(f"shard {self._view.name}: too few sites answer to tell which are members")
        name = object_name(f"{self._view.name}/manifest", entries[-1].number)
        manifest = decode_manifest(entries[-1].data, entries[-1].number, name)
        self._manifest = max(entries[-1].number, 0)
        found = members_of(manifest, self._sites)
        if len(found) != len(manifest.members):
            raise CorruptLog(f"shard {self._view.name}: a member of it is none of this log's sites")
        return found


def _cleared(layout: Layout, segments: set[int], ids: set[str]) -> Layout | None:
    wanted = msgspec.structs.replace(
        layout,
        doomed=tuple(id for id in layout.doomed if id not in ids),
        doomed_segments=tuple(number for number in layout.doomed_segments if number not in segments),
    )
    return None if wanted == layout else wanted
