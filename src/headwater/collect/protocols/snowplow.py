"""The Snowplow tracker protocol. https://docs.snowplow.io/docs/events/going-deeper/snowplow-tracker-protocol/

docs/protocols/snowplow.md has the mapping in words.
"""

from __future__ import annotations

import base64
import re
from http.cookies import CookieError, SimpleCookie
from typing import Any
from uuid import UUID

import msgspec

from headwater.collect.answer import Answer, Problem, refuse
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Path, Protocol, Unwrapped
from headwater.core.ids import new_id
from headwater.kernel import IntakeResult

_TP2 = "/com.snowplowanalytics.snowplow/tp2"
_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_UNSTORED = (b"cache-control", b"no-cache, no-store, must-revalidate")
_COOKIE_S = 365 * 24 * 3600
_NETWORK_USER = re.compile(r"[A-Za-z0-9._-]{1,128}")
# Trackers send again for ever what these say; what was refused so can never pass.
_FINAL = {413: 422, 415: 422}


def _is_anonymous(incoming: Incoming) -> bool:
    return b"sp-anonymous" in incoming.headers


def _network_user(incoming: Incoming) -> str:
    """What tells browsers apart across sites: the parameter `nuid`, else the cookie `sp`, else a new id. One for a request."""
    if not (known := incoming.query.get("nuid", "")):
        try:
            cookie = SimpleCookie(incoming.header(b"cookie")).get("sp")
        except CookieError:
            cookie = None
        known = cookie.value if cookie else ""
    incoming.query["nuid"] = known if _NETWORK_USER.fullmatch(known) else str(UUID(new_id()))
    return incoming.query["nuid"]


def _unwrap(incoming: Incoming, _: Endpoint) -> Unwrapped:
    key = incoming.query.pop("key", None)
    anonymous = _is_anonymous(incoming)
    if anonymous:
        incoming.query.pop("nuid", None)
    else:
        _network_user(incoming)
    if incoming.method != "POST":
        return Unwrapped(msgspec.json.encode(incoming.query), "one", key=key, anonymous=anonymous)
    body = incoming.body.lstrip()
    if not anonymous and body.startswith(b'{"'):
        body = b'{"nuid":%b,%b' % (msgspec.json.encode(incoming.query["nuid"]), body[1:])
    return Unwrapped(body, "envelope", key=key, anonymous=anonymous)


def _accept(_: IntakeResult, incoming: Incoming) -> Answer:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if not _is_anonymous(incoming):
        cookie = f"sp={_network_user(incoming)}; Max-Age={_COOKIE_S}; Path=/; SameSite=None; Secure; HttpOnly"
        headers = ((b"set-cookie", cookie.encode()),)
    if incoming.method == "POST":
        return Answer(200, b"ok", headers, b"text/plain; charset=utf-8")
    return Answer(200, _PIXEL, (*headers, _UNSTORED), b"image/gif")


def _refuse(problem: Problem, _: Incoming) -> Answer:
    return refuse(msgspec.structs.replace(problem, status=_FINAL.get(problem.status, problem.status)))


def _named(names: dict[str, str]) -> tuple[tuple[Path, str], ...]:
    return tuple(((key,), name) for key, name in names.items())


def _kind(event: str, names: dict[str, str] | None = None) -> dict[str, Any]:
    return {"event": event, "into_properties": _named(names or {})}


_STRUCTURED = {"se_ca": "category", "se_ac": "action", "se_la": "label", "se_pr": "property", "se_va": "value"}
_PING = {"pp_mix": "xoffset_min", "pp_max": "xoffset_max", "pp_miy": "yoffset_min", "pp_may": "yoffset_max"}
_TRANSACTION = {
    "tr_id": "order_id", "tr_af": "affiliation", "tr_tt": "total", "tr_tx": "tax", "tr_sh": "shipping", "tr_ci": "city",
    "tr_st": "state", "tr_co": "country", "tr_cu": "currency",
}  # fmt: skip
_ITEM = {
    "ti_id": "order_id", "ti_sk": "sku", "ti_nm": "name", "ti_ca": "category", "ti_pr": "price", "ti_qu": "quantity",
    "ti_cu": "currency",
}  # fmt: skip
_CONTEXT = {
    "url": "page.url", "page": "page.title", "refr": "page.referrer", "lang": "locale", "tz": "timezone", "ua": "user_agent",
    "tv": "tracker_version", "tna": "tracker_namespace", "aid": "app_id", "nuid": "network_userid",
}  # fmt: skip

SNOWPLOW = Protocol(
    name="snowplow",
    endpoints=(
        Endpoint(_TP2, "envelope", methods=("POST", "GET")),
        Endpoint("/i", "one", methods=("GET",)),
        Endpoint("/ice.png", "one", methods=("GET",)),
    ),
    mapping=Mapping(
        list="data",
        discriminator="e",
        unpack=(("ue_px", "ue"), ("ue_pr", "ue"), ("cx", "contexts"), ("co", "contexts")),
        fields={
            "event_id": (("eid",),),
            "event_time": (("dtm",),),
            "sent_time": (("stm",),),
            "user_id": (("uid",),),
            "device_id": (("duid",), ("tnuid",)),
            "session_id": (("sid",),),
            "platform": (("p",),),
        },
        true_time=(("ttm",),),
        variants={
            "ue": {"event_from": ("ue", "data", "schema"), "event_part": ("/", 1), "properties": ("ue", "data", "data")},
            "pv": _kind("page_view"),
            "pp": _kind("page_ping", _PING),
            "se": _kind("struct", _STRUCTURED),
            "tr": _kind("transaction", _TRANSACTION),
            "ti": _kind("transaction_item", _ITEM),
        },
        context=("^", "context"),
        into_context=(
            *_named(_CONTEXT),
            (("^", "nuid"), "network_userid"),
            (("ue", "data", "schema"), "schema"),
            (("contexts", "data"), "contexts"),
        ),
        dropped=("contexts",),
        rest="context",
    ),
    key_paths=(("aid",),),
    unwrap=_unwrap,
    accept=_accept,
    refuse=_refuse,
    credentials=True,
)
