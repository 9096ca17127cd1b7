"""Reads a request's body within bounds of bytes and time, and unpacks gzip within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from isal import isal_zlib

from headwater.collect.answer import Problem, ProblemError
from headwater.core.clock import monotonic_s
from headwater.core.limits import (
    REQUEST_BYTES_MAX,
    REQUEST_DECODED_BYTES_MAX,
    REQUEST_DRAIN_BYTES_MAX,
    REQUEST_DRAIN_S_MAX,
    REQUEST_READ_S_MAX,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]

TOO_LARGE = Problem(413, "body_too_large", "the body is too large", f"valid are at most {REQUEST_BYTES_MAX} bytes", close=True)
EXPANDS = Problem(
    413, "body_too_large", "the body unpacks to too much", f"valid are at most {REQUEST_DECODED_BYTES_MAX} bytes unpacked"
)


GZIP_MAGIC = b"\x1f\x8b"
_IsalError = cast(type[Exception], isal_zlib.error)
# A gzip file may be several, one after the other; a body that is very many is an attack.
_GZIP_MEMBERS_MAX = 64


class DisconnectedError(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


class BodyError(ValueError):
    """A body whose wrapping cannot be taken off: it becomes a dead letter as a whole. ``reason`` is the dead letter's.

    ``status`` is that of the answer; ``key`` the write key, where the wrapping had it all the same.
    """

    def __init__(self, reason: str, detail: str, status: int = 400, key: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = status
        self.key = key


async def read(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """The body as sent. Raises ProblemError (408, 413) and DisconnectedError."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > REQUEST_BYTES_MAX:
        await _drain(receive, headers, int(declared))
        raise ProblemError(TOO_LARGE)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(REQUEST_READ_S_MAX):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise DisconnectedError
                parts.append(event.get("body", b""))
                size += len(parts[-1])
                if size > REQUEST_BYTES_MAX:
                    parts.clear()
                    break
                if not event.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        detail = f"it has to be whole after {REQUEST_READ_S_MAX:g} s"
        raise ProblemError(Problem(408, "timeout", "the body did not arrive in time", detail, close=True)) from None
    await _drain(receive, headers, size)
    raise ProblemError(TOO_LARGE)


async def _drain(receive: Receive, headers: dict[bytes, bytes], declared: int) -> None:
    """Reads and forgets some more, since a client that is still writing may otherwise see a reset in place of the answer.

    Not where the client waits for our word before it sends, nor where the body is beyond all measure.
    """
    if headers.get(b"expect", b"").lower() == b"100-continue" or declared > REQUEST_DRAIN_BYTES_MAX:
        return
    left = REQUEST_DRAIN_BYTES_MAX
    deadline = monotonic_s() + REQUEST_DRAIN_S_MAX
    try:
        async with asyncio.timeout(REQUEST_DRAIN_S_MAX):
            while left > 0 and monotonic_s() < deadline:
                event = await receive()
                left -= len(event.get("body", b""))
                if event["type"] == "http.disconnect" or not event.get("more_body", False):
                    return
    except TimeoutError:
        return


def unpack(body: bytes) -> bytes:
    """The content of a gzip body, all members of it. Raises BodyError, and ProblemError (413) before it holds too much."""
    parts: list[bytes] = []
    size = 0
    rest = body
    for _ in range(_GZIP_MEMBERS_MAX):
        member = isal_zlib.decompressobj(wbits=31)
        chunk = rest
        while not member.eof:
            try:
                part = member.decompress(chunk, REQUEST_DECODED_BYTES_MAX + 1 - size)
            except _IsalError as error:
                raise BodyError("invalid_gzip", f"the body is not gzip: {error}") from None
            chunk = member.unconsumed_tail
            parts.append(part)
            size += len(part)
            if size > REQUEST_DECODED_BYTES_MAX:
                raise ProblemError(EXPANDS)
            if not member.eof and not chunk and not part:
                raise BodyError("invalid_gzip", "the body is not gzip, or it is cut off")
        rest = member.unused_data
        if not rest:
            return b"".join(parts)
    raise BodyError("invalid_gzip", f"the body has more than {_GZIP_MEMBERS_MAX} gzip members")
