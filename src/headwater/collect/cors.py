"""What browsers want to hear before they let a page of another site talk to the collector, and read its answers."""

from __future__ import annotations

from headwater.collect.protocols.interface import Incoming, Protocol

_EXPOSED = (b"access-control-expose-headers", b"Headwater-Config, Retry-After")
_METHODS = (b"access-control-allow-methods", b"GET, POST, OPTIONS")
_MAX_AGE = (b"access-control-max-age", b"86400")
_ASKED_BYTES_MAX = 1024


def headers(protocol: Protocol, incoming: Incoming) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of an answer. Any page may report; where its browser sends cookies along, it has to be named."""
    origin = incoming.headers.get(b"origin")
    said: tuple[tuple[bytes, bytes], ...]
    if origin is not None and protocol.credentials:
        said = ((b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true"), (b"vary", b"Origin"))
    else:
        said = ((b"access-control-allow-origin", b"*"),)
    if incoming.method != "OPTIONS":
        return (*said, _EXPOSED)
    asked = incoming.headers.get(b"access-control-request-headers", b"")[:_ASKED_BYTES_MAX]
    return (*said, _METHODS, (b"access-control-allow-headers", asked or b"Authorization, Content-Type, Headwater-Key"), _MAX_AGE)
