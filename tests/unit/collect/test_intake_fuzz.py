"""No body breaks the intake: counts balance, every record is strict JSON, and nothing but one's own item is lost."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.core.limits import EVENT_BYTES_MAX

WAYS = [("headwater", "events"), ("headwater", "one"), ("segment", "envelope"), ("segment", "one")]

PIECES = [b"", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"\xff", b"\x00", b"NaN"]

texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.sampled_from(["event", "type", "properties", "context", "price", "userId", "event_id", "messageId", "hw", "app", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=6),
    max_leaves=20,
)
items = st.fixed_dictionaries(
    {"event": st.sampled_from(["buy", "rent"]), "type": st.sampled_from(["track", "page", "alias"])},
    optional={
        "properties": st.dictionaries(names | texts, values, max_size=5) | values,
        "context": st.dictionaries(st.sampled_from(["userAgent", "app", "device", "network", "x"]), values, max_size=4) | values,
        "userId": values,
        "user_id": values,
        "anonymousId": values,
        "event_id": values,
        "messageId": values,
        "timestamp": values,
        "event_time": values,
        "sentAt": values,
        "hw": values,
        "x": values,
    },
)


def strict(number):
    raise ValueError(f"{number} is no JSON")


def check(run, body):
    for protocol, shape in WAYS:
        for app in ("shop", "strict"):
            done = run(body, protocol, shape, app=app)
            result = done.result
            assert (len(done.records), len(done.letters)) == (result.accepted, result.dead)
            assert len(done.verdicts) == result.accepted + result.dead + result.dropped
            for record in done.records:
                assert b"\n" not in record.payload
                event = json.loads(record.payload, parse_constant=strict)
                assert (event["app"], event["received_time"], event["hw"]["plan"]) == (app, 1_000_000, 7)
                assert (event["event_id"], event["event_time"]) == (record.event_id, record.event_time)
                assert len(record.payload) <= EVENT_BYTES_MAX
    return run(body)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
@example(b"[[[[{,")
@example(b'{"batch":[')
@example(b'{"batch":[{"a":1,{"b"')
@example(b'"\\')
@example(b'{"')
@example(b'{"\xff":1}')
def test_any_bytes(run, body):
    check(run, body)


@settings(deadline=None, max_examples=100)
@given(st.lists(items, max_size=4), st.data())
def test_mutated_bodies(run, events, data):
    wrapped = {"batch": events, "sentAt": "2026-01-01T00:00:00Z", "context": {"a": 1}}
    body = bytearray(json.dumps(data.draw(st.sampled_from([events, wrapped])), ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        cut = data.draw(st.integers(0, 3))
        body[at : at + cut] = data.draw(
            st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"\xff", b"\x00", b"NaN"])
        )
    check(run, bytes(body))


@settings(deadline=None, max_examples=100)
@given(st.lists(items, min_size=1, max_size=4), st.booleans())
def test_valid_bodies_lose_nothing(run, events, lines):
    text = "\n".join(map(json.dumps, events)) if lines else json.dumps(events, indent=1)
    done = run(text.encode())
    assert not done.letters
    for sent, found in zip(events, done.events, strict=True):
        for key in ("properties", "context", "user_id"):
            if sent.get(key) not in (None, "") and not isinstance(sent[key], (int, float)):
                assert found[key] == sent[key]
        for key in ("x", "type", "timestamp", "messageId", "userId", "anonymousId"):
            assert (key in found) == (key in sent)
            assert found.get(key) == sent.get(key)


@settings(deadline=None, max_examples=20)
@given(st.lists(items, min_size=1, max_size=3), st.integers(0, 2))
@pytest.mark.parametrize("bad", [b'{"a":NaN}', b'{"a":"\\q"}', b'{"a":"\xff"}', b"nul", b'{"a":[1}', b'{"a":1', b'{"a":\x01}'])
def test_neighbours_of_a_bad_item_are_unharmed(run, bad, events, at):
    parts = [json.dumps(event).encode() for event in events]
    alone = run(b"[" + b",".join(parts) + b"]").events
    parts.insert(min(at, len(parts)), bad)
    done = run(b"[" + b", ".join(parts) + b"]")
    for event in alone + done.events:
        del event["event_id"]
    assert done.events == alone
    assert len(done.letters) == 1
    assert done.letters[0]["reason"] in (
        "unexpected_byte",
        "unexpected_end",
        "invalid_escape",
        "invalid_utf8",
        "control_character",
    )
