"""Dead letters of this hop: what a rule failed on, and what is no JSON object."""

from __future__ import annotations

from typing import Any

import msgspec

RULE_FAILED = "rule_failed"


def raw_field(raw: bytes) -> dict[str, Any]:
    """``raw`` as text, or ``raw_base64`` where the bytes are not UTF-8."""
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": raw}


def line(fields: dict[str, Any]) -> bytes:
    """One line of JSON; what is None is left out, bytes stand as base64."""
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not None}) + b"\n"
