"""The HTTP server of one process: the collector and the status page on one port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import structlog
import uvicorn

from headwater.collect import HttpConnection
from headwater.console import PATHS, StatusPage
from headwater.core.errors import AddressInUse
from headwater.embedded.metrics import metrics
from headwater.embedded.process import Embedded
from headwater.embedded.status import status

# Together they stay below the ten seconds after which process supervisors commonly kill.
REQUESTS_FINISH_S = 4
DRAIN_S = 5.0
_log = structlog.get_logger()


def bind(host: str, port: int) -> socket.socket:
    """A socket at that address; port 0 takes a free one. Raises AddressInUse where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as e:
        listener.close()
        raise AddressInUse(f"cannot listen on {host}:{port}: {e.strerror}; choose another with --port or --host") from None
    return listener


def serve(embedded: Embedded, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT: then no connection is accepted, requests and records under way are finished.

    A second signal ends the process at once. ``ready`` is called once requests are answered. Raises ValueError where the process
    runs no collector.
    """
    config = uvicorn.Config(
        _app(embedded),
        loop="uvloop",
        http=HttpConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_FINISH_S,
    )
    embedded.start()
    server = _Server(config, ready)
    server.run(sockets=[listener])
    if not embedded.stop(DRAIN_S):
        _log.warning("not all that was logged is delivered yet; the next start goes on with it")
        sys.stdout.flush()
        # The threads are still at work: an interpreter that goes away under them may crash, which would look like a failure.
        os._exit(0)


def _app(embedded: Embedded) -> Any:
    page = StatusPage(partial(status, embedded), partial(metrics, embedded))
    if embedded.collector is None:
        raise ValueError("a process without a collector has nothing to serve")
    collect = embedded.collector.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (page if scope["type"] == "http" and scope["path"] in PATHS else collect)(scope, receive, send)

    return app


class _Server(uvicorn.Server):
    """With signals of our own: uvicorn's would raise them again at the end, and so end the process before it has drained."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then says so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The handlers stay until the process ends, so that a second signal also ends a drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        yield

    def _stop(self, number: int, _frame: object) -> None:
        if self.should_exit:
            os._exit(128 + number)
        _log.info("stopping; a second signal ends it at once", signal=signal.Signals(number).name)
        self.should_exit = True
