"""Finds the write key of a request. It is never logged, nor kept."""

from __future__ import annotations

import base64
import binascii

from headwater.collect.protocols.interface import Protocol


def from_headers(headers: dict[bytes, bytes], protocol: Protocol) -> str | None:
    """The write key that the headers carry: `Headwater-Key`, the user name of Basic or the token of Bearer where the protocol
    takes them. None where there is none; "" where what is there cannot be read."""
    own = headers.get(b"headwater-key")
    if own:
        return own.decode("latin-1").strip()
    scheme, _, value = headers.get(b"authorization", b"").strip().partition(b" ")
    match scheme.lower():
        case b"basic" if protocol.basic:
            return basic_user(headers)
        case b"bearer" if protocol.bearer:
            return value.decode("latin-1").strip()
    return None


def basic_user(headers: dict[bytes, bytes]) -> str | None:
    """The user name of Basic authorization. None where there is none; "" where it cannot be read."""
    scheme, _, value = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
