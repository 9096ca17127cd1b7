import gzip
import importlib.util
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from headwater.core.errors import DemoError
from headwater.core.ids import seeded_random
from headwater.demo import simulator
from headwater.demo.people import SHOP, VIDEO, Step, person, session
from headwater.demo.simulator import Simulator, spoil


def test_a_seed_repeats_people_and_sessions():
    def everything(seed):
        random = seeded_random(seed)
        return [(who, list(session(random, who))) for who in (person(random, number) for number in range(50))]

    assert everything(3) == everything(3)
    assert everything(3) != everything(4)


def test_sessions_use_every_event_type_of_the_plan():
    random = seeded_random(1)
    seen = {(step.app, step.event) for number in range(500) for step in session(random, person(random, number))}
    assert seen == {
        *((VIDEO, name) for name in ("app_start", "experiment_exposure", "search", "video_view", "video_play", "video_like")),
        *((VIDEO, name) for name in ("video_share", "ad_view", "ad_click")),
        *((SHOP, name) for name in ("search", "product_view", "add_to_cart", "order_paid", "order_refunded")),
    }


def test_mistakes_are_named():
    random, names = seeded_random(1), Counter()
    for _ in range(5000):
        event, properties, name = spoil(random, Step(0, VIDEO, "video_play", {"video_id": 1, "played_ms": 2}))
        names[name] += 1
        if name is None:
            assert (event, properties) == ("video_play", {"video_id": 1, "played_ms": 2})
        if name == "unregistered event type":
            assert event == "video_veiw"
        if name == "required field missing":
            assert properties == {"played_ms": 2}
        if name in ("number as text", "wrong type"):
            assert [type(value) for value in properties.values()].count(str) == 1
    assert set(names) == {None, "unregistered event type", "required field missing", "number as text", "wrong type"}
    assert names[None] > 4800


class _Collector(BaseHTTPRequestHandler):
    """Takes what the client sends under the keys that it knows, and counts."""

    protocol_version = "HTTP/1.1"
    taken: ClassVar[list[dict]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        status = 200
        if self.path == "/v1/batch":
            batch = json.loads(body)
            status = 401 if batch["writeKey"] == simulator.WRONG_KEY else 200
            if status == 200:
                type(self).taken += batch["batch"]
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_what_is_reported_is_counted():
    _Collector.taken = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = Simulator(f"http://127.0.0.1:{server.server_port}", {VIDEO: "wk_v", SHOP: "wk_s"}, users=60, seconds=2, seed=5)
        run.start()
        run.finish()
        server.shutdown()
    reported, taken = run.reported, _Collector.taken
    raw = 2 * reported.mistakes["malformed line"]
    assert len(taken) + raw == reported.sent.total()
    assert len(taken) - len({event["messageId"] for event in taken}) == reported.mistakes["reported twice"]
    assert reported.refused == {"401": reported.mistakes["wrong key"]}
    assert reported.answers.total() == 2 * raw // 2
    assert reported.people == 60
    assert reported.not_queued == 0


def test_a_missing_client_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "segment.analytics.client", None)
    spec = importlib.util.spec_from_file_location("simulator_again", simulator.__file__)
    with pytest.raises(DemoError, match=r"headwater\[demo\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
