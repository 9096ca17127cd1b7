"""The collector as an ASGI app: authenticate → read → unpack → intake → append durably → answer."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog

from headwater.collect import body as bodies
from headwater.collect import cors, credentials, routes
from headwater.collect.admission import Admission
from headwater.collect.answer import Answer, Problem, ProblemError, refuse
from headwater.collect.append import Appender
from headwater.collect.dead_letter import whole_body
from headwater.collect.figures import Figures
from headwater.collect.plan import Linked, link
from headwater.collect.protocols import PROTOCOLS
from headwater.collect.protocols.interface import Endpoint, Incoming, Protocol, Reply, Unwrapped
from headwater.core.clock import monotonic_s, now_ms
from headwater.core.errors import AppendInDoubt, LogError, Overtaken
from headwater.core.ids import new_id
from headwater.core.limits import EVENT_BYTES_MAX, REQUEST_BODIES_BYTES_MAX, REQUEST_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX
from headwater.kernel import IntakeResult, body_text, split_by_class
from headwater.log.interface import Batch, Log
from headwater.registry.snapshot import Reporting, Snapshot, write_key_hash

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]

DEAD_LETTERS = "dead_letters"
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
_RETRY_AFTER_S = 1
_NOT_TAKEN = "nothing was taken; send it again"
_INTAKE_THREADS = 4
# Bodies that are unpacked and run at once; what they grow to is bounded one by one.
_INTAKE_RUNS_MAX = 8
# A small plain body is run where it is: handing it to a thread costs more than running it.
_INLINE_BYTES_MAX = 64 * 1024

_log = structlog.get_logger("headwater.collect")


class _Request(msgspec.Struct):
    """A request on its way."""

    protocol: Protocol
    endpoint: Endpoint
    linked: Linked
    incoming: Incoming
    ip: str
    key: str = ""
    app: str = ""


class Collector:
    """Takes events for one log. ``app`` is the ASGI app; it runs in one event loop.

    ``number`` is that of this collector among those of the log, and ``classes`` how many key classes the log has: class c goes
    to partition ``number`` · ``classes`` + c of the source, dead letters to 2 · ``number``. ``snapshot`` gives the one that is
    current; a new one is taken between two requests. What cannot be linked leaves the last good one running (`link_error` says
    why); the first has to link, else ValueError. Raises what `log.writer` raises. While the log refuses events, `log_error`
    says why.
    """

    def __init__(self, log: Log, snapshot: Callable[[], Snapshot], number: int = 0, classes: int = 1) -> None:
        self.link_error: str | None = None
        self.log_error: str | None = None
        self._snapshot = snapshot
        self._linked = link(snapshot())
        self._refused_hash = ""
        self._figures = Figures()
        self._number = number
        self._classes = classes
        self._appender = Appender(partial(log.writer, f"collect-{number}"))
        self._admission = Admission()
        self._threads = ThreadPoolExecutor(_INTAKE_THREADS, thread_name_prefix="intake")
        self._slots = asyncio.Semaphore(_INTAKE_RUNS_MAX)
        self._in_flight = 0
        self._held_bytes = 0
        self._draining = False

    def figures(self) -> dict[str, Any]:
        """received = accepted + dropped + dead, in events; `docs/collect.md` names the reasons. Safe from any thread."""
        return self._figures.to_json()

    def drain(self) -> None:
        """From now on refuses new requests (503); those in flight go on. For a stop in order."""
        self._draining = True

    def close(self) -> None:
        """Gives up the shard. Call it when no request is in flight any more."""
        self._draining = True
        self._appender.close()
        self._threads.shutdown()

    @property
    def app(self) -> Collector:
        """The ASGI app: the collector itself, since servers do not recognise a method as one."""
        return self

    async def __call__(self, scope: Scope, receive: bodies.Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            raise ValueError(f"the collector speaks http, not {scope['type']}")
        linked = self._current()
        try:
            answer = await self._answer(scope, receive, linked)
        except bodies.DisconnectedError:
            self._figures.refuse("disconnected")
            return None
        except Exception as error:
            # No text of the error, nor its locals: events and the write key may be in them.
            where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            _log.error("request_failed", path=scope["path"][:100], error=type(error).__name__, where=where)
            self._figures.refuse("internal_error")
            answer = refuse(Problem(500, "internal_error", "the collector failed", "send it again; its log says more"))
        headers = (
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            (b"headwater-config", linked.version.encode()),
            *answer.headers,
        )
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _current(self) -> Linked:
        """The snapshot to run: links a new one aside, and keeps the old one where that fails."""
        snapshot = self._snapshot()
        if snapshot.hash not in (self._linked.snapshot.hash, self._refused_hash) or (
            snapshot.hash == self._linked.snapshot.hash and snapshot.number != self._linked.snapshot.number
        ):
            try:
                self._linked = link(snapshot)
                self.link_error = None
            except ValueError as error:
                self._refused_hash = snapshot.hash
                self.link_error = str(error)
                _log.error("snapshot_not_linked", number=snapshot.number, running=self._linked.snapshot.number, error=str(error))
        return self._linked

    async def _answer(self, scope: Scope, receive: bodies.Receive, linked: Linked) -> Answer:
        path, method = scope["path"], scope["method"]
        if path == "/health":
            status = "draining" if self._draining else "ok"
            return Answer(503 if self._draining else 200, msgspec.json.encode({"status": status, "snapshot": linked.version}))
        if path == "/ready":
            return await self._ready(linked)
        route = routes.find(path)
        if route is None:
            hint = f"valid are {', '.join(routes.paths())}"
            return refuse(Problem(404, "not_found", f"there is nothing at {path[:100]}", hint))
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        incoming = Incoming(method, path, query, dict(scope["headers"]), route.names, scheme=scope.get("scheme", "http"))
        answer = await self._route(scope, receive, linked, route, incoming)
        return msgspec.structs.replace(answer, headers=(*cors.headers(route.protocol, incoming), *answer.headers))

    async def _ready(self, linked: Linked) -> Answer:
        """Whether events would be taken. Where the log refused some it is asked anew: no more may come to show that it mended."""
        if not self._draining and self.log_error is not None:
            try:
                await self._appender.check(f"collect-{self._number}/checked")
                self.log_error = None
            except LogError as error:
                self.log_error = f"events are refused, since the log cannot store them: {error}"
        status = "draining" if self._draining else "log_unavailable" if self.log_error else "ok"
        return Answer(200 if status == "ok" else 503, msgspec.json.encode({"status": status, "snapshot": linked.version}))

    async def _route(
        self, scope: Scope, receive: bodies.Receive, linked: Linked, route: routes.Route, incoming: Incoming
    ) -> Answer:
        protocol, target = route.protocol, route.target
        if incoming.method == "OPTIONS":
            return Answer(204, b"", protocol.preflight(incoming))
        if incoming.method not in target.methods and not (incoming.method == "HEAD" and "GET" in target.methods):
            valid = ", ".join((*target.methods, "OPTIONS"))
            problem = Problem(405, "method_not_allowed", f"{incoming.path[:100]} takes {', '.join(target.methods)}")
            return msgspec.structs.replace(protocol.refuse(problem, incoming), headers=((b"allow", valid.encode()),))
        if isinstance(target, Reply):
            return target.answer(incoming)
        client = scope.get("client")
        request = _Request(protocol, target, linked, incoming, client[0] if client else "")
        try:
            return await self._admit(request, receive)
        except ProblemError as error:
            return request.protocol.refuse(error.problem, incoming)

    async def _admit(self, request: _Request, receive: bodies.Receive) -> Answer:
        """Turns away what there is no room for; the rest is taken."""
        declared = request.incoming.headers.get(b"content-length", b"")
        held = min(int(declared), REQUEST_BYTES_MAX) if declared.isdigit() else REQUEST_BYTES_MAX
        if self._draining:
            raise self._refuse("draining", "the collector is stopping", close=True)
        if self._in_flight >= REQUESTS_IN_FLIGHT_MAX or self._held_bytes + held > REQUEST_BODIES_BYTES_MAX:
            raise self._refuse("busy", "too many requests are in flight", close=True)
        self._in_flight += 1
        self._held_bytes += held
        try:
            return await self._take(request, receive)
        except bodies.DisconnectedError:
            raise
        except ProblemError as error:
            if error.problem.status == 408:
                self._figures.refuse("timeout")
            elif error.problem in (bodies.TOO_LARGE, bodies.EXPANDS):
                self._figures.drop("body_too_large")
            raise
        finally:
            self._in_flight -= 1
            self._held_bytes -= held

    def _refuse(self, reason: str, text: str, hint: str = _NOT_TAKEN, *, close: bool = False) -> ProblemError:
        self._figures.refuse(reason)
        return ProblemError(Problem(503, reason, text, hint, _RETRY_AFTER_S, close))

    async def _take(self, request: _Request, receive: bodies.Receive) -> Answer:
        incoming = request.incoming
        key = credentials.from_headers(incoming.headers, request.protocol)
        if key is not None:
            self._authenticate(request, key)
        encoding = incoming.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"", b"gzip", b"x-gzip"):
            self._figures.drop("unsupported_encoding")
            raise ProblemError(Problem(415, "unsupported_encoding", "Content-Encoding is not known", "valid are gzip, identity"))
        body = await bodies.read(receive, incoming.headers)
        if not body and incoming.method == "POST" and not incoming.query and not request.endpoint.bodiless:
            self._figures.drop("empty_body")
            raise ProblemError(Problem(400, "empty_body", "the request has no body", "send at least one event"))
        # Some clients do not say that a body is gzip; nothing that is not begins like it.
        packed = encoding.endswith(b"gzip") or body[:2] == bodies.GZIP_MAGIC
        async with self._slots:
            received_time = now_ms()
            if packed or len(body) > _INLINE_BYTES_MAX:
                loop = asyncio.get_running_loop()
                outcome, batches = await loop.run_in_executor(self._threads, self._run, request, body, packed, received_time)
            else:
                outcome, batches = self._run(request, body, packed, received_time)
            size = sum(len(batch.data) for batch in batches)
            await self._durably(self._appender.reserve(size))
        if batches:
            await self._durably(self._appender.append(batches, size))
            self.log_error = None
        return self._account(request, outcome, body)

    def _authenticate(self, request: _Request, key: str) -> None:
        app = request.linked.apps.get(write_key_hash(key)) if key else None
        if app is None:
            self._figures.drop("wrong_key")
            hint = "give it as user name of Basic authorization or in the header Headwater-Key"
            if request.protocol.key_paths:
                hint += f", or as {'.'.join(request.protocol.key_paths[0])} in the body"
            text = "no app has this write key" if key else "the request has no write key"
            raise ProblemError(Problem(401, "wrong_key", text, hint))
        request.key, request.app = key, app
        if reporting := request.linked.reporting.get(app):
            self._admit_app(request, reporting)

    def _admit_app(self, request: _Request, reporting: Reporting) -> None:
        """Turns away what the app's plan does not want."""
        origin = request.incoming.header(b"origin")
        if origin and reporting.origins and origin.lower() not in reporting.origins:
            self._figures.refuse("origin_not_allowed")
            raise ProblemError(Problem(403, "origin_not_allowed", f"pages of {origin[:100]} may not report events of this app"))
        if not reporting.events_per_s:
            return
        wait_s = self._admission.retry_after_s(request.app, reporting.events_per_s, monotonic_s())
        if wait_s is not None:
            self._figures.refuse("rate_limited")
            text = f"the app has reported more than {reporting.events_per_s} events a second"
            raise ProblemError(Problem(429, "rate_limited", text, _NOT_TAKEN, wait_s))

    def _run(
        self, request: _Request, body: bytes, packed: bool, received_time: int
    ) -> tuple[IntakeResult | bodies.BodyError, tuple[Batch, ...]]:
        """Unpacks and runs a body: what came of it, and what is to be appended. In a thread where that takes long."""
        outcome = self._intake(request, body, packed, received_time)
        return outcome, self._batches(request, outcome, body, received_time)

    def _intake(self, request: _Request, body: bytes, packed: bool, received_time: int) -> IntakeResult | bodies.BodyError:
        incoming = request.incoming
        try:
            incoming.body = bodies.unpack(body) if packed else body
            unwrapped = request.protocol.unwrap(incoming, request.endpoint)
        except bodies.BodyError as error:
            self._authenticate_by_body(request, error.key, None)
            return error
        if unwrapped.protocol:
            request.protocol = BY_NAME[unwrapped.protocol]
        self._authenticate_by_body(request, unwrapped.key, unwrapped)
        return request.linked.intake.run(
            unwrapped.content,
            protocol=request.protocol.name,
            shape=unwrapped.shape,
            variant=unwrapped.variant,
            app=request.app,
            received_time=received_time,
            seed=bytes.fromhex(new_id()),
            ip=request.ip if unwrapped.address and not unwrapped.anonymous else "",
            user_agent="" if unwrapped.anonymous else incoming.header(b"user-agent")[:1024],
            client_side=unwrapped.direct or b"origin" in incoming.headers,
            write_key=request.key,
        )

    def _authenticate_by_body(self, request: _Request, key: str | None, unwrapped: Unwrapped | None) -> None:
        if request.app:
            return
        if key is None and unwrapped and request.protocol.key_paths:
            key = body_text(unwrapped.content, request.protocol.key_paths, request.protocol.mapping.list)
        self._authenticate(request, key or "")

    def _batches(
        self, request: _Request, outcome: IntakeResult | bodies.BodyError, body: bytes, received_time: int
    ) -> tuple[Batch, ...]:
        snapshot = request.linked.snapshot
        if isinstance(outcome, bodies.BodyError):
            if len(body) > EVENT_BYTES_MAX:
                return ()
            letter = whole_body(outcome.reason, str(outcome), request.app, received_time, snapshot.number, body)
            return (Batch(DEAD_LETTERS, 2 * self._number, letter, 1),)
        batches = []
        if outcome.accepted and self._classes == 1:
            batches.append(Batch(snapshot.source, self._number, outcome.records, outcome.accepted))
        elif outcome.accepted:
            first = self._number * self._classes
            parts = split_by_class(outcome.records, self._classes)
            batches += [Batch(snapshot.source, first + key_class, records, count) for key_class, count, records in parts]
        if outcome.dead:
            batches.append(Batch(DEAD_LETTERS, 2 * self._number, outcome.dead_records, outcome.dead))
        return tuple(batches)

    async def _durably(self, step: Awaitable[None]) -> None:
        try:
            await step
        except LogError as error:
            if self.log_error is None:
                _log.error("log_unavailable", error=str(error))
            self.log_error = f"events are refused, since the log cannot store them: {error}"
            if isinstance(error, Overtaken | AppendInDoubt):
                text, hint = "it is not known whether the events were stored", "send them again; a repeated event id counts once"
                raise self._refuse("log_in_doubt", text, hint) from None
            raise self._refuse("log_unavailable", "the events cannot be stored now") from None

    def _account(self, request: _Request, outcome: IntakeResult | bodies.BodyError, body: bytes) -> Answer:
        """Counts what is durable now, and answers."""
        if isinstance(outcome, bodies.BodyError):
            if len(body) > EVENT_BYTES_MAX:
                self._figures.drop("oversize")
            else:
                self._figures.dead(outcome.reason)
            raise ProblemError(Problem(outcome.status, outcome.reason, str(outcome)))
        if outcome.too_large:
            what, limit = outcome.too_large
            self._figures.drop("body_too_large")
            raise ProblemError(Problem(413, "body_too_large", f"the request has too many {what}", f"valid are at most {limit}"))
        self._figures.add(outcome)
        self._admission.took(request.app, outcome.accepted + outcome.dead + outcome.dropped)
        if outcome.broken and not outcome.accepted:
            raise ProblemError(Problem(400, "malformed", "no event could be made out of the body", outcome.broken))
        return request.protocol.accept(outcome, request.incoming)


async def _lifespan(receive: bodies.Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
