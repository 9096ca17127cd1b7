"""A bare ASGI app: the page, its style and script, /status.json that it asks for every two seconds, and /metrics."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.resources import files
from typing import Any, TypeAlias

import msgspec
import structlog

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATHS = frozenset({"/", "/status.json", "/status.css", "/status.js", "/metrics"})
"""What the page answers; whoever shares its port sends these here."""

_STATIC = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/status.css": ("page.css", "text/css; charset=utf-8"),
    "/status.js": ("page.js", "text/javascript; charset=utf-8"),
}
# Names of events are whatever a client sent. The page writes them as text only; this holds even if it once did not.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_log = structlog.get_logger()


class StatusPage:
    """The app. ``status`` gives the value of /status.json, ``metrics`` the text of /metrics (Prometheus' format 0.0.4).

    Each is called in a thread, once for each request.
    """

    def __init__(self, status: Callable[[], dict[str, Any]], metrics: Callable[[], str]) -> None:
        self._figures: dict[str, tuple[Callable[[], bytes], bytes]] = {
            "/status.json": (lambda: msgspec.json.encode(status()), b"application/json"),
            "/metrics": (lambda: metrics().encode(), b"text/plain; version=0.0.4; charset=utf-8"),
        }
        self._static: dict[str, tuple[bytes, bytes, bytes]] = {}
        for path, (name, kind) in _STATIC.items():
            body = (files("headwater.console") / name).read_bytes()
            self._static[path] = (body, kind.encode(), f'"{hashlib.sha256(body).hexdigest()[:20]}"'.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; paths that are not in `PATHS` get 404."""
        if scope["type"] != "http":
            raise RuntimeError(f"the status page answers HTTP only; got {scope['type']}")
        path, method = scope["path"], scope["method"]
        if path not in PATHS:
            await _error(send, method, 404, "not_found", f"there is nothing at {path}")
        elif method not in ("GET", "HEAD"):
            await _error(
                send, method, 405, "method_not_allowed", f"{method} is not possible here; GET is", (b"allow", b"GET, HEAD")
            )
        elif path in self._figures:
            await self._answer_figures(send, method, *self._figures[path])
        else:
            body, kind, etag = self._static[path]
            known = any(name == b"if-none-match" and etag in value for name, value in scope["headers"])
            headers = ((b"content-type", kind), (b"etag", etag), (b"cache-control", b"no-cache"))
            await _answer(send, method, 304 if known else 200, b"" if known else body, *headers)

    async def _answer_figures(self, send: Send, method: str, figures: Callable[[], bytes], kind: bytes) -> None:
        try:
            body = await asyncio.to_thread(figures)
        except Exception as error:
            # The page says that figures cannot be had and asks again; what it shows must not depend on every room being well.
            _log.error("status_failed", error=f"{type(error).__name__}: {error}")
            await _error(send, method, 503, "status_failed", "the figures cannot be had now; the log of the process says why")
            return
        await _answer(send, method, 200, body, (b"content-type", kind), (b"cache-control", b"no-store"))


async def _error(send: Send, method: str, status: int, code: str, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode({"error": {"code": code, "message": text}})
    await _answer(send, method, status, body, (b"content-type", b"application/json"), *headers)


async def _answer(send: Send, method: str, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS, length]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
