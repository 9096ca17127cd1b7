"""The workload repeats from its seed and has the shares that its page promises."""

import hashlib
import json

import workload


def digest(lines):
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]


def test_repeats_from_its_seed():
    assert digest(workload.events(1000)) == "abc88a2fd531106e"
    assert digest([workload.rules(1000).encode()]) == "76ade0257695cd1e"
    assert digest(workload.events(200, dirty=True)) == digest(workload.events(200, dirty=True)) != digest(workload.events(200))


def test_shares():
    lines = list(workload.events(5000))
    events = [json.loads(line) for line in lines]

    def share(test):
        return sum(map(test, events)) / len(events)

    assert 0.02 < share(lambda event: isinstance(event["properties"]["duration_ms"], str)) < 0.04
    assert 0.01 < share(lambda event: isinstance(event["properties"]["log_pb"]["rank"], str)) < 0.03
    assert 0.005 < share(lambda event: type(event["properties"]["position"]) is not int) < 0.015
    assert 0.65 < share(lambda event: event["properties"]["price"] is None) < 0.75
    assert 0.78 < share(lambda event: event["user_id"] is not None) < 0.82
    assert share(lambda event: event["event"] == "video_view") > 30 * share(lambda event: event["event"] == "video_view_1")
    assert 800 < sum(map(len, lines)) / len(lines) < 960


def test_dirty_lines_are_dirty():
    broken = 0
    for line in workload.events(2000, dirty=True):
        try:
            broken += not isinstance(json.loads(line), dict)
        except ValueError:
            broken += 1
    assert 15 < broken < 90
