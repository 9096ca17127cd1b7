"""Keeping up with what others do to a log: their appends, new shards and topics, sites that go and come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from headwater.core.errors import CorruptLog, LogError
from headwater.core.limits import (
    FOLLOW_OBJECTS_S_MAX,
    FOLLOW_WAIT_S_MAX,
    FOLLOW_WAIT_S_MIN,
    MEMBERS_LOOK_S,
    READMIT_LOOK_S,
    SHARDS_LOOK_S,
    STORAGE_TIMEOUT_S,
)
from headwater.log.admissible import is_shard_name
from headwater.log.follow import Follower, Shown
from headwater.log.known_topics import KnownTopics
from headwater.log.runtime import Runtime
from headwater.log.shard_view import ShardView
from headwater.log.shards import Shards
from headwater.log.storage import StorageUnavailable
from headwater.log.takeover import Sites

_log = structlog.get_logger()


class Watch:
    """Follows the shards that others write, and looks around the sites: when it is asked to, or on two threads once started.

    ``show`` takes in what was found in a shard. ``flush_s``: how often an object store has something new at most. ``stop`` ends
    the threads.
    """

    def __init__(
        self,
        shards: Shards,
        sites: Sites,
        runtime: Runtime,
        topics: KnownTopics,
        show: Callable[[ShardView, Shown], None],
        flush_s: float,
        stop: threading.Event,
    ) -> None:
        self._shards = shards
        self._sites = sites
        self._runtime = runtime
        self._topics = topics
        self._show = show
        self._flush_s = flush_s
        self._followers: dict[str, Follower] = {}
        self._shards_looked_s = -SHARDS_LOOK_S
        self._members_looked_s = runtime.now()
        self._readmit_looked_s = runtime.now()
        self._wrong: dict[str, str] = {}
        self._stop = stop
        self._threads = [threading.Thread(target=run, name="log", daemon=True) for run in (self._run, self._run_sites)]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Waits for looks under way, once it is to stop."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STORAGE_TIMEOUT_S)

    def follow_no_more(self, shard: str) -> None:
        """This process writes it now. Called with `Shards.changing` held."""
        self._followers.pop(shard, None)

    def begin(self) -> None:
        """As `refresh`; but damage of a shard of which nothing can be read holds up no other: that one stays unread.

        Raises CorruptLog where every shard is so.
        """
        self._look_around()
        _, errors = self._follow_all()
        bad = [error for shard, error in errors.items() if shard not in self._shards.owners.unread]
        if bad or (errors and len(errors) == len(self._shards.views)):
            raise (bad or list(errors.values()))[0]

    def refresh(self) -> bool:
        """Looks for what other processes appended, in every shard, and for new shards. True where there was anything.

        Raises what is wrong with the first shard that cannot be followed, once it has looked at all.
        """
        self._look_around()
        return self._follow()

    def _look_around(self) -> None:
        """Asks all sites for shards and who is a member of them. Waits for those that are silent."""
        now = self._runtime.now()
        if now - self._shards_looked_s >= SHARDS_LOOK_S:
            self._shards_looked_s = now
            self._look_for_shards()
        if now - self._members_looked_s >= MEMBERS_LOOK_S:
            self._members_looked_s = now
            errors = []
            for follower in list(self._followers.values()):
                try:
                    follower.look()
                except LogError as e:
                    errors.append(e)
            for view in list(self._shards.views.values()):
                view.read_from(view.sites)
            self._topics.refresh()
            if errors:
                raise errors[0]

    def _follow(self) -> bool:
        any_new, errors = self._follow_all()
        for error in errors.values():
            raise error
        return any_new

    def _follow_all(self) -> tuple[bool, dict[str, LogError]]:
        any_new = False
        errors: dict[str, LogError] = {}
        with self._shards.changing:
            for shard, view in list(self._shards.views.items()):
                if shard not in self._shards.writers:
                    try:
                        any_new = self._follower(shard, view).poll() or any_new
                        self._wrong.pop(shard, None)
                        self._set_unread(shard, None)
                    except LogError as e:
                        errors[shard] = e
                        self._say(shard, str(e))
                        if isinstance(e, CorruptLog) and not view.is_known:
                            self._set_unread(shard, str(e))
        return any_new, errors

    def _set_unread(self, shard: str, why: str | None) -> None:
        with self._shards.lock:
            self._shards.owners.unread.pop(shard, None)
            if why is not None:
                self._shards.owners.unread[shard] = why

    def _follower(self, shard: str, view: ShardView) -> Follower:
        if shard not in self._followers:
            show = partial(self._show, view)
            self._followers[shard] = Follower(view, self._sites, self._runtime, show)
        return self._followers[shard]

    def _look_for_shards(self) -> None:
        errors = []
        for storage in self._sites.storages:
            try:
                for name in storage.list(""):
                    shard = name.removesuffix("/")
                    if is_shard_name(shard) and shard not in self._shards.views and storage.list(f"{shard}/manifest"):
                        self._shards.view(shard)
            except StorageUnavailable as e:
                errors.append(e)
        if len(errors) == len(self._sites.storages):
            raise errors[0]

    def _run(self) -> None:
        # Object stores charge for a look, and have something new once a flush at most.
        appends = any(storage.appends for storage in self._sites.storages)
        least_s, most_s = (FOLLOW_WAIT_S_MIN, FOLLOW_WAIT_S_MAX) if appends else (self._flush_s, FOLLOW_OBJECTS_S_MAX)
        wait_s = least_s
        while not self._stop.wait(wait_s):
            quiet = True
            due: list[float | None] = []
            with suppress(LogError):  # Said already, and tried again.
                quiet = not self._follow()
            for writer in list(self._shards.writers.values()):
                quiet = writer.stand_behind() and quiet
                due.append(writer.sync_if_due(self._runtime.now()))
            wait_s = min(2 * wait_s, most_s) if quiet else least_s
            wait_s = max(0.0, min([wait_s, *(each - self._runtime.now() for each in due if each is not None)]))

    def _run_sites(self) -> None:
        # Apart from the thread that follows: a silent site must hold up nobody who reads another one.
        while not self._stop.wait(SHARDS_LOOK_S):
            try:
                self._look_around()
            except LogError as e:
                self._say("", str(e))
            else:
                self._wrong.pop("", None)
            self._readmit()

    def _say(self, shard: str, why: str) -> None:
        if self._wrong.get(shard) != why:
            self._wrong[shard] = why
            _log.error("a shard of the log cannot be followed; it will be tried again", shard=shard, error=why)

    def alarms(self) -> list[str]:
        """What is wrong now, for people: sites that are no members of a shard of this process, shards that cannot be read."""
        writers = list(self._shards.writers.values())
        names = [storage.name for storage in self._sites.storages]
        lacking = [(site, [one.shard for one in writers if site not in one.members]) for site in names]
        left = [f"the sites: {why}" for shard, why in self._wrong.items() if not shard]
        left += [f"the settings of topics: {self._topics.wrong}"] if self._topics.wrong else []
        left += [f"site {site} left {', '.join(shards)}; it comes back once it answers" for site, shards in lacking if shards]
        return left + [f"shard {shard}: {why}" for shard, why in sorted(self._wrong.items()) if shard]

    def _readmit(self) -> None:
        now = self._runtime.now()
        if now - self._readmit_looked_s < READMIT_LOOK_S:
            return
        self._readmit_looked_s = now
        for writer in list(self._shards.writers.values()):
            for storage in self._sites.storages:
                if storage.name not in writer.members:
                    try:
                        if writer.readmit(storage):
                            _log.info("a site is back", shard=writer.shard, site=storage.name)
                    except LogError as e:
                        _log.error("a site cannot come back", shard=writer.shard, site=storage.name, error=str(e))
