"""The rooms of one process, wired together: registry, log, collector, worker, deliverer."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from headwater.collect import Collector
from headwater.core import clock
from headwater.core.descriptor import Descriptor
from headwater.core.errors import LinkError, ProjectError, RegistryError
from headwater.deliver import Deliverer, ProtobufSink
from headwater.embedded.data_lock import DataLock
from headwater.etl.workers import Workers
from headwater.log import shared
from headwater.log.stores.place import storage_at
from headwater.registry.log_settings import LogSettings, local
from headwater.registry.project import Settings, load
from headwater.registry.snapshot import Snapshot
from headwater.registry.store import SnapshotStore
from headwater.registry.watch import ProjectWatcher, Published, Refused
from headwater.rules import Finding

WATCH_INTERVAL_S = 0.5
_log = structlog.get_logger()


class Embedded:
    """A project, running: `start` the threads, serve ``collector.app``, `stop`."""

    def __init__(self, directory: Path) -> None:
        """Raises ProjectError where the files are broken and there is no snapshot of before, DataInUse, LogError, CorruptLog."""
        self.settings = _settings(directory)
        self._lock = DataLock(self.settings.data_dir)
        self.store = SnapshotStore(self.settings.data_dir / "snapshots")
        self.watcher = ProjectWatcher(directory, self.store)
        self.refused: Refused | None = None
        self.warnings: tuple[Finding, ...] = ()
        newest = self._first_snapshot()
        self.log = open_log(self.settings.log)
        self.workers, self.snapshot = self._first_workers(newest)
        self._descriptors: tuple[Snapshot | None, dict[str, Descriptor | None]] = (None, {})
        checkpoints = self.settings.data_dir / "sinks.json"
        self.deliverer = Deliverer(self.log, self.settings.out_dir, checkpoints, self.workers.sources, self._sink)
        self.collector = Collector(self.log, lambda: self.snapshot, classes=self.settings.log.key_classes)
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Starts watching, working and delivering."""
        for name, target in (("watch", self._watch), ("etl", self.workers.run), ("deliver", self.deliverer.run)):
            self._threads[name] = threading.Thread(target=target, name=name, daemon=True)
            self._threads[name].start()

    def stop(self, seconds: float) -> bool:
        """Once nothing comes in any more: lets the worker and then the sinks finish. False where they did not within ``seconds``.

        Then nothing is lost either: the next start goes on where they were.
        """
        until = clock.monotonic_s() + seconds
        self.collector.close()
        done = True
        for name, stop in (("watch", self._stopping.set), ("etl", self.workers.stop), ("deliver", self.deliverer.stop)):
            stop()
            if name in self._threads:
                self._threads[name].join(max(until - clock.monotonic_s(), 0.1))
                done = done and not self._threads[name].is_alive()
        if done:
            self.log.close()
            self._lock.release()
        return done

    def take_over(self, found: Published | Refused | None) -> None:
        """What the watcher found takes effect, or is said."""
        if isinstance(found, Published):
            try:
                self.workers.swap(found.snapshot)
            except LinkError as e:
                self._say(Refused(str(e)))
                return
            if found.snapshot.number != self.snapshot.number:
                _log.info("snapshot runs", number=found.snapshot.number, rules=len(found.snapshot.rules))
            self.snapshot, self.warnings, self.refused = found.snapshot, found.warnings, None
        elif isinstance(found, Refused):
            self._say(found)

    def _sink(self, directory: Path) -> ProtobufSink:
        return ProtobufSink(directory, lambda: self._descriptor(directory.name))

    def _descriptor(self, dataset: str) -> Descriptor | None:
        """What the snapshot that runs now says of a dataset."""
        snapshot, known = self._descriptors
        if snapshot is not self.snapshot:
            known = {one.name: one.descriptor for one in self.snapshot.datasets}
            self._descriptors = (self.snapshot, known)
        return known.get(dataset)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL_S):
            self.workers.assign(range(self.settings.log.key_classes))  # What another process took is taken back.
            self.take_over(self.watcher.poll())

    def _say(self, refused: Refused) -> None:
        self.refused = refused
        _log.error("the project's files are refused; the last good snapshot runs on", error=refused.text)

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

    def _first_workers(self, newest: Snapshot) -> tuple[Workers, Snapshot]:
        """Runs the newest snapshot that this kernel can link."""
        for number in sorted((n for n in self.store.numbers() if n <= newest.number), reverse=True):
            try:
                snapshot = newest if number == newest.number else self.store.get(number)
                workers = Workers(self.log, snapshot, self.settings.log.key_classes, self.settings.udf_batch_ms_max)
            except (LinkError, RegistryError) as e:
                self._say(Refused(str(e)))
                continue
            workers.assign(range(self.settings.log.key_classes))
            workers.open()
            return workers, snapshot
        raise ProjectError(self.refused.text if self.refused else "there is no snapshot that can run")


def open_log(settings: LogSettings, name: str = "") -> shared.SharedLog:
    """The log of a project; ``name`` tells people which process writes. Raises what `shared.open_log` raises."""
    sites = {site: storage_at(place) for site, place in settings.sites.items()}
    witnesses = {witness: storage_at(place) for witness, place in settings.witnesses.items()}
    return shared.open_log(sites, witnesses, shared.LogSettings(first=settings.site, host=name))


def _settings(directory: Path) -> Settings:
    """Those of headwater.toml; where it is broken, the usual ones, so that the last good snapshot can still be found and run."""
    try:
        return load(directory).settings
    except ProjectError:
        data_dir = directory / "data"
        if not (data_dir / "snapshots").is_dir():
            raise
        return Settings(directory.name, "file-led", "", "127.0.0.1", 8080, data_dir, directory / "out", local(data_dir))
