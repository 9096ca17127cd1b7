"""The rooms of a process, wired together: registry, log, and of collector, workers and deliverer those that it is to run."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path

import msgspec

from headwater.collect import Collector
from headwater.core import clock
from headwater.core.descriptor import Descriptor
from headwater.core.errors import ProjectError
from headwater.deliver import Deliverer, ProtobufSink
from headwater.embedded.configuration import Configuration
from headwater.embedded.data_lock import DataLock
from headwater.embedded.project_log import fix_key_classes, number_of, open_log
from headwater.embedded.shares import Shares
from headwater.etl.figures import sources
from headwater.etl.workers import Workers
from headwater.registry.log_settings import local
from headwater.registry.project import SETTINGS_FILE, Settings, load
from headwater.registry.snapshot import Snapshot

WATCH_INTERVAL_S = 0.5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Part(Enum):
    """What a process runs: one of these, or all of them."""

    COLLECT = "collect"
    WORKER = "worker"
    DELIVER = "deliver"
    UP = "up"


class Embedded:
    """A project, running: `start` the threads, serve ``collector.app`` where there is one, `stop`."""

    def __init__(self, directory: Path, part: Part = Part.UP, name: str = "", site: str = "") -> None:
        """``name`` is that of the process among those of its kind, ``site`` whose copy of the log it reads first.

        Raises ProjectError where the files are broken and there is no snapshot of before, or a name cannot be used; DataInUse,
        LogError, CorruptLog.
        """
        self.part = part
        self.name = name or _usual_name(part)
        if not _NAME.fullmatch(self.name):
            valid = "valid are at most 100 of A-Z a-z 0-9 _ . -, a letter or digit first"
            raise ProjectError(f"a process cannot be named {self.name!r}; {valid}")
        self.settings = _settings(directory, site)
        self._locks = _locks(part, self.name, self.settings.data_dir)
        self.configuration = Configuration(directory, self.settings.data_dir)
        self.log = open_log(self.settings.log, self.name)
        self.classes = self.settings.log.key_classes
        fix_key_classes(self.log, self.classes)
        self.workers: Workers | None = None
        self.shares: Shares | None = None
        self.deliverer: Deliverer | None = None
        self.collector: Collector | None = None
        self._descriptors: tuple[Snapshot | None, dict[str, Descriptor | None]] = (None, {})
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        if part in (Part.WORKER, Part.UP):
            self.workers = self.configuration.first(self._workers)
        if part is Part.WORKER and self.workers is not None:
            self.shares = Shares(self.log, self.workers, self.name, self.classes)
        if part in (Part.DELIVER, Part.UP):
            checkpoints = self.settings.data_dir / "sinks.json"
            self.deliverer = Deliverer(self.log, self.settings.out_dir, checkpoints, self._sources, self._sink)
        if part in (Part.COLLECT, Part.UP):
            number = number_of(self.log, self.name)
            self.collector = Collector(self.log, lambda: self.configuration.snapshot, number, self.classes)

    def _workers(self, snapshot: Snapshot) -> Workers:
        workers = Workers(self.log, snapshot, self.classes, self.settings.udf_batch_ms_max)
        if self.part is Part.UP:
            workers.assign(range(self.classes))
            workers.open()
        return workers

    def start(self) -> None:
        """Starts watching, working and delivering."""
        parts: list[tuple[str, Callable[[], None]]] = [("watch", self._watch)]
        parts += [("shares", self.shares.run)] if self.shares else []
        parts += [("etl", self.workers.run)] if self.workers else []
        parts += [("deliver", self.deliverer.run)] if self.deliverer else []
        for name, target in parts:
            self._threads[name] = threading.Thread(target=target, name=name, daemon=True)
            self._threads[name].start()

    def stop(self, seconds: float) -> bool:
        """Once nothing comes in any more: lets the workers and then the sinks finish. False where that took over ``seconds``.

        Then nothing is lost either: the next start goes on where they were. A process that is one of several finishes only what
        is under way.
        """
        until = clock.monotonic_s() + seconds
        drain = self.part is Part.UP
        if self.collector:
            self.collector.close()
        stops: list[tuple[str, Callable[[], None]]] = [("watch", self._stopping.set)]
        stops += [("shares", self.shares.stop)] if self.shares else []
        stops += [("etl", partial(self.workers.stop, drain))] if self.workers else []
        stops += [("deliver", partial(self.deliverer.stop, drain))] if self.deliverer else []
        done = True
        for name, stop in stops:
            stop()
            if name in self._threads:
                self._threads[name].join(max(until - clock.monotonic_s(), 0.1))
                done = done and not self._threads[name].is_alive()
        if done:
            if self.shares:
                self.shares.leave()
            self.log.close()
            for lock in self._locks:
                lock.release()
        return done

    def _sources(self) -> tuple[str, ...]:
        """The topics that no sink takes."""
        return (*{*sources(self.log.state, self.classes), self.configuration.snapshot.source},)

    def _sink(self, directory: Path) -> ProtobufSink:
        return ProtobufSink(directory, lambda: self._descriptor(directory.name))

    def _descriptor(self, dataset: str) -> Descriptor | None:
        """What the snapshot that runs now says of a dataset."""
        running = self.configuration.snapshot
        snapshot, known = self._descriptors
        if snapshot is not running:
            known = {one.name: one.descriptor for one in running.datasets}
            self._descriptors = (running, known)
        return known.get(dataset)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL_S):
            if self.workers and self.part is Part.UP:
                self.workers.assign(range(self.classes))  # What another process took is taken back.
            self.configuration.look(self.workers.swap if self.workers else None)


def _usual_name(part: Part) -> str:
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).lstrip("_.-")[:80] or "host"
    return {Part.UP: "up", Part.COLLECT: host, Part.WORKER: f"{host}-{os.getpid()}", Part.DELIVER: host}[part]


def _locks(part: Part, name: str, data_dir: Path) -> list[DataLock]:
    """`up` owns all classes and all sinks; workers share the classes, one deliverer has the sinks, collectors only their name."""
    if part is Part.COLLECT:
        return [DataLock(data_dir, f"collect-{name}")]
    if part is Part.UP:
        return [DataLock(data_dir)]
    locks = [DataLock(data_dir, shared=True)]
    if part is Part.DELIVER:
        locks.append(DataLock(data_dir, "deliver"))
    return locks


def _settings(directory: Path, site: str) -> Settings:
    """Those of headwater.toml; where it is broken, the usual ones, so that the last good snapshot can still be found and run.

    But not where it speaks of a log, which may lie elsewhere: events must not go into another one.
    """
    try:
        settings = load(directory).settings
    except ProjectError:
        data_dir = directory / "data"
        if not (data_dir / "snapshots").is_dir() or _names_a_log(directory / SETTINGS_FILE):
            raise
        return Settings(directory.name, "file-led", "", "127.0.0.1", 8080, data_dir, directory / "out", local(data_dir))
    if site and site not in settings.log.sites:
        raise ProjectError(f"the log has no site {site!r}; valid are {', '.join(settings.log.sites)}")
    log = msgspec.structs.replace(settings.log, site=site or settings.log.site)
    return msgspec.structs.replace(settings, log=log)


def _names_a_log(file: Path) -> bool:
    try:
        return re.search(rb"(?m)^\s*\[?\s*[\"']?log\b", file.read_bytes()) is not None
    except OSError:
        return False
