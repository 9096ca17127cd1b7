"""Which key classes the workers of a process own: shared with other processes through a consumer group."""

from __future__ import annotations

import threading

import structlog

from headwater.core.errors import LogError, Overtaken
from headwater.etl.worker import GROUP
from headwater.etl.workers import Workers
from headwater.log.groups import Membership
from headwater.log.runtime import Threads
from headwater.log.shared import SharedLog

LOOK_S = 1.0
_TOPIC = "class"
_log = structlog.get_logger()


class Shares:
    """Joins the other worker processes of a log, and gives ``workers`` the classes that are theirs.

    Safety does not rest on it: who opens a class's shard takes it from any other process, whatever both believe.
    """

    def __init__(self, log: SharedLog, workers: Workers, name: str, classes: int) -> None:
        """``name`` is that of this process among them. ``failed`` says why it is one of them no more."""
        self.failed: str | None = None
        self._workers = workers
        self._name = name
        self._runtime = Threads()
        self._membership = Membership(GROUP, log.sites, self._runtime, name, {_TOPIC: classes}, host=name)
        self._stop = threading.Event()
        self._error: str | None = None

    def run(self) -> None:
        """Looks after the classes until `stop`, or until another process has joined under the same name."""
        while not self._stop.is_set() and self.failed is None:
            try:
                self.look()
                self._error = None
            except Overtaken:
                self.failed = f"another worker runs under the name {self._name!r}; choose one with --name"
                self._workers.revoke(self._workers.owned)
            except LogError as e:
                if str(e) != self._error:
                    self._error = str(e)
                    _log.error("whose classes are whose cannot be looked up; it will be tried again", error=str(e))
            self._stop.wait(LOOK_S)

    def look(self) -> None:
        """Once: gives up what is another's, takes what is ours. Raises LogError."""
        assignment = self._membership.poll()
        if assignment.removed:
            self._workers.revoke(number for _, number in assignment.removed)
            self._membership.release(assignment.removed)
            _log.info("classes given up", classes=sorted(number for _, number in assignment.removed))
        # Also those that rest because another process took their shard.
        self._workers.assign(number for _, number in assignment.units)
        if assignment.added:
            _log.info("classes taken", classes=sorted(number for _, number in assignment.added))

    def stop(self) -> None:
        """Asks `run` to end."""
        self._stop.set()

    def leave(self) -> None:
        """Lets the others have all classes now. Call it when `run` has ended and no class is worked on any more."""
        try:
            if self.failed is None:
                self._membership.leave()
        except LogError as e:
            _log.warning("the other workers were not told, and wait for the lease to end", error=str(e))
        self._runtime.close()
