"""What the kernel counts while workers run: kept in memory, from the start of the process, over all rule sets that ran.

`Figures` are the balances and are committed with the outputs; these are for watching, and start anew with the process.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

from headwater.kernel import Counters, Program, Result


class KernelCounts:
    """The counts of all key classes of a process. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Program, Counters] = {}
        self._events: Counter[str] = Counter()
        self._counts: dict[str, dict[str, Counter[str]]] = {"rules": {}, "fields": {}, "datasets": {}}

    def retire(self, programs: Collection[Program]) -> None:
        """These programs run no more; what they counted is kept."""
        with self._lock:
            for program in programs:
                if (counters := self._running.pop(program, None)) is not None:
                    _add(self._events, self._counts, counters)

    def add(self, program: Program, result: Result) -> None:
        """Adds a batch that the program ran."""
        with self._lock:
            if program not in self._running:
                self._running[program] = Counters(program)
            self._running[program].add(result)

    def view(self) -> dict[str, Any]:
        """{"events", "rejects", "sampled", "timed", "rules", "fields", "datasets"}: names and counts as in `kernel.Counters`."""
        with self._lock:
            events = Counter(self._events)
            counts = {kind: {name: Counter(each) for name, each in known.items()} for kind, known in self._counts.items()}
            for counters in self._running.values():
                _add(events, counts, counters)
        totals = {name: events[name] for name in ("events", "rejects", "sampled", "timed")}
        return {**totals, **{kind: {name: dict(each) for name, each in known.items()} for kind, known in counts.items()}}


def _add(events: Counter[str], counts: dict[str, dict[str, Counter[str]]], counters: Counters) -> None:
    events.update(events=counters.events(), rejects=counters.rejects(), sampled=counters.sampled(), timed=counters.timed())
    for kind, found in (("rules", counters.rules()), ("fields", counters.fields()), ("datasets", counters.outputs())):
        for name, each in found.items():
            counts[kind].setdefault(name, Counter()).update(each)
