"""One HTTP connection under uvicorn, with bounds that uvicorn lacks: time to send a request, and the size of its head."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headwater.core.limits import REQUEST_HEAD_BYTES_MAX, REQUEST_READ_S_MAX


class HttpConnection(HttpToolsProtocol):
    """Give it to uvicorn: ``uvicorn.Config(collector.app, http=HttpConnection)``.

    A connection that is no request after REQUEST_READ_S_MAX, be it silent or slow, is closed; so is one whose head is larger than
    REQUEST_HEAD_BYTES_MAX. The time of a body is the collector's to bound.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._began = False
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._began = False
        super().data_received(data)
        # What came with the first bytes of a head may be the body before it, so it does not count.
        if self._in_head and not self._began:
            self._head_bytes += len(data)
            if self._head_bytes > REQUEST_HEAD_BYTES_MAX:
                self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        super().on_message_begin()
        self._in_head, self._began, self._head_bytes = True, True, 0

    def on_headers_complete(self) -> None:
        """The head of a request is whole."""
        self._in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """A request was answered; a further one may come."""
        super().on_response_complete()
        self._wait_for_request()

    def _wait_for_request(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(REQUEST_READ_S_MAX, self._give_up)

    def _give_up(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._wait_for_request()
        else:
            self.transport.close()
