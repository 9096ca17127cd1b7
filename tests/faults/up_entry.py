"""Runs `headwater up` for the tests that kill it: `up_entry.py MUTANT DIR`, broken on purpose unless MUTANT is `none`.

Each mutant breaks one promise that a test without kills would not miss. The pauses make the moment wide enough to be hit soon.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from headwater.cli.main import run


def sink_never_takes_back() -> None:
    """What was written after the last checkpoint stays in the file, and is written again."""
    from headwater.deliver.sinks.ndjson import NdjsonSink

    NdjsonSink._take_back = lambda self: None  # type: ignore[method-assign]


def sink_saves_before_it_writes() -> None:
    """The checkpoint names rows that are still in memory."""
    from headwater.deliver.sinks import ndjson

    write_all, held = ndjson.write_all, {}

    def later(descriptor: int, data: bytes) -> None:
        write_all(descriptor, held.get(descriptor, b""))
        held[descriptor] = data

    ndjson.write_all = later
    ndjson.NdjsonSink._take_back = lambda self: None  # type: ignore[method-assign]


def worker_commits_apart() -> None:
    """Offsets first, then outputs: in between, a kill loses the outputs."""
    from headwater.etl.worker import ClassWorker

    init = ClassWorker.__init__

    class Apart:
        def __init__(self, writer: Any) -> None:
            self._writer = writer

        def append(self, group: Any) -> None:
            self._writer.append(msgspec.structs.replace(group, batches=()))
            time.sleep(0.02)
            self._writer.append(msgspec.structs.replace(group, commits=(), state=()))

        def close(self) -> None:
            self._writer.close()

    def broken(self: ClassWorker, *given: Any) -> None:
        init(self, *given)
        self._writer = Apart(self._writer)  # type: ignore[assignment]

    ClassWorker.__init__ = broken  # type: ignore[method-assign]


def worker_forgets_its_window() -> None:
    """After a restart, what a client sends again is new."""
    from headwater.core.limits import DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW_MS
    from headwater.etl import worker
    from headwater.kernel import Deduplicator

    worker.restore = lambda *_: Deduplicator(DEDUPLICATION_WINDOW_MS, DEDUPLICATION_IDS_MAX)


def collector_answers_early() -> None:
    """The answer does not wait for the log."""
    from headwater.collect.append import Appender

    append = Appender.append
    tasks = set()

    async def early(self: Appender, batches: Any, size: int) -> None:
        async def late() -> None:
            await asyncio.sleep(0.02)
            await append(self, batches, size)

        tasks.add(asyncio.create_task(late()))

    Appender.append = early  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        sink_never_takes_back,
        sink_saves_before_it_writes,
        worker_commits_apart,
        worker_forgets_its_window,
        collector_answers_early,
    )
}

if __name__ == "__main__":
    mutant, directory = sys.argv[1:]
    if mutant != "none":
        MUTANTS[mutant]()
    sys.exit(run(["up", directory, "--port", "0", "--json"]))
