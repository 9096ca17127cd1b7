"""What each protocol makes of an item: tests/cases/protocols/<protocol>.yaml."""

import json
from pathlib import Path

import pytest
import yaml

from headwater.collect.protocols import ENDPOINTS, PROTOCOLS

CASES = Path(__file__).parents[2] / "cases" / "protocols"


def cases():
    for protocol in PROTOCOLS:
        for number, case in enumerate(yaml.safe_load((CASES / f"{protocol.name}.yaml").read_text())):
            yield pytest.param(case, id=f"{protocol.name}-{number}-{case['name']}")


@pytest.mark.parametrize("case", list(cases()))
def test_case(run, case):
    protocol, endpoint = ENDPOINTS[case["path"]]
    options = {"ip": "192.0.2.7", "user_agent": "Browser/1", "client_side": case.get("browser", False)}
    done = run(case["body"].encode(), protocol.name, endpoint.shape, endpoint.variant, received_time=1_760_000_000_000, **options)
    expected = [json.loads(text) for text in case.get("events", [])]
    for event in expected:
        event.setdefault("received_time", 1_760_000_000_000)
        event["app"] = "shop"
        event["hw"] = {"tier": 3, "plan": 7, "sample_rate": 1, **event.get("hw", {})}
    for event in done.events:
        if "0" * 31 in event["event_id"]:
            event["event_id"] = "generated"
    assert done.events == expected
    assert [letter["reason"] for letter in done.letters] == case.get("dead", [])


def test_every_endpoint_has_a_case():
    paths = {case.values[0]["path"] for case in cases()}
    assert paths == set(ENDPOINTS)


def test_paths_are_taken_once():
    assert sum(len(protocol.endpoints) for protocol in PROTOCOLS) == len(ENDPOINTS)
