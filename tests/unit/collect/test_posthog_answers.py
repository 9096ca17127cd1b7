"""What PostHog's and Mixpanel's clients are told beside the answers to events they sent well."""

import base64
import gzip
import json

import pytest

from headwater.collect.answer import Problem
from headwater.collect.protocols.interface import Incoming
from headwater.collect.protocols.posthog import POSTHOG
from tests.unit.collect.conftest import KEY

ORIGIN = "https://shop.example"


def test_posthog_has_settings_as_json_and_as_a_script(ask):
    status, got, body = ask("GET", f"/array/{KEY}/config", origin=ORIGIN)
    config = json.loads(body)
    assert (status, config["token"], config["analytics"]) == (200, KEY, {"endpoint": "/i/v0/e/"})
    assert (got[b"access-control-allow-origin"], got[b"access-control-allow-credentials"]) == (ORIGIN.encode(), b"true")
    # Where it is there at all, posthog-js loads a script.
    assert "surveys" not in config
    assert not any(config[name] for name in ("sessionRecording", "heatmaps", "captureDeadClicks"))
    status, got, body = ask("GET", f"/array/{KEY}/config.js")
    assert (status, got[b"content-type"]) == (200, b"text/javascript")
    head, _, rest = body.decode().partition(f'["{KEY}"] = ')
    assert head == "window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {}; window._POSTHOG_REMOTE_CONFIG"
    assert json.loads(rest.removesuffix(";")) == {"config": config, "siteApps": []}


@pytest.mark.parametrize("key", ["a;alert(1)", 'a"b', "<b>", "x" * 201])
def test_posthog_settings_are_for_what_may_be_a_key(ask, key):
    assert ask("GET", f"/array/{key}/config")[0] == 404
    assert ask("GET", f"/array/{key}/config.js")[0::2] == (404, b"")


@pytest.mark.parametrize("path", ["/flags/?v=2", "/decide/?v=3"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_posthog_has_no_flags(ask, method, path):
    status, _, body = ask(method, path, b'{"token":"k"}')
    said = json.loads(body)
    assert (status, said["flags"], said["featureFlags"], said["errorsWhileComputingFlags"]) == (200, {}, {}, False)
    assert ask.collector.figures()["received"] == 0


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/surveys/?token=k", {"surveys": [], "survey_config": None}),
        ("GET", "/flags/definitions?token=k", {"flags": [], "group_type_mapping": {}, "cohorts": {}}),
        ("GET", "/api/feature_flag/local_evaluation/", {"flags": [], "group_type_mapping": {}, "cohorts": {}}),
        ("POST", "/s/", {"status": 1}),
        ("POST", "/record/", {"code": 200, "status": "OK"}),
        ("GET", "/settings/", {}),
    ],
)
def test_what_is_not_kept_is_answered(ask, method, path, expected):
    status, _, body = ask(method, path, b"{}" if method == "POST" else b"")
    assert (status, json.loads(body)) == (200, expected)


@pytest.mark.parametrize("path", ["/e/", "/i/v0/e/", "/batch", "/flags", "/track", "/engage", "/record", "/s"])
def test_a_preflight_names_the_page(ask, path):
    status, got, _ = ask("OPTIONS", path, origin=ORIGIN, access_control_request_headers="authorization,content-type")
    assert (status, got[b"access-control-allow-origin"], got[b"access-control-allow-credentials"]) == (
        204,
        ORIGIN.encode(),
        b"true",
    )
    assert got[b"access-control-allow-headers"] == b"authorization,content-type"


def event(**more):
    return json.dumps({"event": "ev", "properties": {"token": KEY}, **more}).encode()


def test_gzip_is_known_by_what_it_begins_with(ask):
    status, _, body = ask("POST", "/i/v0/e/", gzip.compress(event(uuid="i")), content_type="text/plain")
    assert (status, body) == (200, b'{"status":1}')
    packed = base64.b64encode(gzip.compress(event(uuid="j")))
    assert ask("POST", "/e/", b"data=" + packed.replace(b"+", b"%2B"))[0] == 200
    assert ask.collector.figures()["accepted"] == 2


def test_a_bomb_within_base64_is_bounded(ask):
    bomb = base64.b64encode(gzip.compress(b"[" + b" " * (64 << 20) + b"]"))
    for path in ("/e/", "/track"):
        assert ask("POST", path, bomb)[0] == 413
    assert ask.collector.figures()["dropped"] == {"body_too_large": 2}


def test_posthog_errors(ask):
    status, _, body = ask("POST", "/batch/", b'{"api_key":"wrong","batch":[]}')
    assert (status, json.loads(body)["code"], json.loads(body)["type"]) == (401, "wrong_key", "validation_error")
    assert ask("POST", "/i/v1/analytics/events", b'{"batch":[]}', authorization="Bearer wrong")[0] == 401
    status, _, body = ask("POST", "/i/v1/analytics/events", b'{"batch":[]}', authorization=f"Bearer {KEY}")
    assert (status, body) == (200, b'{"results":{}}')
    status, _, body = ask("POST", "/e/", b"\x00\x01", headwater_key=KEY)
    assert (status, json.loads(body)["code"]) == (400, "malformed")
    assert ask("GET", "/batch")[0] == 401


def test_posthogs_pages_come_again_where_an_app_has_reported_too_much():
    answer = POSTHOG.refuse(Problem(429, "rate_limited", "too much", retry_after_s=2), Incoming("POST", "/e/", {}, {}))
    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (503, b"2")


def test_mixpanel_errors(ask):
    for path in ("/track", "/engage", "/groups"):
        status, _, body = ask("POST", path, b'data={"event":"e","properties":{"token":"wrong"},"$token":"wrong"}&verbose=1')
        said = json.loads(body)
        assert (status, said["status"], said["error"][:9]) == (401, 0, "wrong_key")
    status, _, body = ask("POST", "/import?strict=1", b"[]", authorization="Basic d3Jvbmc6")
    assert (status, json.loads(body)["code"], json.loads(body)["status"]) == (401, 401, "Unauthorized")
    basic = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
    status, _, body = ask("POST", "/import?strict=1", b'[{"event":"a"},{"event":""}]', authorization=basic)
    said = json.loads(body)
    assert (status, said["num_records_imported"], [record["index"] for record in said["failed_records"]]) == (400, 1, [1])
    assert ask("POST", "/track?_=1760000000000", b"word", headwater_key=KEY)[0] == 400
    status, _, body = ask("POST", "/track", b"data=%7B%22a", headwater_key=KEY)
    assert (status, json.loads(body)["status"]) == (400, 0)


def test_two_protocols_at_one_path(ask):
    assert ask("POST", "/track", event())[2] == b"1"
    assert ask("POST", "/track", event(uuid="i"))[2] == b'{"status":1}'
    assert ask("POST", "/track?compression=base64", base64.b64encode(event()))[2] == b'{"status":1}'
    assert ask("POST", "/engage", json.dumps({"$token": KEY, "$distinct_id": "u", "$set": {}}).encode())[2] == b"1"
