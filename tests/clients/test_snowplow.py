"""Snowplow's trackers, unmodified. The app id is the write key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, Served, browser, node, python

UMD = "@snowplow/browser-tracker/dist/index.umd.js"


def _done(events: list[dict[str, Any]], others: set[str]) -> list[dict[str, Any]]:
    """The self-describing events in order, checked."""
    done = sorted((event for event in events if event["event"] == "order_done"), key=lambda event: event["properties"]["number"])
    assert len(done) == EVENTS - len(others)
    assert {event["event"] for event in events if event["event"] != "order_done"} == others
    for number, event in enumerate(done):
        assert event["properties"] == {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
        assert event["context"]["schema"] == "iglu:com.acme/order_done/jsonschema/1-0-2"
        carts = [held["data"] for held in event["context"]["contexts"] if held["schema"] == "iglu:com.acme/cart/jsonschema/1-0-0"]
        assert carts == [{"size": number}]
    structured = next(event for event in events if event["event"] == "struct")
    properties = {"category": "shop", "action": "buy", "label": "label", "property": "property", "value": "9.5"}
    assert structured["properties"] == properties
    return done


def _check_server(events: list[dict[str, Any]], tracker: str) -> None:
    done = _done(events, {"page_view", "page_ping", "struct"})
    for number, event in enumerate(done):
        assert (event["user_id"], event["event_time"]) == (f"user{number % 7}", 1_700_000_000_000 + number)
    others = {event["event"]: event for event in events if event["event"] != "order_done"}
    assert others["page_view"]["context"]["page"] == {
        "url": "http://shop.example/home",
        "title": "Home",
        "referrer": "http://search.example/",
    }
    ping = {"xoffset_min": "1", "xoffset_max": "10", "yoffset_min": "5", "yoffset_max": "200"}
    assert others["page_ping"]["properties"] == ping
    assert {event["context"]["tracker_version"] for event in events} == {tracker}
    assert {event["context"]["tracker_namespace"] for event in events} == {"ns1"}


@pytest.mark.parametrize(("method", "base64"), [("post", "1"), ("post", "0"), ("get", "1"), ("get", "0")])
def test_python(served: Served, method: str, base64: str) -> None:
    python("snowplow_python.py", served, METHOD=method, BASE64=base64)
    _check_server(served.arrived(EVENTS), "py-1.1.0")


@pytest.mark.parametrize(("method", "base64"), [("post", "1"), ("post", "0"), ("get", "1")])
def test_node(served: Served, method: str, base64: str) -> None:
    node("snowplow_node.js", served, METHOD=method, BASE64=base64)
    _check_server(served.arrived(EVENTS), "node-4.8.0")


@pytest.mark.parametrize("method", ["post", "get"])
def test_browser(served: Served, method: str) -> None:
    browser("snowplow_browser.js", served, UMD, METHOD=method)
    events = served.arrived(EVENTS)
    _done(events, {"page_view", "struct"})
    assert {event["user_id"] for event in events} == {"user1"}
    assert len({event["device_id"] for event in events}) == len({event["session_id"] for event in events}) == 1
    assert {event["platform"] for event in events} == {"web"}
    assert {event["context"]["ip"] for event in events} == {"127.0.0.1"}


def test_browser_anonymously(served: Served) -> None:
    browser("snowplow_browser.js", served, UMD, METHOD="post", ANONYMOUS="1")
    events = served.arrived(EVENTS)
    _done(events, {"page_view", "struct"})
    for event in events:
        assert not {"user_id", "device_id", "session_id"} & set(event)
        assert not {"ip", "user_agent", "network_userid"} & set(event["context"])
