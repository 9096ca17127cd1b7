"""The dead letter of a body that could not even be unpacked. The kernel writes those of items."""

from __future__ import annotations

import base64

import msgspec

from headwater.core.record import Record, encode


def whole_body(reason: str, detail: str, app: str, received_time: int, snapshot: int, raw: bytes) -> bytes:
    """The record of a dead letter; ``raw`` is the body as it was sent."""
    letter = {
        "reason": reason,
        "hop": "collect",
        "app": app,
        "detail": detail,
        "received_time": received_time,
        "raw_base64": base64.b64encode(raw).decode(),
    }
    return encode(Record(payload=msgspec.json.encode(letter), received_time=received_time, snapshot=snapshot))
