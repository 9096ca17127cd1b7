"""Which configuration a process runs: the newest snapshot that it can link, from the project's files as they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from headwater.core.errors import LinkError, ProjectError, RegistryError
from headwater.registry.snapshot import Snapshot
from headwater.registry.store import SnapshotStore
from headwater.registry.watch import ProjectWatcher, Published, Refused
from headwater.rules import Finding

T = TypeVar("T")
_log = structlog.get_logger()


class Configuration:
    """``snapshot`` is what runs, ``warnings`` are those of its files, ``refused`` is what is wrong with the files now."""

    def __init__(self, directory: Path, data_dir: Path) -> None:
        """Raises ProjectError where the files are broken and there is no snapshot of before, RegistryError."""
        self.store = SnapshotStore(data_dir / "snapshots")
        self.watcher = ProjectWatcher(directory, self.store)
        self.refused: Refused | None = None
        self.warnings: tuple[Finding, ...] = ()
        self.snapshot = self._first_snapshot()

    def _first_snapshot(self) -> Snapshot:
        found = self.watcher.poll()
        if isinstance(found, Published):
            self.warnings = found.warnings
            return found.snapshot
        refused = found or Refused("the project could not be read")
        latest = self.store.latest()
        if latest is None:
            raise ProjectError(refused.text, refused.findings)
        self._say(refused)
        return latest

    def first(self, make: Callable[[Snapshot], T]) -> T:
        """What ``make`` makes of the newest snapshot for which it does not raise LinkError. Raises ProjectError."""
        newest = self.snapshot
        for number in sorted((n for n in self.store.numbers() if n <= newest.number), reverse=True):
            try:
                snapshot = newest if number == newest.number else self.store.get(number)
                made = make(snapshot)
            except (LinkError, RegistryError) as e:
                self._say(Refused(str(e)))
                continue
            self.snapshot = snapshot
            return made
        raise ProjectError(self.refused.text if self.refused else "there is no snapshot that can run")

    def look(self, swap: Callable[[Snapshot], None] | None) -> None:
        """What the watcher found takes effect, or is said. ``swap`` may raise LinkError: then the last good one runs on."""
        found = self.watcher.poll()
        if isinstance(found, Published):
            try:
                if swap is not None:
                    swap(found.snapshot)
            except LinkError as e:
                self._say(Refused(str(e)))
                return
            if found.snapshot.number != self.snapshot.number:
                _log.info("snapshot runs", number=found.snapshot.number, rules=len(found.snapshot.rules))
            self.snapshot, self.warnings, self.refused = found.snapshot, found.warnings, None
        elif isinstance(found, Refused):
            self._say(found)

    def _say(self, refused: Refused) -> None:
        self.refused = refused
        _log.error("the project's files are refused; the last good snapshot runs on", error=refused.text)
