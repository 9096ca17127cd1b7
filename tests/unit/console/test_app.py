"""The status page's HTTP side: what it answers, and the headers that keep hostile names harmless."""

import asyncio
import json
import re
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from headwater.console import PATHS, StatusPage, snapshot_view
from headwater.registry.snapshot import App, Draft, numbered
from headwater.rules import Finding


class Answer:
    def __init__(self, messages: list[MutableMapping[str, Any]]) -> None:
        start, body = messages
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body: bytes = body["body"]


def ask(
    path: str, method: str = "GET", status: Callable[[], dict[str, Any]] = dict, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    messages: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the page reads no body")

    scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
    asyncio.run(StatusPage(status, lambda: "headwater_etl_read_total 7\n")(scope, receive, send))
    return Answer(messages)


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<title>Headwater</title>"),
        ("/status.css", "text/css; charset=utf-8", b"prefers-color-scheme: dark"),
        ("/status.js", "text/javascript; charset=utf-8", b'fetch("/status.json"'),
    ],
)
def test_the_page_and_what_it_needs(path: str, kind: str, content: bytes) -> None:
    answer = ask(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-length"] == str(len(answer.body))
    assert content in answer.body
    again = ask(path, headers=((b"if-none-match", answer.headers["etag"].encode()),))
    assert (again.status, again.body) == (304, b"")


def test_the_figures_are_asked_for_at_each_request() -> None:
    answer = ask("/status.json", status=lambda: {"collect": {"events": [{"event": "<script>"}]}})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body) == {"collect": {"events": [{"event": "<script>"}]}}


def test_the_metrics_are_text() -> None:
    answer = ask("/metrics")
    assert (answer.status, answer.body) == (200, b"headwater_etl_read_total 7\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", [*sorted(PATHS), "/none"])
def test_every_answer_has_the_headers_that_allow_nothing_foreign(path: str) -> None:
    headers = ask(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_names_no_other_place_and_writes_no_html() -> None:
    for path in ("/", "/status.css", "/status.js"):
        text = ask(path).body.decode()
        assert not re.search(r"https?://|[\"'(]//", text.replace("http://www.w3.org/2000/svg", ""))
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "javascript:"):
            assert sink not in text


def test_other_paths_and_methods_are_refused() -> None:
    nothing = ask("/none")
    assert (nothing.status, json.loads(nothing.body)["error"]["code"]) == (404, "not_found")
    post = ask("/", "POST")
    assert (post.status, json.loads(post.body)["error"]["code"], post.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )
    head = ask("/", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 1000


def test_figures_that_cannot_be_had_are_503_and_say_nothing_inner() -> None:
    def failing() -> dict[str, Any]:
        raise RuntimeError("secret detail")

    answer = ask("/status.json", status=failing)
    assert answer.status == 503
    assert json.loads(answer.body)["error"]["code"] == "status_failed"
    assert b"secret" not in answer.body


def test_the_snapshot_s_part_of_the_figures() -> None:
    draft = Draft(project="shop", source="app_events", apps=(App("a", "ann", "observe", ("f" * 64,)),))
    warning = Finding("warning", "slow", "it is slow", "rules/a.sql", 1, 1, 1, "x")
    view = snapshot_view(numbered(draft, 7, 99), "rules/b.sql: nonsense", (warning,))
    assert view["number"] == 7
    assert view["created_time"] == 99
    assert view["hash"] == draft.content_hash()
    assert (view["apps"], view["event_types"], view["rules"]) == (1, 0, 0)
    assert view["refused"] == "rules/b.sql: nonsense"
    assert view["warnings"] == [str(warning)]
    assert "f" * 64 not in json.dumps(view)
