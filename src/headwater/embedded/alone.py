"""A process without an HTTP server: runs until a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

import structlog

from headwater.core.errors import LogError
from headwater.embedded.process import Embedded
from headwater.embedded.server import DRAIN_S

_LOOK_S = 0.1
_log = structlog.get_logger()


def run(embedded: Embedded, ready: Callable[[], None]) -> None:
    """Runs until SIGTERM or SIGINT, then finishes what is under way. A second signal ends the process at once.

    ``ready`` is called once it runs. Raises LogError where another process took its place.
    """
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        if asked:
            os._exit(128 + number)
        # No lock may be taken in a handler: the thread that it interrupts may hold it.
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    embedded.start()
    ready()
    pause = threading.Event()
    while not asked and (embedded.shares is None or embedded.shares.failed is None):
        pause.wait(_LOOK_S)
    _log.info("stopping; a second signal ends it at once")
    if not embedded.stop(DRAIN_S):
        _log.warning("not all that was under way could be finished; whoever goes on does it again, and nothing comes out twice")
        sys.stdout.flush()
        os._exit(0)
    if embedded.shares is not None and embedded.shares.failed is not None:
        raise LogError(embedded.shares.failed)
