"""Watching a project: an edit is compiled aside and published, or what is wrong is said while the last good snapshot runs on."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TypeAlias

import msgspec

from headwater.core.errors import HeadwaterError, RegistryError
from headwater.registry.log_settings import LogSettings
from headwater.registry.project import SETTINGS_FILE, Project, Settings, examine, load, refused
from headwater.registry.snapshot import Snapshot, canonical
from headwater.registry.store import SnapshotStore
from headwater.rules import Cache, Finding
from headwater.rules.findings import Severity


class Published(msgspec.Struct, frozen=True):
    """The files are good. ``snapshot`` is theirs: a new one, or the one that was published last where an edit was taken back."""

    snapshot: Snapshot
    warnings: tuple[Finding, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The files are not good; ``text`` says all of it. ``findings`` are empty where no place in a file is at fault."""

    text: str
    findings: tuple[Finding, ...] = ()


_Stamp: TypeAlias = tuple[tuple[str, int, int, int, int], ...]


class ProjectWatcher:
    """Call `poll` about once a second, from one thread. ``refused`` is what is wrong with the files now, None where nothing is.

    An edit takes effect at the second poll that sees it unchanged, so that a file which is just being written, or gone for a
    moment while an editor replaces it, does not; the first poll of all does not wait.
    """

    def __init__(self, directory: Path, store: SnapshotStore) -> None:
        self.refused: Refused | None = None
        self._directory = directory
        self._store = store
        self._settings: Settings | None = None
        self._seen: _Stamp | None = None
        self._done: _Stamp | None = None
        self._content = ""
        self._cache = Cache()

    def poll(self) -> Published | Refused | None:
        """What became of an edit since the last call; None where there was none, or it is as wrong as before. Raises nothing."""
        stamp = _stamp(self._directory)
        unchanged = stamp == self._seen
        first = self._seen is None
        self._seen = stamp
        if stamp == self._done or not (unchanged or first):
            return None
        self._done = stamp
        result: Published | Refused | None
        try:
            result = self._compile()
        except HeadwaterError as error:
            result = Refused(str(error), getattr(error, "findings", ()))
            # What could not be stored is tried again at the next poll, though no file changed.
            self._done = None if isinstance(error, RegistryError) else stamp
        except Exception as error:  # A fault in a compiler must not end the watch over files that people can mend.
            result = Refused(f"the project could not be compiled, which is a fault of Headwater: {type(error).__name__}: {error}")
        if not isinstance(result, Refused):
            self.refused = None
            return result
        said_before = self.refused is not None and self.refused.text == result.text
        self.refused = result
        return None if said_before else result

    def _compile(self) -> Published | None:
        project = load(self._directory)
        content = _content_hash(project)
        if content == self._content and self.refused is None:
            return None
        self._settings = self._settings or project.settings
        if project.settings.source != self._settings.source:
            raise refused([_at_next_start("error", "source", self._settings.source)])
        examined = examine(project, self._cache)
        if examined.draft is None:
            raise refused(examined.findings)
        snapshot = self._store.publish(examined.draft)
        self._content = content
        return Published(snapshot, (*examined.findings, *_restart_needed(self._settings, project.settings)))


def _restart_needed(running: Settings, now: Settings) -> list[Finding]:
    """Settings of the process do not change while it runs; an edit of one is said, not passed over."""
    keys = ("host", "port", "data_dir", "out_dir", "udf_batch_ms_max")
    found = [(key, getattr(running, key)) for key in keys if getattr(running, key) != getattr(now, key)]
    for key in LogSettings.__struct_fields__:
        if getattr(running.log, key) != getattr(now.log, key):
            found.append((f"log.{key}", getattr(running.log, key)))
    return [_at_next_start("warning", key, value) for key, value in found]


def _at_next_start(severity: Severity, key: str, running: object) -> Finding:
    message = f"{key} changes only with a restart; it is {str(running)!r} now"
    return Finding(severity, "restart_needed", message, SETTINGS_FILE, 1, 1, 1, "")


def _stamp(directory: Path) -> _Stamp:
    """Name, times, size and inode of every file of the project: changes whenever one of them is written or replaced."""
    found = []
    for part in (SETTINGS_FILE, "plan", "rules", "udfs"):
        place = directory / part
        files = [place]
        with contextlib.suppress(OSError):
            files += [Path(entry.path) for entry in os.scandir(place)]
        for file in files:
            # One that cannot be looked at, such as the dangling link that an editor leaves as a lock, must not hide the others.
            with contextlib.suppress(OSError):
                status = file.stat()
                found.append((str(file), status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
    return tuple(sorted(found))


def _content_hash(project: Project) -> str:
    settings = {name: str(getattr(project.settings, name)) for name in Settings.__struct_fields__}
    unread = [str(finding) for finding in project.findings]
    files = [project.plan, project.rules, project.protos, project.numbers, project.udfs]
    return hashlib.sha256(canonical([settings, *files, unread])).hexdigest()
