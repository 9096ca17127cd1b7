"""CloudEvents 1.0 (and 0.3) over HTTP: binary, structured and batch. https://github.com/cloudevents/spec

docs/protocols/cloudevents.md has the mapping in words.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes

import msgspec

from headwater.collect.answer import Answer, Problem, answer_problem, refuse
from headwater.collect.body import BodyError
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol, Unwrapped
from headwater.kernel import IntakeResult

_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"


def _media_type(incoming: Incoming) -> str:
    return incoming.header(b"content-type").partition(";")[0].strip().lower()


def _unwrap(incoming: Incoming, _: Endpoint) -> Unwrapped:
    key = incoming.query.get("key", incoming.query.get("access_token"))
    kind = _media_type(incoming)
    if kind.startswith(_STRUCTURED):
        if kind not in (_STRUCTURED, _STRUCTURED + "+json", _BATCH, _BATCH + "+json"):
            raise BodyError(
                "unsupported_format", f"{kind[:100]} is not known; valid are {_STRUCTURED}+json, {_BATCH}+json", 415, key
            )
        return Unwrapped(incoming.body, "events" if kind.startswith(_BATCH) else "one", key=key)
    try:
        return Unwrapped(_binary(incoming, kind), "one", key=key)
    except BodyError as error:
        error.key = key
        raise


def _binary(incoming: Incoming, kind: str) -> bytes:
    """The event as it would stand in a structured request."""
    event = {name[3:].decode("latin-1"): _value(value) for name, value in incoming.headers.items() if name.startswith(b"ce-")}
    if not event:
        detail = f"there are no ce- headers; without them the Content-Type is {_STRUCTURED}+json or {_BATCH}+json"
        raise BodyError("no_event", detail, 400 if kind in ("", "application/json") else 415)
    if content_type := incoming.header(b"content-type"):
        event["datacontenttype"] = content_type
    head = msgspec.json.encode(event)[:-1]
    body = incoming.body
    if not body:
        return head + b"}"
    is_json = kind in ("", "application/json", "text/json") or kind.endswith("+json")
    if is_json and _holds_json(body):
        return head + b',"data":' + body + b"}"
    if is_json and kind:
        raise BodyError("invalid_data", f"the data is no JSON, as {kind[:100]} is")
    if kind.startswith("text/"):
        return head + b',"data":' + msgspec.json.encode(_text(body)) + b"}"
    return head + b',"data_base64":' + msgspec.json.encode(base64.b64encode(body).decode()) + b"}"


def _holds_json(body: bytes) -> bool:
    """Whether it is one JSON value; the kernel looks at it again, with its neighbours."""
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _text(value: bytes) -> str:
    """Text that should be UTF-8, which many senders do not heed."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _value(header: bytes) -> str:
    header = header.strip()
    if len(header) > 1 and header[:1] == header[-1:] == b'"':
        header = header[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
    return _text(unquote_to_bytes(header))


def _accept(result: IntakeResult, _: Incoming) -> Answer:
    if not result.dead and not result.dropped:
        return Answer(204, b"")
    counts = b'{"accepted":%d,"dropped":%d,"dead":%d,"events":' % (result.accepted, result.dropped, result.dead)
    if result.accepted:
        return Answer(200, counts + result.verdicts() + b"}")
    if result.dropped:
        return refuse(Problem(413, "oversize", "the event is too large"))
    details = [verdict.get("detail") or verdict["reason"] for verdict in msgspec.json.decode(result.verdicts())[:10]]
    return answer_problem(Problem(400, "no_event", ""), {"error": {"code": "no_event", "message": "; ".join(details)}})


def _preflight(incoming: Incoming) -> tuple[tuple[bytes, bytes], ...]:
    """The consent that webhooks ask for before they send. https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md"""
    if b"webhook-request-origin" not in incoming.headers:
        return ()
    return ((b"allow", b"POST"), (b"webhook-allowed-origin", b"*"), (b"webhook-allowed-rate", b"*"))


_VARIANT = {
    "event_from": ("type",),
    "properties": ("data",),
    "into_properties": ((("data_base64",), "data_base64"),),
}

CLOUDEVENTS = Protocol(
    name="cloudevents",
    endpoints=(Endpoint("/v1/cloudevents", "one", bodiless=True),),
    mapping=Mapping(
        list="events",
        discriminator="specversion",
        fields={"event_id": (("id",),), "event_time": (("time",),)},
        # An id is its source's own.
        id_scope=("source",),
        required=(("id",), ("source",)),
        variants={"1.0": _VARIANT, "0.3": _VARIANT},
        context=("^", "context"),
        rest="context",
    ),
    bearer=True,
    unwrap=_unwrap,
    accept=_accept,
    refuse=lambda problem, _: refuse(problem),
    preflight=_preflight,
)
