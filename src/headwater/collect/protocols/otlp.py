"""OpenTelemetry logs and events over OTLP/HTTP, in Protobuf or JSON. https://opentelemetry.io/docs/specs/otlp/

docs/protocols/otlp.md has the mapping in words.
"""

from __future__ import annotations

import msgspec

from headwater.collect.answer import Answer, Problem, ProblemError, answer_problem
from headwater.collect.body import EXPANDS, BodyError
from headwater.collect.protocols.interface import Endpoint, Incoming, Mapping, Protocol, Unwrapped
from headwater.core.limits import REQUEST_OUTPUT_BYTES_MAX
from headwater.kernel import IntakeResult, otlp_envelopes

_PROTOBUF = "application/x-protobuf"
_PROTOBUF_TYPES = (_PROTOBUF, "application/protobuf")
# google.rpc.Code: INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE; for the rest UNKNOWN.
_CODES = {400: 3, 413: 3, 415: 3, 401: 16, 429: 14, 503: 14}
_UNKNOWN = 2


def _media_type(incoming: Incoming) -> str:
    return incoming.header(b"content-type").partition(";")[0].strip().lower()


def _is_protobuf(incoming: Incoming) -> bool:
    return _media_type(incoming) in _PROTOBUF_TYPES


def _unwrap(incoming: Incoming, _: Endpoint) -> Unwrapped:
    kind = _media_type(incoming)
    if kind not in (*_PROTOBUF_TYPES, "application/json"):
        detail = f"the Content-Type is {kind[:100] or 'missing'}; valid are {_PROTOBUF}, application/json"
        raise BodyError("unsupported_format", detail, 415)
    try:
        content = otlp_envelopes(incoming.body, protobuf=_is_protobuf(incoming), bytes_max=REQUEST_OUTPUT_BYTES_MAX)
    except ValueError as error:
        raise BodyError("malformed", str(error)) from None
    if content is None:
        raise ProblemError(EXPANDS)
    return Unwrapped(content, "envelopes")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _accept(result: IntakeResult, incoming: Incoming) -> Answer:
    """All taken, or so many rejected, which clients never send again."""
    rejected = result.dead + result.dropped
    told = _reasons(result) if rejected else ""
    if _is_protobuf(incoming):
        partial = b"\x08" + _varint(rejected) + _field(2, told.encode())
        return Answer(200, _field(1, partial) if rejected else b"", content_type=_PROTOBUF.encode())
    partial_success = {"rejectedLogRecords": str(rejected), "errorMessage": told}
    return Answer(200, msgspec.json.encode({"partialSuccess": partial_success} if rejected else {}))


def _reasons(result: IntakeResult) -> str:
    verdicts = msgspec.json.decode(result.verdicts())
    reasons = sorted({verdict["reason"] for verdict in verdicts if verdict["verdict"] != "accepted"})
    return f"rejected: {', '.join(reasons)}"


def _refuse(problem: Problem, incoming: Incoming) -> Answer:
    """A google.rpc.Status in the encoding of the request."""
    code = _CODES.get(problem.status, _UNKNOWN)
    told = f"{problem.code}: {problem.message}" + (f"; {problem.detail}" if problem.detail else "")
    answer = answer_problem(problem, {"code": code, "message": told})
    if not _is_protobuf(incoming):
        return answer
    status = b"\x08" + _varint(code) + _field(2, told.encode())
    return msgspec.structs.replace(answer, body=status, content_type=_PROTOBUF.encode())


OTLP = Protocol(
    name="otlp",
    endpoints=(Endpoint("/v1/logs", "envelopes", bodiless=True),),
    mapping=Mapping(
        list="log_records",
        fields={
            "event_id": (("attributes", "log.record.uid"),),
            "event_time": (("time_unix_nano",), ("observed_time_unix_nano",)),
            "user_id": (("attributes", "user.id"), ("attributes", "enduser.id"), ("^", "resource", "user.id")),
            "device_id": (
                ("attributes", "app.installation.id"),
                ("attributes", "device.id"),
                ("^", "resource", "app.installation.id"),
                ("^", "resource", "device.id"),
            ),
            "session_id": (("attributes", "session.id"), ("^", "resource", "session.id")),
        },
        variants={
            "": {
                "event": "log",
                "event_from": (("event_name",), ("attributes", "event.name")),
                "properties": ("attributes",),
                "into_properties": ((("body",), "body"),),
            }
        },
        any_unit=True,
        context=("^", "resource"),
        rename={"service.version": "app_version"},
        into_context=((("^", "scope"), "scope"), (("^", "schema_url"), "schema_url")),
        rest="context",
    ),
    bearer=True,
    unwrap=_unwrap,
    accept=_accept,
    refuse=_refuse,
)
