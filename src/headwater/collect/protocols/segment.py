"""The Segment HTTP Tracking API: what its many SDKs send. https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/

docs/protocols/segment.md has the mapping in words. RudderStack's SDKs, which send nearly the same to the same paths, are told
from Segment's here, and mapped by their own file.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from headwater.collect.answer import Answer, Problem, answer_problem, gif
from headwater.collect.body import BodyError
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol, Reply, Unwrapped
from headwater.kernel import IntakeResult, body_text

_CALLS = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
_PAGE: dict[str, Any] = {"properties": ("properties",), "into_properties": ((("name",), "name"), (("category",), "category"))}
_GROUP: dict[str, Any] = {"properties": ("traits",), "into_properties": ((("groupId",), "group_id"),)}
_ALIAS: dict[str, Any] = {"properties": ("properties",), "into_properties": ((("previousId",), "previous_id"),)}

_SETTINGS_AGE_S = 300
# Deeper names stay whole from there on.
_STEPS_MAX = 16


def accept(_: IntakeResult, incoming: Incoming) -> Answer:
    """The answer that Segment's and RudderStack's clients take: some of them nothing but 200."""
    return gif() if _is_pixel(incoming) else Answer(200, b'{"success":true}')


def refuse(problem: Problem, incoming: Incoming) -> Answer:
    """`code` and `message` stand at the top: RudderStack's Python SDK takes an error without them for one worth a retry.

    A page cannot read what became of its pixel, so that it is an image whatever happened. Its status still is no 200 where
    an event was not taken that could have been.
    """
    if _is_pixel(incoming):
        return gif(problem.status if problem.status == 429 or problem.status >= 500 else 200)
    said = problem.to_json()
    return answer_problem(problem, {"success": False, "code": problem.code, "message": problem.message, "error": said})


def nested(query: dict[str, str]) -> dict[str, Any]:
    """The parameters of a pixel as an object: `properties.x=1` is `{"properties": {"x": "1"}}`."""
    item: dict[str, Any] = {}
    for name, text in query.items():
        *above, last = name.split(".", _STEPS_MAX)
        inside = item
        for step in above:
            below = inside.get(step)
            if not isinstance(below, dict):
                below = inside[step] = {}
            inside = below
        inside[last] = text
    return item


def _is_pixel(incoming: Incoming) -> bool:
    return incoming.path.startswith(("/v1/pixel/", "/pixel/v1/"))


def _unwrap(incoming: Incoming, endpoint: Endpoint) -> Unwrapped:
    if _is_pixel(incoming):
        packed = incoming.query.get("data")
        content = msgspec.json.encode(nested(incoming.query)) if packed is None else _from_base64(packed)
        return Unwrapped(content, "one", endpoint.variant, direct=True)
    protocol = "rudderstack" if _is_of_rudderstack(incoming) else ""
    return Unwrapped(incoming.body, endpoint.shape, endpoint.variant, protocol=protocol)


def _is_of_rudderstack(incoming: Incoming) -> bool:
    """RudderStack's SDKs say in each item by what `channel` it came, its browser's and mobile ones in headers who sent it."""
    if b"anonymousid" in incoming.headers:
        return True
    return b'"channel"' in incoming.body and body_text(incoming.body, (("channel",),), "batch") is not None


def _from_base64(text: str) -> bytes:
    # A query has spaces where its author forgot to escape plus signs; padding is often left out.
    plain = text.strip().replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BodyError("invalid_base64", "the parameter `data` is not base64") from None


def _settings(incoming: Incoming) -> Answer:
    """What the browser's SDK asks its CDN for. It sends nothing without it, and sends it where this says."""
    host = incoming.header(b"host")
    if not host:
        return refuse(
            Problem(400, "no_host", "the request has no Host", "the answer names it as the place to report to"), incoming
        )
    forwarded = incoming.header(b"x-forwarded-proto").partition(",")[0].strip().lower()
    own = {
        "apiKey": incoming.names["key"],
        "apiHost": f"{host}/v1",
        "protocol": forwarded if forwarded in ("http", "https") else incoming.scheme,
        "unbundledIntegrations": [],
        "addBundledMetadata": True,
        "maybeBundledConfigIds": {},
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }
    enabled = {"enabled": True, "integrations": {}}
    settings = {
        "integrations": {"Segment.io": own},
        "plan": {call: {"__default": enabled} for call in ("track", "identify", "group")},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
    # Not for caches that others share: the answer is made of headers.
    kept = ((b"cache-control", b"private, max-age=%d" % _SETTINGS_AGE_S),)
    return Answer(200, msgspec.json.encode(settings), kept)


SEGMENT = Protocol(
    name="segment",
    endpoints=(
        *(Endpoint(f"/v1/{name}", "envelope") for name in ("batch", "b", "import")),
        *(Endpoint(f"/v1/{call}", "one", call) for call in _CALLS.values()),
        *(Endpoint(f"/v1/{letter}", "one", call) for letter, call in _CALLS.items()),
        *(Endpoint(f"/v1/pixel/{call}", "one", call, ("GET",)) for call in _CALLS.values()),
    ),
    mapping=Mapping(
        list="batch",
        discriminator="type",
        fields={
            "event_id": (("messageId",),),
            "event_time": (("originalTimestamp",), ("timestamp",)),
            "sent_time": (("sentAt",),),
            "user_id": (("userId",),),
            "device_id": (("anonymousId",), ("context", "device", "id")),
            "session_id": (("sessionId",), ("context", "sessionId")),
            "platform": (("context", "device", "type"),),
        },
        variants={
            "track": {"event_from": ("event",), "properties": ("properties",)},
            "identify": {"event": "identify", "properties": ("traits",)},
            "group": {"event": "group", **_GROUP},
            "alias": {"event": "alias", **_ALIAS},
            "page": {"event": "page", **_PAGE},
            "screen": {"event": "screen", **_PAGE},
        },
        rename={
            "userAgent": "user_agent",
            "groupId": "group_id",
            "sessionId": "session_id",
            # Segment's is an object (carrier, wifi, …), the canonical one a word.
            "network": "network_info",
            "device": {"advertisingId": "advertising_id", "adTrackingEnabled": "ad_tracking_enabled"},
        },
        lift=((("app", "version"), "app_version"), (("app", "build"), "build")),
        dropped=("writeKey",),
        envelope_sent=("sentAt",),
    ),
    key_paths=(("writeKey",),),
    unwrap=_unwrap,
    accept=accept,
    refuse=refuse,
    replies=(
        Reply("/v1/projects/{key}/settings", _settings),
        # Figures of the browser's SDK about itself.
        Reply("/v1/m", lambda _: Answer(200, b'{"success":true}'), ("POST",)),
    ),
    credentials=True,
)
