"""The Segment HTTP Tracking API: what its many SDKs send. https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/

docs/collect.md has the mapping in words.
"""

from __future__ import annotations

from typing import Any

from headwater.collect.answer import Answer, Problem, answer_problem
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol
from headwater.kernel import IntakeResult

_CALLS = ("track", "identify", "page", "screen", "group", "alias")

_PAGE: dict[str, Any] = {"properties": ("properties",), "into_properties": ((("name",), "name"), (("category",), "category"))}


def _accept(result: IntakeResult, _: Incoming) -> Answer:
    return Answer(200, b'{"success":true}')


def _refuse(problem: Problem, _: Incoming) -> Answer:
    return answer_problem(problem, {"success": False, "error": problem.to_json()})


SEGMENT = Protocol(
    name="segment",
    endpoints=(Endpoint("/v1/batch", "envelope"), *(Endpoint(f"/v1/{call}", "one", call) for call in _CALLS)),
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
            "group": {"event": "group", "properties": ("traits",), "into_properties": ((("groupId",), "group_id"),)},
            "alias": {"event": "alias", "properties": ("properties",), "into_properties": ((("previousId",), "previous_id"),)},
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
    accept=_accept,
    refuse=_refuse,
)
