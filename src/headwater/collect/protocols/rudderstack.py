"""RudderStack's data plane: Segment's calls, as RudderStack's SDKs send them, its beacon and its pixels.

Most of it comes to Segment's paths, where segment.py tells whose it is. docs/protocols/rudderstack.md has the mapping in words.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.collect import credentials
from headwater.collect.answer import Answer
from headwater.collect.protocols.interface import Endpoint, Incoming, Protocol, Reply, Unwrapped
from headwater.collect.protocols.segment import SEGMENT, accept, nested, refuse

_NEVER_UPDATED = "2024-01-01T00:00:00.000Z"

_MERGE: dict[str, Any] = {"event": "merge", "into_properties": ((("mergeProperties",), "merge_properties"),)}
# Some SDKs have the traits of an identify call in one place, some in the other, some in both.
_IDENTIFY: dict[str, Any] = {"event": "identify", "properties": (("traits",), ("context", "traits"))}

_FIELDS = {
    **SEGMENT.mapping.fields,
    # `timestamp` is there only where the caller gave one, and then it is when the event happened.
    "event_time": (("timestamp",), ("originalTimestamp",)),
    "platform": (("context", "device", "type"), ("channel",)),
}


def _unwrap(incoming: Incoming, endpoint: Endpoint) -> Unwrapped:
    key = incoming.query.get("writeKey")
    if not incoming.path.startswith("/pixel/"):
        return Unwrapped(incoming.body, endpoint.shape, endpoint.variant, key)
    item = nested(incoming.query)
    item["channel"] = "web"
    if isinstance(item.get("anonymousId"), str):
        item["anonymousId"] = item["anonymousId"].strip("'\"")
    if endpoint.variant == "page" and not item.get("name"):
        item["name"] = "Unknown Page"
    return Unwrapped(msgspec.json.encode(item), endpoint.shape, endpoint.variant, key, direct=True)


def _source_config(incoming: Incoming) -> Answer:
    """What SDKs ask for before they report: that their source is on, has no further places to report to, and wants no figures."""
    key = incoming.query.get("writeKey") or credentials.from_headers(incoming.headers, RUDDERSTACK) or ""
    off = {"enabled": False}
    source = {
        "id": "headwater",
        "name": "headwater",
        "writeKey": key,
        "enabled": True,
        "workspaceId": "headwater",
        "config": {"statsCollection": {"errors": off, "metrics": off}},
        "destinations": [],
        "dataplanes": {},
        "updatedAt": _NEVER_UPDATED,
    }
    config = {
        "isHosted": True,
        "source": source,
        "updatedAt": _NEVER_UPDATED,
        "consentManagementMetadata": {"providers": []},
    }
    return Answer(200, msgspec.json.encode(config), ((b"cache-control", b"no-store"),))


RUDDERSTACK = Protocol(
    name="rudderstack",
    endpoints=(
        Endpoint("/v1/merge", "one", "merge"),
        Endpoint("/beacon/v1/batch", "envelope"),
        Endpoint("/pixel/v1/track", "one", "track", ("GET",)),
        Endpoint("/pixel/v1/page", "one", "page", ("GET",)),
    ),
    mapping=msgspec.structs.replace(
        SEGMENT.mapping,
        fields=_FIELDS,
        variants={**SEGMENT.mapping.variants, "identify": _IDENTIFY, "merge": _MERGE},
    ),
    key_paths=SEGMENT.key_paths,
    unwrap=_unwrap,
    accept=accept,
    refuse=refuse,
    replies=(Reply("/sourceConfig", _source_config),),
    credentials=True,
)
