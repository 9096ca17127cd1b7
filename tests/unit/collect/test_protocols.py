"""What each protocol makes of a request: tests/cases/protocols/<protocol>.yaml."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import yaml

from headwater.collect import routes
from headwater.collect.body import BodyError
from headwater.collect.protocols import PROTOCOLS
from headwater.collect.protocols.interface import Endpoint, Incoming
from headwater.kernel import body_text

CASES = Path(__file__).parents[2] / "cases" / "protocols"
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}


def cases():
    for protocol in PROTOCOLS:
        for number, case in enumerate(yaml.safe_load((CASES / f"{protocol.name}.yaml").read_text())):
            yield pytest.param(protocol, case, id=f"{protocol.name}-{number}-{case['name']}")


def incoming(case):
    path, _, query = case["path"].partition("?")
    headers = {name.lower().encode(): str(text).encode() for name, text in case.get("headers", {}).items()}
    body = base64.b64decode(case["body_base64"]) if "body_base64" in case else case.get("body", "").encode()
    route = routes.find(path)
    return route, Incoming(case.get("method", "POST"), path, dict(parse_qsl(query)), headers, route.names, body)


@pytest.mark.parametrize(("protocol", "case"), list(cases()))
def test_case(run, protocol, case):
    route, request = incoming(case)
    assert request.method in route.target.methods
    if "malformed" in case:
        with pytest.raises(BodyError) as caught:
            route.protocol.unwrap(request, route.target)
        assert caught.value.reason == case["malformed"]
        return
    unwrapped = route.protocol.unwrap(request, route.target)
    assert BY_NAME.get(unwrapped.protocol, route.protocol) is protocol
    if "key" in case:
        in_body = body_text(unwrapped.content, protocol.key_paths, protocol.mapping.list)
        assert (in_body if unwrapped.key is None else unwrapped.key) == case["key"]
    options = {
        "ip": "192.0.2.7" if unwrapped.address else "",
        "user_agent": "Browser/1",
        "client_side": case.get("browser", unwrapped.direct),
    }
    done = run(unwrapped.content, protocol.name, unwrapped.shape, unwrapped.variant, received_time=1_760_000_000_000, **options)
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
    answer = protocol.accept(done.result, request)
    for name, value in case.get("answer", {}).items():
        text = getattr(answer, name)
        assert (text.decode() if isinstance(text, bytes) else text) == value


def test_every_endpoint_has_a_case():
    covered = {routes.find(case.values[1]["path"].partition("?")[0]).target for case in cases()}
    assert covered == {target for _, target in routes.TARGETS.values() if isinstance(target, Endpoint)}
