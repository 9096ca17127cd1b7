"""PostHog's capture API, and what its SDKs ask for besides. docs/protocols/posthog.md has the mapping in words.

`/track` and `/engage` are Mixpanel's as well: that protocol has the paths, and hands over what is PostHog's.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from headwater.collect.answer import Answer, Problem, answer_problem
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol, Reply, Unwrapped
from headwater.collect.protocols.wrapping import ms_in, payload
from headwater.core.ids import new_id
from headwater.kernel import IntakeResult, body_text

_V1 = "/i/v1/analytics/events"
_EVENT = ("$set", "$set_once", "$unset")
_ENGAGE = (*_EVENT, "$add", "$append", "$union", "$remove", "$delete")
# One of these is in each of PostHog's events, and in none of Mixpanel's.
_OWN_PATHS = (("api_key",), ("token",), ("uuid",), ("timestamp",), ("distinct_id",), ("properties", "$lib"))
_OWN_PARAMETERS = ("compression", "ver")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,200}")
_OBJECT = re.compile(rb'\{\s*"')
_TIME_TEXT_MAX = 40


def is_posthog(content: bytes, incoming: Incoming) -> bool:
    """Whether a body that came to a path of Mixpanel's is PostHog's."""
    return any(name in incoming.query for name in _OWN_PARAMETERS) or body_text(content, _OWN_PATHS, "batch") is not None


def unwrapped(content: bytes, incoming: Incoming, variant: str) -> Unwrapped:
    """What the kernel is to run of the JSON of a request."""
    if sent := _sent_time(incoming):
        if content[:1] == b"[":
            content = b'{"sent_at":%b,"batch":%b}' % (sent, content)
        elif _OBJECT.match(content):
            # What the body itself says of it stands behind this, and of equal keys the last counts.
            content = b'{"sent_at":%b,%b' % (sent, content[1:].lstrip())
    address = incoming.query.get("ip") != "0"
    return Unwrapped(content, "auto", variant, protocol="posthog", address=address)


def _sent_time(incoming: Incoming) -> bytes | None:
    """When the client sent it, as JSON, where the body may not say so."""
    text = incoming.header(b"posthog-request-timestamp")
    return msgspec.json.encode(text) if 0 < len(text) <= _TIME_TEXT_MAX else ms_in(incoming.query.get("_", ""))


def _unwrap(incoming: Incoming, endpoint: Endpoint) -> Unwrapped:
    return unwrapped(payload(incoming), incoming, endpoint.variant)


def _accept(_: IntakeResult, incoming: Incoming) -> Answer:
    # SDKs of version 1 take an event that has no result for one that was taken.
    return Answer(200, b'{"results":{}}' if incoming.path.startswith(_V1) else b'{"status":1}')


def _refuse(problem: Problem, _: Incoming) -> Answer:
    detail = f"{problem.message}: {problem.detail}" if problem.detail else problem.message
    if problem.status == 429:
        # posthog-js gives up at 429, and comes again after this one; the other SDKs come again after both.
        problem = msgspec.structs.replace(problem, status=503)
    return answer_problem(problem, {"type": "validation_error", "code": problem.code, "detail": detail, "attr": None})


def _config(key: str) -> dict[str, Any]:
    """Nothing is switched on that would make posthog-js load more scripts, or send anything but events."""
    off = ("hasFeatureFlags", "captureDeadClicks", "capturePerformance", "autocapture_opt_out", "autocaptureExceptions")
    return {
        "token": key,
        "supportedCompression": ["gzip", "gzip-js"],
        "analytics": {"endpoint": "/i/v0/e/"},
        "elementsChainAsString": True,
        "defaultIdentifiedOnly": True,
        # Not `surveys`: posthog-js loads their script even where that is false.
        **dict.fromkeys((*off, "sessionRecording", "heatmaps"), False),
    }


def _config_json(incoming: Incoming) -> Answer:
    key = incoming.names["key"]
    return Answer(200, msgspec.json.encode(_config(key))) if _KEY.fullmatch(key) else Answer(404, b"{}")


def _config_script(incoming: Incoming) -> Answer:
    key = incoming.names["key"]
    if not _KEY.fullmatch(key):
        return Answer(404, b"", content_type=b"text/javascript")
    of_all = b"window._POSTHOG_REMOTE_CONFIG"
    own = msgspec.json.encode({"config": _config(key), "siteApps": []})
    script = b"%b = %b || {}; %b[%b] = %b;" % (of_all, of_all, of_all, msgspec.json.encode(key), own)
    return Answer(200, script, content_type=b"text/javascript")


def _flags(_: Incoming) -> Answer:
    """That there are none, in the words of every version."""
    none = {
        "flags": {},
        "featureFlags": {},
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": False,
        "requestId": new_id(),
        "supportedCompression": ["gzip", "gzip-js"],
        "config": {"enable_collect_everything": True},
        "toolbarParams": {},
        "sessionRecording": False,
        "surveys": False,
        "siteApps": [],
    }
    return Answer(200, msgspec.json.encode(none))


def _always(body: bytes) -> Any:
    return lambda _: Answer(200, body)


_NO_DEFINITIONS = _always(b'{"flags":[],"group_type_mapping":{},"cohorts":{}}')
_BOTH = ("POST", "GET")

POSTHOG = Protocol(
    name="posthog",
    endpoints=(
        *(Endpoint(path, "auto", "event", _BOTH) for path in ("/batch", "/e", "/i/v0/e", "/capture")),
        Endpoint(_V1, "auto", "event"),
    ),
    mapping=Mapping(
        list="batch",
        # A key that no event has: the endpoint says what its items are.
        discriminator="$",
        fields={
            "event_id": (("uuid",), ("messageId",), ("properties", "$insert_id")),
            "event_time": (("timestamp",), ("properties", "$time")),
            "sent_time": (("sent_at",),),
            "user_id": (("distinct_id",), ("$distinct_id",), ("properties", "distinct_id")),
            "device_id": (("properties", "$device_id"), ("$device_id",), ("properties", "$anon_distinct_id")),
            "session_id": (("session_id",), ("properties", "$session_id")),
            "platform": (("properties", "$os_name"), ("properties", "$os")),
        },
        variants={
            "event": {
                "event_from": ("event",),
                "properties": ("properties",),
                "into_properties": tuple(((name,), name) for name in _EVENT),
            },
            "engage": {
                "event": "$identify",
                "properties": ("properties",),
                "into_properties": tuple(((name,), name) for name in _ENGAGE),
            },
        },
        any_unit=True,
        into_context=(
            (("properties", "$ip"), "ip"),
            (("properties", "$raw_user_agent"), "user_agent"),
            (("properties", "$app_version"), "app_version"),
            (("properties", "$app_build"), "build"),
            (("properties", "$locale"), "locale"),
            (("properties", "$browser_language"), "locale"),
            (("properties", "$timezone"), "timezone"),
        ),
        property_rename={"token": None, "$ip": None, "$raw_user_agent": None},
        dropped=("api_key", "token", "$token"),
        envelope_sent=("sent_at", "sentAt"),
    ),
    key_paths=(("api_key",), ("token",), ("properties", "token"), ("$token",)),
    bearer=True,
    unwrap=_unwrap,
    accept=_accept,
    refuse=_refuse,
    replies=(
        Reply("/flags", _flags, _BOTH),
        Reply("/decide", _flags, _BOTH),
        Reply("/array/{key}/config", _config_json),
        Reply("/array/{key}/config.js", _config_script),
        Reply("/api/surveys", _always(b'{"surveys":[],"survey_config":null}')),
        Reply("/flags/definitions", _NO_DEFINITIONS),
        Reply("/api/feature_flag/local_evaluation", _NO_DEFINITIONS),
        Reply("/s", _always(b'{"status":1}'), ("POST",)),
    ),
    credentials=True,
)
