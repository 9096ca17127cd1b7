"""Mixpanel's ingestion API. docs/protocols/mixpanel.md has the mapping in words.

`/track` and `/engage` are PostHog's as well: what a body holds tells them apart.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from headwater.collect.answer import Answer, Problem, answer_problem, gif
from headwater.collect.credentials import basic_user
from headwater.collect.protocols import posthog
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol, Reply, Unwrapped
from headwater.collect.protocols.wrapping import ms_in, payload
from headwater.kernel import IntakeResult, body_text

_LIST = "events"
_KEY_PATHS = (("properties", "token"), ("$token",), ("token",))
# The field that a client is told of, by the reason of the dead letter.
_FIELDS = {"event_missing": "event", "event_not_text": "event"}


def _unwrap(incoming: Incoming, endpoint: Endpoint) -> Unwrapped:
    content = payload(incoming)
    query = incoming.query
    if endpoint.path in ("/track", "/engage") and posthog.is_posthog(content, incoming):
        return posthog.unwrapped(content, incoming, {"track": "event"}.get(endpoint.variant, endpoint.variant))
    key = body_text(content, _KEY_PATHS, _LIST) or basic_user(incoming.headers)
    if (sent := ms_in(query.get("_", ""))) and content[:1] in (b"{", b"["):
        content = b'{"sent_at":%b,"events":%b}' % (sent, content if content[:1] == b"[" else b"[%b]" % content)
    # With `ip=1` a client says that the request comes from the user; of an image nothing else would.
    direct = query.get("ip") == "1" or "img" in query
    return Unwrapped(content, "auto", endpoint.variant, key, direct=direct, address=query.get("ip") != "0")


def _is_import(incoming: Incoming) -> bool:
    """Whether the answer is that of /import: SDKs send a form there, and want the same as elsewhere."""
    return incoming.path.rstrip("/") == "/import" and "data" not in incoming.query


def _accept(result: IntakeResult, incoming: Incoming) -> Answer:
    query = incoming.query
    if _is_import(incoming):
        return _imported(result, incoming)
    if query.get("img", "0") != "0":
        return gif()
    if query.get("verbose", "0") in ("", "0"):
        return Answer(200, b"1", content_type=b"text/plain")
    return Answer(200, b'{"status":1,"error":null}')


def _imported(result: IntakeResult, incoming: Incoming) -> Answer:
    """The answer to JSON: in strict mode it lists the records that failed; the others are stored."""
    answer: dict[str, Any] = {"code": 200, "num_records_imported": result.accepted, "status": "OK"}
    verdicts = msgspec.json.decode(result.verdicts()) if incoming.query.get("strict", "0") != "0" else []
    failed = [
        {
            "index": index,
            "insert_id": "",
            "field": _FIELDS.get(verdict["reason"], ""),
            "message": f"{verdict['reason']}: {verdict.get('detail', '')}".rstrip(": "),
        }
        for index, verdict in enumerate(verdicts)
        if verdict["verdict"] != "accepted"
    ]
    if not failed:
        return Answer(200, msgspec.json.encode(answer))
    error = "some data points in the request failed validation"
    answer |= {"code": 400, "status": "Bad Request", "error": error, "failed_records": failed}
    return Answer(400, msgspec.json.encode(answer))


def _refuse(problem: Problem, incoming: Incoming) -> Answer:
    error = f"{problem.code}: {problem.message}{': ' + problem.detail if problem.detail else ''}"
    if _is_import(incoming):
        return answer_problem(problem, {"code": problem.status, "status": HTTPStatus(problem.status).phrase, "error": error})
    return answer_problem(problem, {"status": 0, "error": error})


MIXPANEL = Protocol(
    name="mixpanel",
    endpoints=(
        Endpoint("/track", "auto", "track", ("POST", "GET")),
        Endpoint("/engage", "auto", "engage", ("POST", "GET")),
        Endpoint("/groups", "auto", "groups", ("POST", "GET")),
        Endpoint("/import", "auto", "track", ("POST", "GET")),
    ),
    mapping=Mapping(
        list=_LIST,
        # A key that no event has: the endpoint says what its items are.
        discriminator="$",
        fields={
            "event_id": (("properties", "$insert_id"), ("$insert_id",)),
            "event_time": (("properties", "time"), ("$time",)),
            "user_id": (("properties", "$user_id"), ("properties", "distinct_id"), ("$user_id",), ("$distinct_id",)),
            "device_id": (("properties", "$device_id"), ("$device_id",), ("properties", "$anon_distinct_id")),
            "platform": (("properties", "$os"),),
        },
        variants={
            "track": {"event_from": ("event",), "properties": ("properties",)},
            "engage": {"event": "profile_update"},
            "groups": {"event": "group_update"},
        },
        any_unit=True,
        into_context=(
            (("properties", "ip"), "ip"),
            (("properties", "$ip"), "ip"),
            (("$ip",), "ip"),
            (("properties", "$app_version_string"), "app_version"),
            (("properties", "$app_version"), "app_version"),
            (("properties", "$app_build_number"), "build"),
        ),
        property_rename={"token": None, "ip": None, "$ip": None},
        dropped=("$token", "token"),
        envelope_sent=("sent_at",),
        rest="properties",
    ),
    key_paths=_KEY_PATHS,
    basic=False,
    unwrap=_unwrap,
    accept=_accept,
    refuse=_refuse,
    replies=(
        Reply("/record", lambda _: Answer(200, b'{"code":200,"status":"OK"}'), ("POST",)),
        Reply("/settings", lambda _: Answer(200, b"{}")),
    ),
    credentials=True,
)
