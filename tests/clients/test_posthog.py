"""PostHog's SDKs, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, KEY, Served, browser, node, python


def _check(events: list[dict[str, Any]], count: int) -> dict[str, dict[str, Any]]:
    """Compares the orders; the other events by name."""
    orders = sorted(
        (event for event in events if event["event"] == "Order Done"), key=lambda event: event["properties"]["number"]
    )
    assert [event["properties"]["number"] for event in orders] == list(range(count))
    for number, event in enumerate(orders):
        properties = event["properties"]
        assert (properties["text"], properties["nested"]) == (f"für {number} €", {"list": [number, None, 0.5]})
        assert abs(event["event_time"] - event["received_time"]) < 60_000
        assert event["sent_time"]
    assert KEY not in repr(events)
    return {event["event"]: event for event in events if event["event"] != "Order Done"}


def _check_server(served: Served) -> dict[str, dict[str, Any]]:
    events = served.arrived(EVENTS)
    others = _check(events, EVENTS - 3)
    orders = [event for event in events if event["event"] == "Order Done"]
    assert all(event["user_id"] == f"user{event['properties']['number'] % 7}" for event in orders)
    assert {event["session_id"] for event in orders} == {"s1"}
    assert others["$create_alias"]["properties"]["alias"] in ("user1", "anonymous1")
    group = others["$groupidentify"]["properties"]
    assert (group["$group_type"], group["$group_key"], group["$group_set"]) == ("company", "company1", {"name": "Initech"})
    return others


@pytest.mark.parametrize(("mode", "gzip"), [("v0", "0"), ("v0", "1"), ("v1", "0"), ("v1", "1")])
def test_python(served: Served, mode: str, gzip: str) -> None:
    python("posthog_python.py", served, MODE=mode, GZIP=gzip)
    others = _check_server(served)
    assert others["$set"]["properties"]["$set"] == {"email": "a@example.com"}


@pytest.mark.parametrize("plain", ["0", "1"])
def test_node(served: Served, plain: str) -> None:
    node("posthog_node.cjs", served, PLAIN=plain)
    others = _check_server(served)
    assert others["$identify"]["properties"]["$set"] == {"email": "a@example.com"}


@pytest.mark.parametrize("plain", ["0", "1"])
def test_browser(served: Served, plain: str) -> None:
    browser("posthog_browser.js", served, "posthog-js/dist/array.js", PLAIN=plain)
    events = served.arrived(EVENTS)
    others = _check(events, EVENTS - 3)
    assert set(others) == {"$identify", "$groupidentify", "Left"}
    identify = others["$identify"]
    assert (identify["user_id"], identify["properties"]["$set"]) == ("user1", {"email": "a@example.com"})
    assert len({event["device_id"] for event in events}) == 1
    assert len({event["session_id"] for event in events}) == 1
    assert all(event["context"]["ip"] == "127.0.0.1" for event in events)
    assert all("Chrome/140" in event["context"]["user_agent"] for event in events)
    assert all(event["properties"]["$lib"] == "web" for event in events)
