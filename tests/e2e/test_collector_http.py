"""The collector over real HTTP: what clients send is in the log once, with equal content, before they are answered."""

import asyncio
import base64
import gzip
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
import segment.analytics as segment
import uvicorn

from headwater.collect import Collector, HttpConnection, connection
from headwater.core.clock import monotonic_s
from headwater.core.errors import LogUnavailable
from headwater.core.record import decode_all
from headwater.core.types import BIGINT, VARCHAR
from headwater.registry.snapshot import App, Draft, EventType, Field, Reporting, numbered, write_key_hash
from headwater.testing.memory_log import MemoryLog

KEY = "wk_0123456789abcdef01234567"
STRICT_KEY = "wk_strict"
SMALL_KEY = "wk_small"
FIELDS = (Field(("properties", "price"), BIGINT, required=True), Field(("properties", "sku"), VARCHAR))
DRAFT = Draft(
    project="test",
    source="app_events",
    apps=(
        App("shop", "team", "observe", (write_key_hash(KEY),)),
        App("strict", "team", "enforce", (write_key_hash(STRICT_KEY),)),
        App("small", "team", "observe", (write_key_hash(SMALL_KEY),), reporting=Reporting(10, ("https://shop.example",))),
    ),
    event_types=(
        EventType("shop", "buy", 1, "team", "P1", fields=FIELDS),
        EventType("strict", "buy", 1, "team", "P0", fields=FIELDS),
    ),
)


class Served:
    """A collector behind a real uvicorn in a thread of its own."""

    def __init__(self, log, http=HttpConnection):
        self.log = log
        self.snapshot = numbered(DRAFT, 7, 0)
        self.collector = Collector(log, lambda: self.snapshot)
        config = uvicorn.Config(self.collector.app, host="127.0.0.1", port=0, log_level="warning", lifespan="on", http=http)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.collector.drain()
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.collector.close()

    def post(self, path, body, key=KEY, **headers):
        auth = requests.auth.HTTPBasicAuth(key, "") if key else None
        return requests.post(self.url + path, data=body, auth=auth, headers=headers, timeout=30)

    def records(self, topic="app_events"):
        data, offset = [], 0
        while offset < self.log.end_offset(topic, 0):
            fetch = self.log.read(topic, 0, offset, 1 << 20)
            data.extend(decode_all(fetch.data))
            offset = fetch.next_offset
        return data

    def events(self):
        return [json.loads(record.payload) for record in self.records()]

    def dead_letters(self):
        return [json.loads(record.payload) for record in self.records("dead_letters")]

    def balance(self):
        figures = self.collector.figures()
        dropped, dead = sum(figures["dropped"].values()), sum(figures["dead"].values())
        assert figures["received"] == figures["accepted"] + dropped + dead
        assert figures["accepted"] == self.log.end_offset("app_events", 0)
        assert dead == self.log.end_offset("dead_letters", 0)
        return figures["accepted"], figures["dropped"], figures["dead"]


def wait_for(condition, seconds=20):
    deadline = monotonic_s() + seconds
    while not condition():
        assert monotonic_s() < deadline, "waited in vain"
        threading.Event().wait(0.005)


@contextmanager
def serving(log, **options):
    served = Served(log, **options)
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture
def served():
    with serving(MemoryLog()) as served:
        yield served


def event(**fields):
    return json.dumps({"event": "buy", "properties": {"price": 1}, **fields})


def test_the_segment_client_arrives_once_with_equal_content(served):
    errors = []
    client = segment.Client(
        KEY, host=served.url, gzip=True, on_error=lambda error, batch: errors.append(error), max_queue_size=5000
    )
    sent = {}
    properties = {"price": 12, "title": 'é 🎬 "quoted" \\ \n', "nested": {"a": [1, 2.5, None, {"b": True}]}, "big": 2**62}
    for number in range(200):
        user, context = (
            f"user-{number % 17}",
            {"locale": "de-DE", "device": {"id": f"d{number}", "type": "ios"}, "userAgent": "UA"},
        )
        for kind, arguments in [
            ("track", {"event": "buy", "properties": {**properties, "number": number}}),
            ("identify", {"traits": {"email": f"{number}@example.com"}}),
            ("page", {"name": "Home", "category": "Main", "properties": {"url": "/"}}),
            ("screen", {"name": "Feed", "properties": {}}),
            ("group", {"group_id": "g1", "traits": {"employees": 5}}),
        ]:
            ok, body = getattr(client, kind)(user_id=user, context=dict(context), **arguments)
            assert ok
            sent[body["messageId"]] = body
        ok, body = client.alias(previous_id=f"anon-{number}", user_id=user)
        sent[body["messageId"]] = body
    client.flush()
    client.shutdown()
    assert not errors
    events = served.events()
    assert len(sent) == 1200
    assert sorted(event["event_id"] for event in events) == sorted(sent)
    for found in events:
        check_segment_event(found, sent[found["event_id"]])
    assert {record.key for record in served.records()} == {f"d{n}" for n in range(200)} | {f"user-{n}" for n in range(17)}
    assert served.balance() == (1200, {}, {})
    rows = {row["event"]: row for row in served.collector.figures()["events"]}
    assert {name: row["accepted"] for name, row in rows.items()} == dict.fromkeys(
        ("buy", "identify", "page", "screen", "group", "alias"), 200
    )
    assert rows["buy"]["flagged"] == 0
    assert rows["page"]["flagged"] == 200


def check_segment_event(found, sent):
    kind = sent["type"]
    expected = {
        "track": sent.get("properties"),
        "identify": sent.get("traits"),
        "page": {**sent.get("properties", {}), "name": "Home", "category": "Main"},
        "screen": {"name": "Feed"},
        "group": {**sent.get("traits", {}), "group_id": "g1"},
        "alias": {"previous_id": sent.get("previousId")},
    }[kind]
    assert found["properties"] == expected
    assert found["event"] == ("buy" if kind == "track" else kind)
    assert (found["app"], found["user_id"]) == ("shop", sent["userId"])
    assert found["integrations"] == {}
    context = dict(sent["context"])
    if "userAgent" in context:
        context["user_agent"] = context.pop("userAgent")
    assert found["context"] == context
    # The clock is the same one here: what was corrected is the way from the client's thread to us.
    assert 0 <= found["received_time"] - found["event_time"] < 60_000
    assert found["hw"]["plan"] == 7
    assert found["hw"]["flags" if kind != "track" else "tier"] == (["unregistered_event"] if kind != "track" else 1)


def test_single_calls_and_keys_in_every_place(served):
    body = {"event": "buy", "userId": "u", "properties": {"price": 1}}
    assert served.post("/v1/track", json.dumps({**body, "writeKey": KEY}), key=None).json() == {"success": True}
    assert served.post("/v1/track", json.dumps(body)).json() == {"success": True}
    assert (
        served.post("/v1/batch", json.dumps({"writeKey": KEY, "batch": [{**body, "type": "track"}]}), key=None).status_code == 200
    )
    assert served.post("/v1/identify", '{"userId":"u","traits":{"a":1}}').status_code == 200
    for headers in ({"Headwater-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        answer = served.post("/v1/events", event(), key=None, **headers)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert answer.headers["Headwater-Config"] == f"7-{served.snapshot.hash[:12]}"
    assert KEY not in json.dumps(served.events())
    assert [found["event"] for found in served.events()] == ["buy", "buy", "buy", "identify", "buy", "buy"]


def test_a_wrong_key_is_counted_and_never_stored(served):
    for path, key in [("/v1/batch", "wrong"), ("/v1/events", "wrong"), ("/v1/track", None), ("/v1/events", None)]:
        answer = served.post(path, event(), key=key)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "wrong_key"
        assert ("success" in answer.json()) == (path != "/v1/events")
    assert served.post("/v1/events", event(), key=None, Authorization="Basic %%%").status_code == 401
    assert served.post("/v1/track", '{"writeKey":"nope"}', key=None).status_code == 401
    assert served.balance() == (0, {"wrong_key": 6}, {})


def test_verdicts_say_what_is_wrong(served):
    lines = [
        event(event_id="e1"),
        '{"event":"buy","event_id":"e2","properties":{"price":"x"}}',
        '{"event":"buy","event_id":"e3","properties":{}}',
        '{"event":"rent","event_id":"e4"}',
        '{"event_id":"e5"}',
        "{nope",
    ]
    answer = served.post("/v1/events", "\n".join(lines)).json()
    assert (answer["accepted"], answer["dropped"], answer["dead"]) == (4, 0, 2)
    found = [(verdict.get("event_id"), verdict.get("violations"), verdict.get("reason")) for verdict in answer["events"]]
    assert found == [
        ("e1", None, None),
        ("e2", ["type:properties.price"], None),
        ("e3", ["missing:properties.price"], None),
        ("e4", ["unregistered_event"], None),
        (None, None, "event_missing"),
        (None, None, "unexpected_byte"),
    ]
    refused = served.post("/v1/events", '[{"event":"rent"},' + event() + "]", key=STRICT_KEY).json()
    assert [verdict.get("reason") for verdict in refused["events"]] == ["unregistered_event", None]
    letters = served.dead_letters()
    assert [letter["reason"] for letter in letters] == ["event_missing", "unexpected_byte", "unregistered_event"]
    assert letters[2] | {"received_time": 0, "detail": ""} == {
        "reason": "unregistered_event", "hop": "collect", "app": "strict", "event": "rent", "detail": "", "received_time": 0,
        "raw": '{"event":"rent"}',
    }  # fmt: skip
    assert letters[1]["raw"] == "{nope"
    served.balance()


DEEP = '{"a":' * 1000 + "1" + "}" * 1000


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b'{"event":"buy","properties":{"price":NaN}}', "unexpected_byte"),
        (b'{"event":"buy","properties":{"price":1}', "unexpected_byte"),
        (b'{"event":"buy","a":"\xff\xfe"}', "invalid_utf8"),
        (b'{"event":"buy","a":"\x00"}', "control_character"),
        (b'\x00{"event":"buy"}', "unexpected_byte"),
        (b'{"event":"buy","a":"\\x"}', "invalid_escape"),
        (b'{"event":"buy","a":01}', "invalid_number"),
        (b"[]", "not_an_object"),
        (b'{"event":"b\\ud800"}', "event_not_text"),
        (b'{"event":"%s"}' % (b"x" * 513), "id_too_long"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_event_costs_its_neighbours_nothing(served, item, reason, packed):
    for path, body in [
        ("/v1/events", b"[" + event().encode() + b",\n" + item + b"," + event().encode() + b"]"),
        ("/v1/events", event().encode() + b"\n" + item + b"\n" + event().encode()),
    ]:
        headers = {"Content-Encoding": "gzip"} if packed else {}
        answer = served.post(path, gzip.compress(body) if packed else body, **headers).json()
        assert (answer["accepted"], answer["dead"]) == (2, 1), answer
        # As a line of its own, what lacks a bracket ends too early; in a list something stands behind it.
        expected = {reason, "unexpected_end"} if item.endswith(b"1}") else {reason}
        assert answer["events"][1]["reason"] in expected
        assert served.dead_letters()[-1]["reason"] in expected
    track = event(type="track", userId="u").encode()
    answer = served.post("/v1/batch", b'{"batch":[' + track + b"," + item + b"," + track + b'],"sentAt":"2026-01-01T00:00:00Z"}')
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert served.balance()[0] == 6


def test_odd_but_valid_json_is_taken(served):
    odd = [
        '{"event":"buy","event":"rent","properties":{"price":1,"pri\\u0063e":2}}',
        '{"\\u0065vent":"b\\u0075y","properties":{"price":1,"deep":' + DEEP + "}}",
        event(properties={"price": 1, "nul": "a\0b"}),
        '{"event":"buy","properties":{"price":1,"lone":"\\ud800"}}',
    ]
    answer = served.post("/v1/events", "\n".join(odd)).json()
    assert [verdict["verdict"] for verdict in answer["events"]] == ["accepted"] * 4
    payloads = [record.payload for record in served.records()]
    assert json.loads(payloads[0])["event"] == "rent"
    assert payloads[0].count(b"price") == 0
    assert b'"pri\\u0063e":2' in payloads[0]
    assert DEEP.encode() in payloads[1]
    assert json.loads(payloads[2])["properties"]["nul"] == "a\0b"
    assert b'"lone":"\\ud800"' in payloads[3]


def test_what_a_client_says_of_itself_is_not_believed(served):
    said = event(event_id="e", app="other", received_time=1, hw={"tier": 0, "flags": ["x"]}, hw_note=1)
    assert served.post("/v1/events", said).json()["events"][0]["violations"] == [
        "ignored:app",
        "ignored:received_time",
        "ignored:hw",
    ]
    (found,) = served.events()
    assert found["app"] == "shop"
    assert found["received_time"] > 1_600_000_000_000
    assert found["hw"] == {
        "tier": 1,
        "plan": 7,
        "sample_rate": 1,
        "flags": ["ignored:app", "ignored:received_time", "ignored:hw"],
    }
    assert found["hw_note"] == 1


def test_bodies_that_are_refused_whole(served):
    good = event()
    packed = {"Content-Encoding": "gzip"}
    for path in ("/v1/events", "/v1/batch"):
        for body, headers, status, code in [
            (b"", {}, 400, "empty_body"),
            (b"{", {}, 400, "malformed"),
            (b"\xff", {}, 400, "malformed"),
            (b"7", {}, 400, "malformed"),
            (b"x" * (10 << 20), {}, 413, "body_too_large"),
            (gzip.compress(bytes(100 << 20)), packed, 413, "body_too_large"),
            (gzip.compress(good.encode())[:-9], packed, 400, "invalid_gzip"),
            (good.encode(), packed, 400, "invalid_gzip"),
            (good.encode(), {"Content-Encoding": "br"}, 415, "unsupported_encoding"),
        ]:
            answer = served.post(path, body, **headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (path, body[:50])
    accepted, dropped, dead = served.balance()
    assert (accepted, dead) == (0, {"unexpected_end": 2, "invalid_utf8": 2, "not_an_object": 2, "invalid_gzip": 4})
    assert dropped == {"empty_body": 2, "body_too_large": 4, "unsupported_encoding": 2}
    assert served.post("/v1/events", good).json()["accepted"] == 1


def test_a_line_of_10_mb_is_dropped_and_its_neighbours_go_on(served):
    body = gzip.compress(f"{event()}\n{event(a='x' * (10 << 20))}\n{event()}".encode())
    answer = served.post("/v1/events", body, **{"Content-Encoding": "gzip"}).json()
    assert (answer["accepted"], answer["dropped"], answer["events"][1]) == (2, 1, {"verdict": "dropped", "reason": "oversize"})
    assert served.balance() == (2, {"oversize": 1}, {})


def test_a_chunked_body_is_bounded(served):
    answer = served.post("/v1/events", iter([event().encode(), b"\n", event().encode()]))
    assert answer.json()["accepted"] == 2
    answer = served.post("/v1/events", (b" " * (1 << 20) for _ in range(8)))
    assert answer.status_code == 413


def test_curl_is_told_before_it_sends(served):
    with socket.create_connection(("127.0.0.1", served.port), 10) as connection:
        head = (
            "POST /v1/events HTTP/1.1\r\nHost: x\r\nHeadwater-Key: %s\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall((head % KEY).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_other_paths_and_methods(served):
    assert requests.get(served.url + "/health", timeout=10).json() == {
        "status": "ok",
        "snapshot": f"7-{served.snapshot.hash[:12]}",
    }
    assert requests.get(served.url + "/v1/other", timeout=10).json()["error"]["code"] == "not_found"
    answer = requests.get(served.url + "/v1/batch", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    preflight = requests.options(served.url + "/v1/batch", headers={"Origin": "https://shop.example"}, timeout=10)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]


def test_a_browser_brings_its_address(served):
    for headers in ({}, {"Origin": "https://shop.example", "User-Agent": "Browser/1"}):
        served.post("/v1/events", event(), **headers)
    server_side, browser = served.events()
    assert "context" not in server_side
    assert browser["context"] == {"ip": "127.0.0.1", "user_agent": "Browser/1"}


def test_a_silent_connection_blocks_nobody(served):
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    halves = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    for half in halves:
        half.sendall(f"POST /v1/events HTTP/1.1\r\nHost: x\r\nHeadwater-Key: {KEY}\r\nContent-Length: 100\r\n\r\n{{".encode())
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: served.post("/v1/events", event()).status_code, range(40)))
        assert answers == [200] * 40
    finally:
        for connection in silent + halves:
            connection.close()
    wait_for(lambda: served.collector.figures()["refused"].get("disconnected") == 50)
    assert served.balance() == (40, {}, {})


@pytest.mark.parametrize("start", [b"", b"POST /v1/ev", b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-", "answered"])
def test_a_connection_that_makes_no_request_is_closed(served, monkeypatch, start):
    monkeypatch.setattr(connection, "REQUEST_READ_S_MAX", 0.2)
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        if start == "answered":
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            start = b"GET"
        client.sendall(start)
        answer = b""
        while part := client.recv(1000):
            answer += part
    assert answer.count(b"HTTP/1.1") == (1 if start == b"GET" else 0)


def test_a_head_without_end_is_cut_off(served):
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(OSError):
            client.sendall(b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(20_000)))
    body = event(note="x" * 500_000)
    assert served.post("/v1/events", body).json()["accepted"] == 1


def test_a_body_before_the_next_head_is_no_part_of_it(served, monkeypatch):
    monkeypatch.setattr(connection, "REQUEST_HEAD_BYTES_MAX", 1000)
    body = b'{"event":"buy","properties":{"text":"' + b"x" * 10_000 + b'"}}'
    basic = base64.b64encode(f"{KEY}:".encode())
    request = b"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Basic " + basic
    first = request + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(first)
        client.sendall(body + first[:60])
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(first[60:] + body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_snapshot_changes_between_two_requests(served):
    with requests.Session() as session:
        session.auth = (KEY, "")
        first = session.post(served.url + "/v1/events", event(event="rent"), timeout=10)
        kinds = (*DRAFT.event_types, EventType("shop", "rent", 1, "team", "P2"))
        served.snapshot = numbered(Draft(project="test", source="app_events", apps=DRAFT.apps, event_types=kinds), 8, 0)
        second = session.post(served.url + "/v1/events", event(event="rent"), timeout=10)
    assert first.headers["Headwater-Config"].startswith("7-")
    assert second.headers["Headwater-Config"].startswith("8-")
    assert [found["hw"].get("flags") for found in served.events()] == [["unregistered_event"], None]
    assert [record.snapshot for record in served.records()] == [7, 8]
    assert [record.tier for record in served.records()] == [3, 2]


def test_many_at_once(served):
    def send(number):
        lines = "\n".join(event(event_id=f"{number}-{line}") for line in range(20))
        return served.post("/v1/events", lines).json()["accepted"]

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(send, range(100))) == 2000
    assert len({found["event_id"] for found in served.events()}) == 2000
    assert served.balance()[0] == 2000


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_other_http_implementations_serve_as_well(http):
    with serving(MemoryLog(), http=http) as served:
        assert served.post("/v1/events", event()).json()["accepted"] == 1
        assert served.post("/v1/events", b"x" * (10 << 20)).status_code == 413
        assert served.post("/v1/events", event(), key="wrong").status_code == 401


def test_ready_says_whether_events_would_be_taken(served, monkeypatch):
    def ready():
        answer = requests.get(served.url + "/ready", timeout=30)
        return answer.status_code, answer.json()["status"]

    assert ready() == (200, "ok")
    writer = served.collector._appender._writer
    append, refuses = writer.append, [True]

    def refuse(group):
        if refuses:
            raise LogUnavailable("no space")
        return append(group)

    monkeypatch.setattr(writer, "append", refuse)
    assert served.post("/v1/events", b'{"event":"buy"}').status_code == 503
    assert ready() == (503, "log_unavailable")
    refuses.clear()
    # Nobody sends events to a collector that is not ready: it finds out by itself.
    assert ready() == (200, "ok")
    served.collector.drain()
    assert ready() == (503, "draining")
    assert requests.get(served.url + "/health", timeout=30).status_code == 503


def test_an_app_brings_no_more_than_its_plan_says(served):
    events = b'{"event":"buy"}\n' * 60
    assert served.post("/v1/events", events, SMALL_KEY).status_code == 200
    refused = served.post("/v1/events", events, SMALL_KEY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 5
    assert served.post("/v1/track", b'{"event":"buy","writeKey":"wk_small"}', None).status_code == 429
    assert served.post("/v1/events", events).status_code == 200
    wait_for(lambda: served.post("/v1/events", b'{"event":"buy"}', SMALL_KEY).status_code == 200)
    figures = served.collector.figures()
    assert figures["accepted"] == len(served.records()) == 121
    assert figures["refused"]["rate_limited"] >= 2


def test_a_page_of_another_origin_may_not_report(served):
    event = b'{"event":"buy"}'
    refused = served.post("/v1/events", event, SMALL_KEY, Origin="https://other.example")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert served.post("/v1/events", event, SMALL_KEY, Origin="https://shop.example").status_code == 200
    assert served.post("/v1/events", event, SMALL_KEY).status_code == 200, "a server has no origin"
    assert served.post("/v1/events", event, KEY, Origin="https://other.example").status_code == 200


def test_draining_lets_those_in_flight_finish(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    body = event().encode()
    connection.putrequest("POST", "/v1/events")
    connection.putheader("Headwater-Key", KEY)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:10])
    wait_for(lambda: served.collector._in_flight == 1)
    served.collector.drain()
    refused = served.post("/v1/events", body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    connection.send(body[10:])
    assert connection.getresponse().status == 200
    connection.close()
    assert served.balance()[0] == 1


def test_the_loop_of_the_server_is_not_ours_alone():
    # An ASGI app is made before its loop is there.
    collector = Collector(MemoryLog(), lambda: numbered(DRAFT, 7, 0))
    sent = []

    async def call():
        async def receive():
            return {"type": "http.request", "body": event().encode()}

        async def send(part):
            sent.append(part)

        headers = [(b"headwater-key", KEY.encode())]
        await collector.app({"type": "http", "method": "POST", "path": "/v1/events", "headers": headers}, receive, send)

    asyncio.run(call())
    assert sent[0]["status"] == 200
    collector.close()
