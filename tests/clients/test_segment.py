"""Segment's SDKs, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.harness import EVENTS, Served, python


def _check(events: list[dict[str, Any]]) -> None:
    tracked = [event for event in events if event["event"] == "Order Done"]
    assert len(tracked) == EVENTS - 5
    for number, event in enumerate(sorted(tracked, key=lambda event: event["properties"]["number"])):
        expected = {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
        assert (event["properties"], event["user_id"]) == (expected, f"user{number % 7}")
    others = {event["event"]: event for event in events if event["event"] != "Order Done"}
    assert set(others) == {"identify", "page", "screen", "group", "alias"}
    assert others["identify"]["properties"] == {"email": "a@example.com"}
    assert others["group"]["properties"] == {"name": "Initech", "group_id": "company1"}
    assert others["alias"]["properties"]["previous_id"] == "anonymous1"


@pytest.mark.parametrize("gzip", ["0", "1"])
def test_python(served: Served, gzip: str) -> None:
    python("segment_python.py", served, GZIP=gzip)
    events = served.arrived(EVENTS)
    _check(events)
    assert {event["context"]["library"]["name"] for event in events} == {"analytics-python"}
