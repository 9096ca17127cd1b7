"""Collectors, workers and a deliverer as processes of their own: they die, come and go, and every event comes out once."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.registry.template import write_project

MAIN = "from headwater.cli.main import main; main()"
# A collector that gives an event's repeat another class, and so another window.
RANDOM_CLASSES = """
import os, headwater.collect.server as server
right = server.split_by_class
def wrong(records, classes):
    by = os.urandom(1)[0]
    return sorted(((number + by) % classes, count, part) for number, count, part in right(records, classes))
server.split_by_class = wrong
"""
# A worker that commits how far it read by itself, before the outputs.
OFFSETS_APART = """
import msgspec, time, headwater.etl.worker as worker
right = worker.ClassWorker._finish
def wrong(self, work):
    if work.group is None:
        work.group = self._run_rules(work)
    self._writer.append(msgspec.structs.replace(work.group, batches=()))
    time.sleep(0.3)
    self._writer.append(msgspec.structs.replace(work.group, commits=(), state=()))
    self._work = None
worker.ClassWorker._finish = wrong
"""
BATCH = 20
THREE_SITES = """
site = "b"
[log.sites]
a = "site-a"
b = "site-b"
c = "site-c"
"""


class Process:
    """A running command of the project."""

    def __init__(self, directory: Path, command: str, *options: str, before: str = "") -> None:
        self.errors = directory.parent / f"{command}-{len(list(directory.parent.glob('*.log')))}.log"
        with self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                (sys.executable, "-c", before + MAIN, command, str(directory), "--json", *options),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        self.ready = json.loads(line)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.ready["url"] + path, timeout=10) as answer:
            return json.load(answer) if path.endswith(".json") else answer.read().decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class Clients:
    """Report events through whichever collector answers, and some of them again through another."""

    def __init__(self, key: str, urls: Callable[[], list[str]]) -> None:
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.repeats = 0
        self._authorization = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        self._urls = urls
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            ids = [f"{client}-{number}-{n}" for n in range(BATCH)]
            number += 1
            with self._lock:
                self.sent.update(ids)
            while not self._report(ids, number + client):
                self._stop.wait(0.05)  # As a client does that gets no answer, or 503.
            with self._lock:
                self.acknowledged.update(ids)
            if number % 3 == 0 and self._report(ids, number + client + 1):
                self.repeats += BATCH
            self._stop.wait(0.02)

    def _report(self, ids: list[str], which: int) -> bool:
        events = [
            {"event": "video_like", "event_id": one, "user_id": f"u{sum(one.encode())}", "properties": {"video_id": one}}
            for one in ids
        ]
        urls = self._urls()
        body = "\n".join(map(json.dumps, events)).encode()
        request = urllib.request.Request(urls[which % len(urls)] + "/v1/events", body, {"Authorization": self._authorization})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(json.load(answer)["accepted"] == BATCH)
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return False


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "project")
    with (tmp_path / "project/headwater.toml").open("a") as settings:
        settings.write("[log]\nkey_classes = 8\n")
    return tmp_path / "project"


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(command: str, *options: str, before: str = "") -> Process:
        started.append(Process(project, command, *options, before=before))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def key_of(project: Path) -> str:
    found = re.search(r'write_keys = \["(wk_\w+)"', "".join(file.read_text() for file in (project / "plan").glob("*.toml")))
    assert found
    return found[1]


def rows(project: Path) -> Counter[str]:
    """How often each event came out."""
    counts: Counter[str] = Counter()
    for file in (project / "out/user_actions").glob("*.ndjson"):
        for line in file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                counts[json.loads(line)["item_id"]] += 1
    return counts


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} never happened"
        time.sleep(0.1)
    return found


def grows(project: Path, clients: Clients, by: int = 10 * BATCH) -> None:
    """Waits until so many more events came out: the system goes on."""
    before = len(rows(project))
    until(lambda: len(rows(project)) >= before + by, f"going on from {before} rows")


def check_once(project: Path, clients: Clients) -> None:
    until(lambda: clients.acknowledged <= rows(project).keys(), "the output of every acknowledged event")
    found = rows(project)
    assert not {one: times for one, times in found.items() if times > 1}
    assert found.keys() <= clients.sent


def collector_url(process: Process) -> str:
    url: str = process.ready["url"]
    return url


@pytest.mark.parametrize("sites", ["", pytest.param(THREE_SITES, marks=pytest.mark.slow)], ids=["one site", "three sites"])
def test_processes_die_come_and_go_and_every_event_comes_out_once(
    project: Path, start: Callable[..., Process], sites: str
) -> None:
    with (project / "headwater.toml").open("a") as settings:
        settings.write(sites)
    collectors = [start("collect", "--name", name, "--port", "0") for name in ("a", "b")]
    workers = [start("worker", "--name", name) for name in ("v", "w")]
    deliverer = start("deliver")
    clients = Clients(key_of(project), lambda: [collector_url(one) for one in collectors])
    clients.start()
    try:
        grows(project, clients)
        workers[0].kill()
        grows(project, clients)
        workers.append(start("worker", "--name", "x"))
        grows(project, clients)
        assert workers[1].stop() == 0
        grows(project, clients)
        collectors[1].kill()
        collectors[1] = start("collect", "--name", "b", "--port", "0")
        grows(project, clients)
        assert deliverer.stop() == 0
        deliverer = start("deliver")
        grows(project, clients)
    finally:
        clients.stop()
    check_once(project, clients)
    assert clients.repeats > 0
    status = until(lambda: (found := collectors[0].get("/status.json"))["etl"]["lag"] == 0 and found, "an empty log")
    assert status["etl"]["unique"] >= len(clients.acknowledged)
    assert status["etl"]["duplicates"] >= clients.repeats
    assert all(hop["balanced"] for hop in status["balances"]), status["balances"]
    assert "headwater_etl_unique_total" in collectors[0].get("/metrics")
    for process in (*collectors, workers[2], deliverer):
        assert process.stop() == 0
        assert "Traceback" not in process.errors.read_text()


@pytest.mark.slow
def test_a_worker_that_was_paused_does_nothing_twice(project: Path, start: Callable[..., Process]) -> None:
    collector = start("collect", "--port", "0")
    paused, other = start("worker"), start("worker")
    start("deliver")
    clients = Clients(key_of(project), lambda: [collector_url(collector)])
    clients.start()
    try:
        for _ in range(3):
            grows(project, clients)
            paused.process.send_signal(signal.SIGSTOP)
            reported = set(clients.acknowledged)
            until(lambda known=reported: known <= rows(project).keys(), "the take-over of its classes")
            paused.process.send_signal(signal.SIGCONT)
            grows(project, clients)
    finally:
        clients.stop()
    check_once(project, clients)
    assert [paused.stop(), other.stop()] == [0, 0]
    assert "classes given up" in paused.errors.read_text()


def test_a_collector_that_divides_by_chance_is_caught(project: Path, start: Callable[..., Process]) -> None:
    collectors = [start("collect", "--name", name, "--port", "0", before=RANDOM_CLASSES) for name in ("a", "b")]
    start("worker")
    start("deliver")
    clients = Clients(key_of(project), lambda: [collector_url(one) for one in collectors])
    clients.start()
    try:
        grows(project, clients, 50 * BATCH)
    finally:
        clients.stop()
    with pytest.raises(AssertionError, match="2"):
        check_once(project, clients)


def test_a_worker_that_commits_offsets_apart_is_caught(project: Path, start: Callable[..., Process]) -> None:
    collector = start("collect", "--port", "0")
    first = start("worker", "--name", "v", before=OFFSETS_APART)
    start("deliver")
    clients = Clients(key_of(project), lambda: [collector_url(collector)])
    clients.start()
    try:
        grows(project, clients)
        first.kill()
        start("worker", "--name", "v")
        grows(project, clients)
    finally:
        clients.stop()
    until(lambda: collector.get("/status.json")["etl"]["lag"] == 0, "an empty log")
    assert not clients.acknowledged <= rows(project).keys()


def test_up_and_separate_processes_exclude_each_other_where_they_would_take_from_each_other(
    project: Path, start: Callable[..., Process]
) -> None:
    def refused(command: str, *options: str) -> str:
        done = subprocess.run(
            (sys.executable, "-c", MAIN, command, str(project), *options), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    up = start("up", "--port", "0")
    assert f"in use by another `headwater up` (process {up.process.pid})" in refused("worker")
    assert "in use by another `headwater up`" in refused("deliver")
    beside = start("collect", "--name", "beside", "--port", "0")
    assert f"in use by another `headwater collect` (process {beside.process.pid})" in refused("collect", "--name", "beside")
    assert up.stop() == 0
    assert beside.stop() == 0
    deliverer = start("deliver")
    assert "in use by `headwater worker` or `headwater deliver`" in refused("up", "--port", "0")
    assert f"in use by another `headwater deliver` (process {deliverer.process.pid})" in refused("deliver")
    first, second = start("worker", "--name", "v"), start("worker", "--name", "v")
    assert first.process.wait(20) == 1
    assert "another worker runs under the name 'v'; choose one with --name" in first.errors.read_text()
    assert second.stop() == 0
    settings = project / "headwater.toml"
    settings.write_text(settings.read_text().replace("key_classes = 8", "key_classes = 4"))
    assert "key_classes of [log] is 4, but this log was begun with 8" in refused("worker")
    assert "cannot be named '-x'" in refused("worker", "--name=-x")
    assert "the log has no site 'moon'; valid are local" in refused("worker", "--site", "moon")
