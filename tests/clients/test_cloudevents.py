"""The CloudEvents SDK, unmodified."""

from __future__ import annotations

import pytest

from tests.clients.harness import EVENTS, Served, python

START = 1_767_312_000_000


@pytest.mark.parametrize("mode", ["binary", "structured", "batch", "old-binary", "old-structured"])
def test_python(served: Served, mode: str) -> None:
    python("cloudevents_python.py", served, MODE=mode)
    events = sorted(served.arrived(EVENTS), key=lambda event: event["properties"]["number"])
    for number, event in enumerate(events):
        assert event["properties"] == {"number": number, "text": f"für {number} €", "nested": {"list": [number, None, 0.5]}}
        assert (event["event"], event["event_time"]) == ("com.acme.order_done", START + number)
        assert event["event_id"] == f"/shop/{number % 2}#{number // 2}"
        context = event["context"]
        assert (context["source"], context["ext1"]) == (f"/shop/{number % 2}", f"e{number}")
        assert context["subject"] == ("plain" if mode.startswith("old") else "ü 1%")
