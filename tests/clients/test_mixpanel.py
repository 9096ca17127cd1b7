"""Mixpanel's SDKs, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, KEY, Served, browser, node, python


def _check(events: list[dict[str, Any]], count: int, text: str) -> dict[str, dict[str, Any]]:
    """Compares the orders; the other events by name."""
    orders = sorted(
        (event for event in events if event["event"] == "Order Done"), key=lambda event: event["properties"]["number"]
    )
    assert [event["properties"]["number"] for event in orders] == list(range(count))
    for number, event in enumerate(orders):
        properties = event["properties"]
        assert (properties["text"], properties["nested"]) == (text % number, {"list": [number, None, 0.5]})
        assert abs(event["event_time"] - event["received_time"]) < 60_000
    assert KEY not in repr(events)
    others = {event["event"]: event for event in events if event["event"] != "Order Done"}
    (profile,) = (event for event in events if event["event"] == "profile_update" and "$set" in event["properties"])
    assert (profile["user_id"], profile["properties"]["$set"]) == (
        "user1",
        profile["properties"]["$set"] | {"$email": "a@example.com"},
    )
    group = others["group_update"]["properties"]
    assert (group["$group_key"], group["$group_id"], group["$set"]) == ("company", "company1", {"name": "Initech"})
    return others


@pytest.mark.parametrize("buffered", ["0", "1"])
def test_python(served: Served, buffered: str) -> None:
    python("mixpanel_python.py", served, BUFFERED=buffered)
    events = served.arrived(EVENTS)
    others = _check(events, EVENTS - 3, "für %d €&+")
    assert (others["Imported"]["event_time"], others["Imported"]["user_id"]) == (1_700_000_000_000, "user1")
    assert all(
        event["user_id"] == f"user{event['properties']['number'] % 7}" for event in events if event["event"] == "Order Done"
    )


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_node(served: Served, verbose: str) -> None:
    node("mixpanel_node.cjs", served, VERBOSE=verbose)
    events = served.arrived(EVENTS)
    others = _check(events, EVENTS - 4, "für %d €&+?>")
    assert {others[name]["event_time"] for name in ("Imported", "Imported Batch")} == {1_700_000_000_000}
    assert {f"id{number}" for number in range(EVENTS - 4)} <= {event["event_id"] for event in events}


@pytest.mark.parametrize(("batches", "format"), [("1", "base64"), ("1", "json"), ("0", "base64")])
def test_browser(served: Served, batches: str, format: str) -> None:
    browser("mixpanel_browser.js", served, "mixpanel-browser/dist/mixpanel.umd.js", BATCHES=batches, FORMAT=format)
    events = served.arrived(EVENTS)
    others = _check(events, EVENTS - 4, "für %d €&+?>")
    assert others["$identify"]["user_id"] == "user1"
    assert len({event["device_id"] for event in events if event["event"] != "group_update"}) == 1
    assert all(event["context"]["ip"] == "127.0.0.1" for event in events)
    assert all("Chrome/140" in event["context"]["user_agent"] for event in events)
    assert all(event["sent_time"] for event in events)
