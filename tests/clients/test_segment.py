"""Segment's SDKs, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, Served, browser, node, python


def _check(events: list[dict[str, Any]], users: int = 7) -> None:
    tracked = [event for event in events if event["event"] == "Order Done"]
    assert len(tracked) == EVENTS - 5
    for number, event in enumerate(sorted(tracked, key=lambda event: event["properties"]["number"])):
        expected = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
        assert event["properties"] == expected
        assert event["user_id"] == (f"user{number % users}" if users > 1 else "user1")
    others = {event["event"]: event for event in events if event["event"] != "Order Done"}
    assert set(others) == {"identify", "page", "screen", "group", "alias"}
    assert others["identify"]["properties"] == {"email": "a@example.com"}
    assert others["group"]["properties"] == {"name": "Initech", "group_id": "company1"}
    assert others["screen"]["properties"].items() >= {"tab": 2, "name": "Feed"}.items()
    assert others["page"]["properties"].items() >= {"name": "Home", "category": "Docs"}.items()
    assert (others["alias"]["user_id"], others["alias"]["properties"]["previous_id"]) == ("user1", "anonymous1")


@pytest.mark.parametrize("gzip", ["0", "1"])
def test_python(served: Served, gzip: str) -> None:
    python("segment_python.py", served, GZIP=gzip)
    events = served.arrived(EVENTS)
    _check(events)
    assert {event["context"]["library"]["name"] for event in events} == {"analytics-python"}


def test_node(served: Served) -> None:
    node("segment_node.js", served)
    events = served.arrived(EVENTS)
    _check(events)
    assert {event["context"]["library"]["name"] for event in events} == {"@segment/analytics-node"}


@pytest.mark.parametrize("strategy", ["standard", "batching"])
def test_browser(served: Served, strategy: str) -> None:
    browser("segment_browser.js", served, "@segment/analytics-next/dist/umd/index.js", STRATEGY=strategy)
    events = served.arrived(EVENTS)
    _check(events, users=1)
    assert served.paths["/v1/t" if strategy == "standard" else "/v1/b"]
    assert {event["context"]["library"]["name"] for event in events} == {"analytics.js"}
    assert len({event["device_id"] for event in events}) == 1
    assert {event["context"]["page"]["title"] for event in events} == {"Shop"}
    assert {event["context"]["ip"] for event in events} == {"127.0.0.1"}


def test_a_wrong_key_is_not_tried_again(served: Served) -> None:
    with pytest.raises(AssertionError, match=r"401|no app has this write key"):
        python("segment_python.py", served, GZIP="1", KEY="wrong", COUNT="6")
    assert served.paths["/v1/batch"] == served.collector.figures()["dropped"]["wrong_key"] <= 6
