"""RudderStack's SDKs, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, Served, browser, node, python


def _check(events: list[dict[str, Any]], users: int = 7) -> None:
    tracked = [event for event in events if event["event"] == "Order Done"]
    others = {event["event"]: event for event in events if event["event"] != "Order Done"}
    assert len(tracked) == EVENTS - len(others)
    for number, event in enumerate(sorted(tracked, key=lambda event: event["properties"]["number"])):
        expected = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
        assert event["properties"] == expected
        assert event["user_id"] == (f"user{number % users}" if users > 1 else "user1")
    assert others["identify"]["properties"] == {"email": "a@example.com"}
    assert others["group"]["properties"] == {"name": "Initech", "group_id": "company1"}
    assert others["page"]["properties"].items() >= {"name": "Home", "category": "Docs"}.items()
    assert (others["alias"]["user_id"], others["alias"]["properties"]["previous_id"]) == ("user1", "anonymous1")
    assert all("sent_time" in event for event in events)


@pytest.mark.parametrize("gzip", ["0", "1"])
def test_python(served: Served, gzip: str) -> None:
    python("rudder_python.py", served, "rudder", GZIP=gzip)
    events = served.arrived(EVENTS)
    _check(events)
    assert {(event["platform"], event["context"]["library"]["name"]) for event in events} == {("server", "analytics-python")}


@pytest.mark.parametrize("gzip", ["0", "1"])
def test_node(served: Served, gzip: str) -> None:
    node("rudder_node.js", served, GZIP=gzip)
    events = served.arrived(EVENTS)
    _check(events)
    assert {(event["platform"], event["context"]["library"]["name"]) for event in events} == {("server", "analytics-node")}


@pytest.mark.parametrize("way", ["single", "batch", "beacon"])
def test_browser(served: Served, way: str) -> None:
    browser("rudder_browser.js", served, "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js", WAY=way)
    events = served.arrived(EVENTS)
    _check(events, users=1)
    path = {"single": "/v1/track", "batch": "/v1/batch", "beacon": "/beacon/v1/batch"}[way]
    assert served.paths["/sourceConfig/"]
    assert served.paths[path]
    assert {event["platform"] for event in events} == {"web"}
    assert len({(event["device_id"], event["session_id"]) for event in events}) == 1
    assert {event["context"]["page"]["title"] for event in events} == {"Shop"}
    assert {event["context"]["ip"] for event in events} == {"127.0.0.1"}


def test_a_wrong_key_is_not_tried_again(served: Served) -> None:
    with pytest.raises(AssertionError, match=r"401|no app has this write key"):
        python("rudder_python.py", served, "rudder", GZIP="1", KEY="wrong", COUNT="6")
    assert served.paths["/v1/batch"] == served.collector.figures()["dropped"]["wrong_key"] <= 6
