"""What Segment's and RudderStack's clients are told beside the answers to events."""

import base64
import json

import pytest

from headwater.core.errors import LogError
from tests.unit.collect.conftest import KEY

BASIC = b"Basic " + base64.b64encode(f"{KEY}:".encode())


@pytest.mark.parametrize(
    ("scheme", "forwarded", "expected"),
    [("http", None, "http"), ("https", None, "https"), ("http", "https, http", "https"), ("http", "gopher", "http")],
)
def test_settings_send_the_browser_to_the_collector_itself(ask, scheme, forwarded, expected):
    headers = {"host": "events.example:8443", "origin": "https://shop.example"}
    if forwarded:
        headers["x_forwarded_proto"] = forwarded
    status, got, body = ask("GET", '/v1/projects/wk"1/settings', scheme=scheme, **headers)
    assert (status, got[b"access-control-allow-origin"]) == (200, b"https://shop.example")
    own = json.loads(body)["integrations"]["Segment.io"]
    assert (own["apiKey"], own["apiHost"], own["protocol"]) == ('wk"1', "events.example:8443/v1", expected)
    assert json.loads(body)["metrics"] == {"sampleRate": 0}


def test_settings_without_a_host_send_nobody_elsewhere(ask):
    status, _, body = ask("GET", "/v1/projects/k/settings")
    assert (status, json.loads(body)["code"]) == (400, "no_host")


def test_source_config_names_the_key_of_query_or_header(ask):
    status, got, body = ask("GET", "/sourceConfig/?writeKey=k&p=npm", origin="https://shop.example")
    assert (status, got[b"access-control-allow-credentials"]) == (200, b"true")
    source = json.loads(body)["source"]
    assert (source["writeKey"], source["enabled"], source["destinations"]) == ("k", True, [])
    assert json.loads(ask("GET", "/sourceConfig?p=android", authorization=BASIC.decode())[2])["source"]["writeKey"] == KEY
    assert ask("HEAD", "/sourceConfig/?view=ad")[0::2] == (200, b"")


def test_figures_of_the_sdk_about_itself_are_nobodys_events(ask):
    status, _, body = ask("POST", "/v1/m", b'{"series":[{"type":"Counter"}]}')
    assert (status, body) == (200, b'{"success":true}')
    assert ask.collector.figures()["received"] == 0


@pytest.mark.parametrize("path", ["/v1/t", "/v1/track", "/v1/b", "/v1/m", "/v1/merge", "/beacon/v1/batch"])
def test_a_preflight_allows_what_the_browser_asks_for(ask, path):
    asked = "anonymousid,authorization,content-type,rsa-retry-attempt,sentat,x-retry-count"
    status, got, _ = ask("OPTIONS", path, origin="https://shop.example", access_control_request_headers=asked)
    assert (status, got[b"access-control-allow-origin"]) == (204, b"https://shop.example")
    assert got[b"access-control-allow-headers"].decode() == asked
    assert b"POST" in got[b"access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/merge", "/beacon/v1/batch?writeKey=wrong"])
def test_errors_have_code_and_message_at_the_top(ask, path):
    """RudderStack's Python SDK sends again whatever has them not."""
    status, _, body = ask("POST", path, b'{"batch":[]}')
    said = json.loads(body)
    assert (status, said["success"], said["code"], said["error"]["code"]) == (401, False, "wrong_key", "wrong_key")
    assert said["message"]


@pytest.mark.parametrize("path", ["/v1/pixel/track?event=x", "/pixel/v1/track?event=x"])
def test_a_pixel_is_an_image_whatever_happens_but_never_says_stored(ask, path, monkeypatch):
    for sent, figure in (
        (path, ("dropped", "wrong_key")),
        (f"{path}&writeKey=wrong", ("dropped", "wrong_key")),
        (f"{path.partition('?')[0]}?writeKey={KEY}", ("dead", "event_missing")),
    ):
        status, got, body = ask("GET", sent)
        assert (status, got[b"content-type"], got[b"cache-control"], body[:6]) == (200, b"image/gif", b"no-store", b"GIF89a")
        assert figure[1] in ask.collector.figures()[figure[0]]
    assert ask("GET", f"{path}&writeKey={KEY}")[0] == 200
    assert ask.collector.figures()["accepted"] == 1

    async def full(*_):
        raise LogError("full")

    monkeypatch.setattr(ask.collector._appender, "reserve", full)
    status, got, body = ask("GET", f"{path}&writeKey={KEY}")
    assert (status, got[b"content-type"], body[:6]) == (503, b"image/gif", b"GIF89a")


def test_a_pixel_with_a_name_of_many_steps(ask):
    status, _, _ = ask("GET", f"/v1/pixel/track?writeKey={KEY}&event=x&properties{'.a' * 5000}=1")
    assert status == 200
    assert ask.collector.figures()["accepted"] == 1
