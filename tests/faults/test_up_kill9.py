"""kill -9 of `headwater up` at random moments: no acknowledged event is lost, each logged event is in every sink once.

`HEADWATER_KILL_ROUNDS` sets the rounds of the long test.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.core.ids import seeded_random
from headwater.core.record import decode_all
from headwater.log.shared import SharedLog, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.template import write_project
from tests.faults.up_entry import MUTANTS

RULES = """
-- rule: all
INSERT INTO everything SELECT * FROM app_events;
-- rule: rows
INSERT INTO rows SELECT event_id AS id, coalesce(user_id, '') AS who FROM app_events WHERE event = 'video_like';
-- rule: odd
INSERT INTO rows SELECT event_id AS id, CAST(user_id AS BIGINT) AS number FROM app_events WHERE event = 'video_play';
"""
ENTRY = Path(__file__).with_name("up_entry.py")
ROUNDS_LONG = int(os.environ.get("HEADWATER_KILL_ROUNDS", "100"))


class Lost(AssertionError):
    """An event is missing, or there twice."""


class Client:
    """Reports from a thread, and knows what was acknowledged. What was not is sent again, as clients do; some of the rest is
    too, as by clients whose answer was lost."""

    def __init__(self, seed: int) -> None:
        self.acknowledged: set[str] = set()
        self._random = seeded_random(seed)
        self._number = 0
        self._unanswered: list[dict[str, Any]] = []
        self._answered: deque[dict[str, Any]] = deque(maxlen=200)
        self._stop = threading.Event()

    def run(self, port: int, key: str) -> threading.Thread:
        self._stop.clear()
        thread = threading.Thread(target=self._report, args=(port, key))
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def _report(self, port: int, key: str) -> None:
        basic = base64.b64encode(f"{key}:".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            while not self._stop.is_set():
                events = self._unanswered or self._events()
                self._unanswered = events
                body = "".join(json.dumps(event) + "\n" for event in events).encode()
                connection.request("POST", "/v1/events", body, {"Authorization": f"Basic {basic}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.acknowledged.update(event["event_id"] for event in events)
                    self._answered.extend(events)
                    self._unanswered = []
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _events(self) -> list[dict[str, Any]]:
        events = []
        if self._answered and self._random.random() < 0.2:
            events.append(self._random.choice(self._answered))
        for _ in range(self._random.choice((1, 3, 50))):
            self._number += 1
            kind = self._random.choice(("video_like", "video_play"))
            user = self._random.choice(("7", "ann"))
            events.append({"event": kind, "event_id": f"e{self._number}", "user_id": user, "properties": {"video_id": "v"}})
        return events


class World:
    """A project whose process is killed again and again."""

    def __init__(self, directory: Path, mutant: str, seed: int) -> None:
        self.directory = directory
        self.key = write_project(directory).write_key
        for file in (directory / "rules").glob("*.sql"):
            file.unlink()
        (directory / "rules" / "rules.sql").write_text(RULES)
        self.client = Client(seed)
        self._mutant = mutant
        self._random = seeded_random(seed)

    def start(self) -> tuple[subprocess.Popen[str], int]:
        with (self.directory.parent / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                (sys.executable, str(ENTRY), self._mutant, str(self.directory)), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        assert process.stdout
        line = process.stdout.readline()
        assert line, (self.directory.parent / "stderr").read_text()
        return process, json.loads(line)["port"]

    def kill_round(self) -> None:
        process, port = self.start()
        thread = self.client.run(port, self.key)
        time.sleep(self._random.uniform(0.02, 0.5))
        process.kill()
        process.wait()
        thread.join()
        if process.stdout:
            process.stdout.close()

    def settle(self) -> dict[str, Any]:
        """A run without a kill: what was unanswered is sent again, all is delivered, the process stops in order."""
        process, port = self.start()
        thread = self.client.run(port, self.key)
        time.sleep(0.2)
        self.client.stop()
        thread.join()
        try:
            status = self._status(port)
            deadline = time.monotonic() + 20
            while status["etl"]["lag"] or any(sink["lag"] for sink in status["deliver"].values()):
                assert time.monotonic() < deadline, status
                time.sleep(0.05)
                status = self._status(port)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        return status

    def check(self, status: dict[str, Any]) -> None:
        log = open_log({"local": FolderStorage(self.directory / "data" / "log")})
        try:
            logged = [record.event_id for record in _records(log, "app_events")]
            kinds = {record.event_id: json.loads(record.payload) for record in _records(log, "app_events")}
        finally:
            log.close()
        if missing := self.client.acknowledged - set(logged):
            raise Lost(f"acknowledged and not in the log: {sorted(missing)[:5]} of {len(missing)}")
        everything = Counter(row.get("event_id") for row in self._rows("everything"))
        self._compare("everything", everything, set(logged))
        expected = {i for i, event in kinds.items() if event["event"] == "video_like" or event["user_id"] == "7"}
        self._compare("rows", Counter(row.get("id") for row in self._rows("rows")), expected)
        self._compare(
            "dead_letters",
            Counter(json.loads(row["raw"])["event_id"] for row in self._rows("dead_letters")),
            set(logged) - expected,
        )
        for hop in status["balances"]:
            if not hop["balanced"]:
                raise Lost(f"does not balance: {hop}")
        figures = status["etl"]
        if (figures["read"], figures["unique"]) != (len(logged), len(set(logged))):
            raise Lost(f"the log has {len(logged)} records of {len(set(logged))} events; counted are {figures}")

    def _compare(self, dataset: str, found: Counter[str | None], expected: set[str]) -> None:
        twice = [event_id for event_id, count in found.items() if count > 1]
        if twice or set(found) != expected:
            missing, extra = expected - set(found), set(found) - expected
            some = [*twice, *missing, *extra][:5]
            raise Lost(f"{dataset}: {len(twice)} twice, {len(missing)} missing, {len(extra)} not expected: {some}")

    def _rows(self, dataset: str) -> Iterator[dict[str, Any]]:
        for file in sorted((self.directory / "out" / dataset).glob("*.ndjson")):
            for line in file.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    raise Lost(f"{file} ends within a line")
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise Lost(f"{file}: {error}") from error

    def _status(self, port: int) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/status.json")
        return json.loads(connection.getresponse().read())


def _records(log: SharedLog, topic: str) -> Iterator[Any]:
    offset = 0
    while (fetch := log.read(topic, 0, offset, 1 << 24)).data:
        yield from decode_all(fetch.data)
        offset = fetch.next_offset


def run(directory: Path, mutant: str, rounds: int, settle_every: int, seed: int) -> None:
    world = World(directory / "project", mutant, seed)
    for number in range(1, rounds + 1):
        world.kill_round()
        if number % settle_every == 0 or number == rounds:
            world.check(world.settle())
    assert len(world.client.acknowledged) > rounds, "the client got nothing done"


def test_killed_at_random_moments(tmp_path: Path) -> None:
    run(tmp_path, "none", rounds=6, settle_every=6, seed=1)


@pytest.mark.slow
def test_killed_at_random_moments_for_long(tmp_path: Path) -> None:
    run(tmp_path, "none", rounds=ROUNDS_LONG, settle_every=10, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_test_catches(tmp_path: Path, mutant: str) -> None:
    with pytest.raises((Lost, AssertionError)) as caught:
        run(tmp_path, mutant, rounds=20, settle_every=4, seed=3)
    assert re.search(r"twice|missing|not in the log|balance|ends within|counted|json|Extra data|Expecting", str(caught.value)), (
        caught.value
    )
