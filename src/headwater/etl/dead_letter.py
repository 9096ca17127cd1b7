"""Dead letters of this hop: what a rule failed on, and what is no JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from headwater.core.limits import WORKER_OUTPUT_BYTES_MAX
from headwater.core.record import Record, decode_all, encode
from headwater.kernel import Result

RULE_FAILED = "rule_failed"
OUTPUTS_TOO_LARGE = "outputs_too_large"


class _Who(msgspec.Struct):
    app: str | None = None
    event: str | None = None


def raw_field(raw: bytes) -> dict[str, Any]:
    """``raw`` as text, or ``raw_base64`` where the bytes are not UTF-8."""
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": raw}


def why_failed(rule: str, column: str, operation: str) -> dict[str, Any]:
    """What a dead letter says of a rule that failed.

    The text of a Python function's error stands in ``error`` by itself: it may hold what the event does.
    """
    why = {"reason": RULE_FAILED, "rule": rule, "column": column or None, "detail": operation}
    if operation.startswith("udf ") and operation.count(": ") > 1:
        function, kind, _text = operation.split(": ", 2)
        why |= {"detail": f"{function}: {kind}", "error": operation.removeprefix(f"{function}: ")}
    return why


def as_json(fields: dict[str, Any]) -> bytes:
    """A JSON object; what is None is left out, bytes stand as base64."""
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not None})


def letters(batch: bytes, result: Result, rule_names: Sequence[str], snapshot: int) -> tuple[bytes, int]:
    """The dead letters of a batch of records, as records, and their number. Raises ValueError where the batch is no records.

    A letter keeps the header of what it is about: key, tier, times, event_id, origin, and the rule that failed.
    """
    if not result.rejects and not result.failures:
        return b"", 0
    records = list(decode_all(batch))
    found = [
        _letter(records[index], snapshot, "", {"reason": reason, "detail": f"at byte {position}"})
        for index, _, _, reason, position in result.rejects
    ]
    for index, _, _, rule, column, operation in result.failures:
        name = rule_names[rule]
        found.append(_letter(records[index], snapshot, name, why_failed(name, column, operation)))
    return b"".join(found), len(found)


def letter_for_too_large(batch: bytes, snapshot: int) -> bytes:
    """The dead letter of a batch of one event, whose outputs together are more than an append group holds."""
    (record,) = decode_all(batch)
    detail = f"its outputs are more than {WORKER_OUTPUT_BYTES_MAX} bytes together"
    return _letter(record, snapshot, "", {"reason": OUTPUTS_TOO_LARGE, "detail": detail})


def _letter(record: Record, snapshot: int, rule: str, why: dict[str, Any]) -> bytes:
    topic, partition, offset = record.origin or ("", 0, 0)
    origin = {"topic": topic, "partition": partition, "offset": offset}
    try:
        who = msgspec.json.decode(record.payload, type=_Who)
    except (msgspec.DecodeError, UnicodeDecodeError):
        who = _Who()
    place = {"hop": "etl", "app": who.app, "event": who.event, "origin": origin, "received_time": record.received_time}
    return encode(
        Record(
            payload=as_json(why | place | raw_field(record.payload)),
            key=record.key,
            tier=record.tier,
            event_time=record.event_time,
            received_time=record.received_time,
            event_id=record.event_id,
            origin=record.origin,
            rule=rule,
            snapshot=snapshot,
        )
    )
