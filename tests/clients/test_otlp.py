"""OpenTelemetry's Python SDK and its exporter of logs, unmodified."""

from __future__ import annotations

import pytest

from tests.clients.harness import EVENTS, Served, python


@pytest.mark.parametrize("gzip", ["0", "1"])
def test_python(served: Served, gzip: str) -> None:
    python("otlp_python.py", served, GZIP=gzip)
    events = served.arrived(EVENTS)
    done = sorted((event for event in events if event["event"] == "order.done"), key=lambda event: event["event_time"])
    assert len(done) == EVENTS - 1
    for number, event in enumerate(done):
        properties = event["properties"]
        assert properties.pop("body") == {"text": f"für {number} €", "list": [number, 0.5, True], "raw": "/wA="}
        user = f"user{number % 7}"
        assert properties == {"user.id": user, "session.id": "s1", "number": number, "big": 2**62, "ratio": 0.25}
        assert (event["event_time"], event["user_id"], event["session_id"]) == (1_700_000_000_000 + number, user, "s1")
        assert (event["context"]["severity_number"], event["context"]["severity_text"]) == (9, "INFO")
    plain = next(event for event in events if event["event"] == "log")
    assert plain["properties"] == {"body": "plain"}
    for event in events:
        assert (event["context"]["service.name"], event["context"]["app_version"]) == ("shop", "1.2")
        assert event["context"]["scope"] == {"name": "lib", "version": "1.0", "attributes": {"kind": "test"}}
