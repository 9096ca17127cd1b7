"""The thread of a log that tidies up the shards it writes, and repairs what its readers found damaged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import structlog

from headwater.core.errors import LogError, StorageUnavailable
from headwater.core.limits import REPAIR_QUEUE_MAX
from headwater.log.compacted import repair_copy
from headwater.log.layout import Layouts
from headwater.log.member import MemberSite
from headwater.log.repair import open_members, repair_segment
from headwater.log.retention import Retention
from headwater.log.runtime import Runtime
from headwater.log.shard_view import Part, ShardView
from headwater.log.takeover import Sites
from headwater.log.topics import TopicRegistry
from headwater.log.upkeep import Done, Upkeep, UpkeepSettings

_log = structlog.get_logger()


class Figures(NamedTuple):
    """What was done since the log was opened: runs compacted, copies past their retention, objects deleted, steps that failed.

    ``repaired``: objects that a reader found damaged or missing on a site, brought from another; ``left``: not so.
    """

    compacted: int = 0
    expired: int = 0
    deleted: int = 0
    failed: int = 0
    repaired: int = 0
    left: int = 0


class _Damage(NamedTuple):
    """An object that is not whole on a site: a segment as far as it counts, or one of a compacted copy."""

    shard: str
    site: str
    number: int
    copy: str | None


class Keeper:
    """Looks at each shard every so often. ``written`` gives the views of the shards to tidy up."""

    def __init__(
        self, sites: Sites, runtime: Runtime, written: Callable[[], list[ShardView]], settings: UpkeepSettings | None = None
    ) -> None:
        self._sites = sites
        self._runtime = runtime
        self._written = written
        self._settings = settings or UpkeepSettings()
        self._topics = TopicRegistry(sites, runtime)
        self._upkeeps: dict[str, tuple[ShardView, Upkeep]] = {}
        self._wrong: dict[str, str] = {}
        self._damages: dict[_Damage, int] = {}  # How far the segment counts.
        self._tried: set[_Damage] = set()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log upkeep", daemon=True)
        self.figures = Figures()

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Waits for the step under way."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self, force: bool = False) -> None:
        """One look at each shard. What fails is said once, counted, and tried again at the next look."""
        with self._turn:
            self._repair()
            views = self._written()
            self._upkeeps = {name: each for name, each in self._upkeeps.items() if any(view is each[0] for view in views)}
            for view in views:
                if view.name not in self._upkeeps:
                    upkeep = Upkeep(view, self._sites, self._runtime, self._retention_of, self._settings)
                    self._upkeeps[view.name] = view, upkeep
                self._step(view.name, self._upkeeps[view.name][1], force)

    def _step(self, shard: str, upkeep: Upkeep, force: bool) -> None:
        try:
            done = upkeep.step(force)
            self._wrong.pop(shard, None)
        except LogError as e:
            self._count(failed=1)
            if self._wrong.get(shard) != str(e):
                self._wrong[shard] = str(e)
                _log.error("a shard cannot be tidied up; it will be tried again", shard=shard, error=str(e))
            return
        if done != Done():
            _log.info("a shard was tidied up", shard=shard, **done._asdict())
            self._count(compacted=done.compacted, expired=done.expired, deleted=done.deleted)

    def _count(self, **more: int) -> None:
        self.figures = self.figures._replace(**{name: getattr(self.figures, name) + count for name, count in more.items()})

    def damaged(self, view: ShardView, part: Part, site: MemberSite) -> None:
        """A reader found an object damaged or missing on a site. It is repaired soon, but not twice."""
        damage = _Damage(view.name, site.name, part.number, part.copy)
        if damage not in self._tried and len(self._damages) < REPAIR_QUEUE_MAX:
            self._damages[damage] = part.end
            self._wake.set()

    def _repair(self) -> None:
        if len(self._tried) > REPAIR_QUEUE_MAX:
            self._tried.clear()
        while self._damages and not self._stop.is_set():
            damage, end = self._damages.popitem()
            self._tried.add(damage)
            try:
                source = self._bring(damage, end)
            except LogError as e:
                self._count(left=1)
                _log.error("damage that was read cannot be repaired", shard=damage.shard, site=damage.site, error=str(e))
                continue
            self._count(repaired=1)
            _log.warning("damage that was read is repaired", shard=damage.shard, site=damage.site, what=source)

    def _bring(self, damage: _Damage, end: int) -> str:
        members = open_members(damage.shard, self._sites, self._runtime)
        site = next((member for member in members if member.name == damage.site), None)
        if site is None:
            raise StorageUnavailable(f"{damage.site} is no member of shard {damage.shard}, or does not answer")
        if damage.copy is None:
            source = repair_segment(site, members, damage.number, end)
            return f"{site.place(damage.number)} from {source}"
        layout = Layouts(damage.shard, self._sites, self._runtime).read()
        for compacted in layout.compacted:
            if compacted.last == damage.number:
                return ", ".join(repair_copy(self._sites.storages, site.storage, damage.shard, compacted))
        return "nothing: it is not in use any more"

    def _retention_of(self, topic: str) -> Retention:
        settings = self._topics.get(topic)
        return Retention(settings.retention_ms, settings.retention_bytes)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._wake.wait(self._settings.look_s):
                self._wake.clear()
                with self._turn:
                    self._repair()
            else:
                self.step()
