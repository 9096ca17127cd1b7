"""Simulated users: a few thousand people whose apps report through the unmodified Segment client, mistakes included.

A seed repeats the people, what they do, the ids of their events and the mistakes; only the timing follows the machine.
"""

from __future__ import annotations

import base64
import heapq
import http.client
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headwater.core.clock import monotonic_s
from headwater.core.errors import DemoError
from headwater.core.ids import Random, seeded_random
from headwater.demo.people import SHOP, VIDEO, Person, Step, person, session

try:
    from segment.analytics.client import Client
except ModuleNotFoundError:
    raise DemoError("the demonstration needs segment-analytics-python; install it with: pip install 'headwater[demo]'") from None

WRONG_KEY = "wk_000000000000000000000000"
UNREGISTERED = "unregistered event type"
_TYPOS = {VIDEO: "video_veiw", SHOP: "prodct_view"}
_TIMEOUT_S = 10


class Reported(msgspec.Struct):
    """What the simulator did. ``sent`` counts events given to the client or sent raw, by app; repeats count again."""

    sent: Counter[str] = msgspec.field(default_factory=Counter)
    mistakes: Counter[str] = msgspec.field(default_factory=Counter)
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    not_queued: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    people: int = 0


class Simulator:
    """Reports for ``seconds`` in a thread of its own; then `finish` flushes the clients."""

    def __init__(self, url: str, keys: dict[str, str], users: int, seconds: float, seed: int) -> None:
        """``keys`` are the write keys by app."""
        self.reported = Reported()
        self.url = url
        self.keys = keys
        self.seconds = seconds
        self._random = seeded_random(seed)
        self._users = users
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        # The client logs what the server refuses; the report says it better.
        logging.getLogger("segment").addHandler(logging.NullHandler())
        logging.getLogger("segment").propagate = False
        self._clients = {
            app: Client(key, host=url, gzip=app == SHOP, on_error=self._refused, max_queue_size=100_000)
            for app, key in keys.items()
        }
        self._clients["wrong key"] = Client(WRONG_KEY, host=url, on_error=self._refused)

    def start(self) -> None:
        """Begins to report."""
        self._thread.start()

    def stop(self) -> None:
        """Lets everyone go home early."""
        self._stopping.set()

    @property
    def running(self) -> bool:
        """Whether people are still at it."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Waits until every client has sent what it holds, or given it up."""
        self._thread.join()
        for client in self._clients.values():
            client.flush()
            client.join()

    def _run(self) -> None:
        start = monotonic_s()
        visits = self._visits()
        odd = iter([(self.seconds * share, number) for number, share in enumerate((0.15, 0.3, 0.45, 0.6, 0.75, 0.9))])
        next_odd = next(odd, None)
        while visits and not self._stopping.is_set():
            due, number, who, steps, step = visits[0]
            if due > self.seconds:
                break
            if next_odd and next_odd[0] < due:
                self._odd_requests(next_odd[1])
                next_odd = next(odd, None)
            if self._stopping.wait(max(0.0, start + due - monotonic_s())):
                break
            self._report(who, step)
            following = next(steps, None)
            if following:
                heapq.heapreplace(visits, (due + following.wait_s, number, who, steps, following))
            else:
                heapq.heappop(visits)

    def _visits(self) -> list[tuple[float, int, Person, Iterator[Step], Step]]:
        """Everyone's session by the time of its next step, spread so that most are over in time."""
        visits = []
        for number in range(self._users):
            random = seeded_random(self._random.getrandbits(64))
            who = person(random, number)
            steps = session(random, who)
            visits.append((self._random.uniform(0, self.seconds * 0.85), number, who, steps, next(steps)))
        heapq.heapify(visits)
        self.reported.people = self._users
        return visits

    def _report(self, who: Person, step: Step) -> None:
        event, properties, mistake = spoil(self._random, step)
        event_id = f"{self._random.getrandbits(128):032x}"
        # A repeat of what is refused would not be met again further on, where repeats are counted.
        repeats = 2 if mistake != UNREGISTERED and self._random.random() < 0.01 else 1
        for _ in range(repeats):
            queued, _ = self._clients[step.app].track(
                user_id=who.user_id,
                anonymous_id=who.device_id,
                event=event,
                properties=properties,
                context=dict(who.context),
                message_id=event_id,
            )
            if queued:
                self.reported.sent[step.app] += 1
            else:
                self.reported.not_queued += 1
        if mistake:
            self.reported.mistakes[mistake] += 1
        if repeats == 2:
            self.reported.mistakes["reported twice"] += 1

    def _odd_requests(self, number: int) -> None:
        """What no SDK of ours sends, by raw HTTP, and one event under a key that nobody has."""
        self._clients["wrong key"].track(user_id="nobody", event="video_view", properties={"video_id": 1})
        self.reported.mistakes["wrong key"] += 1
        self._post("/v1/track", b'{"type": "track", "event": "video_view", "userId": "u", "properties": {"video_id": 1,}')
        self.reported.mistakes["malformed body"] += 1
        lines = [
            json.dumps({"event": "video_like", "device_id": "raw", "event_id": f"raw-{number}-1", "properties": {"video_id": 1}}),
            '{"event": "video_like", "event_id": ',
            json.dumps(
                {"event": "video_like", "device_id": "raw", "app": "admin", "hw": {"tier": 0}, "properties": {"video_id": 1}}
            ),
        ]
        self._post("/v1/events", "\n".join(lines).encode())
        self.reported.mistakes["malformed line"] += 1
        self.reported.mistakes["forged app and hw"] += 1
        self.reported.sent[VIDEO] += 2

    def _post(self, path: str, body: bytes) -> None:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_TIMEOUT_S)
        authorization = "Basic " + base64.b64encode(f"{self.keys[VIDEO]}:".encode()).decode()
        try:
            connection.request("POST", path, body, {"Authorization": authorization, "Content-Type": "application/json"})
            self.reported.answers[f"{path} {connection.getresponse().status}"] += 1
        except OSError as error:
            self.reported.answers[f"{path} {type(error).__name__}"] += 1
        finally:
            connection.close()

    def _refused(self, error: Exception, batch: list[dict[str, Any]]) -> None:
        """Called by a client for a batch that the server would not have."""
        status = getattr(error, "status", type(error).__name__)
        self.reported.refused[str(status)] += len(batch)


def spoil(random: Random, step: Step) -> tuple[str, dict[str, Any], str | None]:
    """(event, properties, name of the mistake or None): now and then an event is not as registered."""
    luck = random.random()
    if luck > 0.025:
        return step.event, step.properties, None
    properties = dict(step.properties)
    numbers = [name for name, value in properties.items() if isinstance(value, int | float)]
    if luck > 0.02:
        return _TYPOS[step.app], properties, UNREGISTERED
    if luck > 0.015:
        del properties[next(iter(properties))]
        return step.event, properties, "required field missing"
    if not numbers:
        return step.event, properties, None
    name = random.choice(numbers)
    if luck > 0.006:
        properties[name] = str(properties[name])
        return step.event, properties, "number as text"
    properties[name] = "unknown"
    return step.event, properties, "wrong type"
