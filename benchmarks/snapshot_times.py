"""Measures how long an edit takes until it runs: compile, publish, link, swap; cold, and where 10 of 10,000 rules changed.

Meanwhile another thread runs events through the program that is in use, as a worker does; its longest batch says how much that is
held up. Seconds of CPU time of the thread that compiles, and by the clock (linking runs on a thread of its own).
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import workload
import workload_rules

from headwater.etl.linked import Linked
from headwater.kernel import Program
from headwater.registry.snapshot import Draft
from headwater.registry.store import SnapshotStore
from headwater.rules import Cache, compile_files

BATCH_EVENTS = 1000
FILES = 20
STEPS = ("compile", "publish", "link")


class Traffic:
    """A thread that runs batches through ``linked``, which may be replaced at any time."""

    def __init__(self, linked: Linked, batches: list[bytes]) -> None:
        self.linked = linked
        self.batches = batches
        self.times: list[tuple[int, float]] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        at = 0
        while not self._ended:
            snapshot, start = self.linked.snapshot.number, time.perf_counter()
            self.linked.program("app_events").run(self.batches[at % len(self.batches)])
            self.times.append((snapshot, time.perf_counter() - start))
            at += 1

    def end(self) -> None:
        self._ended = True
        self._thread.join()


class Project:
    """Rule files, and what is kept from one edit to the next."""

    def __init__(self, rules: int, directory: str) -> None:
        self.statements = re.split(r"(?=-- rule: )", workload.rules(rules))[1:]
        self.sources = workload_rules.sources()
        self.store = SnapshotStore(Path(directory))
        self.cache = Cache()
        self.edits = 0

    def files(self) -> dict[str, str]:
        """The rules as files of equal size."""
        size = -(-len(self.statements) // FILES)
        starts = range(0, len(self.statements), size)
        return {f"rules/{at:06d}.sql": "".join(self.statements[at : at + size]) for at in starts}

    def edit(self, count: int) -> None:
        """Changes so many rules, each in a file of its own where there are enough, and moves others by a line."""
        self.edits += 1
        step = len(self.statements) // count
        for at in range(self.edits % step, count * step, step):
            self.statements[at] = self.statements[at].replace("\nWHERE ", f"\nWHERE user_id <> 'edit {self.edits}'\n  AND ", 1)

    def take(self, cold: bool) -> tuple[Linked, dict[str, tuple[float, float]]]:
        """Compiles, publishes and links; the CPU and clock seconds of each."""
        cache = Cache() if cold else self.cache
        files = self.files()
        times = [(time.thread_time(), time.perf_counter())]
        compiled = compile_files(files, self.sources, cache)
        assert not compiled.errors, compiled.errors[0]
        times.append((time.thread_time(), time.perf_counter()))
        draft = Draft(project="bench", source="app_events", rules=compiled.rules, datasets=compiled.datasets)
        snapshot = self.store.publish(draft)
        times.append((time.thread_time(), time.perf_counter()))
        linked = Linked(snapshot)
        times.append((time.thread_time(), time.perf_counter()))
        spent = [(after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(times)]
        self.cache = cache
        return linked, dict(zip(STEPS, spent, strict=True))


def link_alone(linked: Linked, runs: int) -> list[float]:
    """Clock seconds of linking alone."""
    stored, found = linked.snapshot.physical(), []
    for _ in range(runs):
        start = time.perf_counter()
        Program(stored)
        found.append(time.perf_counter() - start)
    return found


def measured(rules: int, changed: int, edits: int, with_traffic: bool) -> dict[str, Any]:
    """All figures."""
    batches = list(workload.batches(workload.events(10_000, 11), BATCH_EVENTS))
    with tempfile.TemporaryDirectory() as directory:
        project = Project(rules, directory)
        linked, cold = project.take(cold=True)
        alone = link_alone(linked, 5)
        traffic = Traffic(linked, batches) if with_traffic else None
        found = []
        for _ in range(edits):
            project.edit(changed)
            linked, times = project.take(cold=False)
            if traffic:
                traffic.linked = linked
            found.append(times)
        if traffic:
            traffic.end()
    edit = {step: tuple(statistics.median(one[step][kind] for one in found) for kind in (0, 1)) for step in STEPS}
    ran = {"batches_meanwhile": len(traffic.times), "slowest_batch_s": max(s for _, s in traffic.times)} if traffic else {}
    shown = {"cold": with_sum(cold), f"{changed} changed": with_sum(edit), "link_alone_s": round(statistics.median(alone), 3)}
    return {"rules": rules, **shown, **ran}


def with_sum(times: dict[str, Any]) -> dict[str, list[float]]:
    """The steps and their sum, rounded."""
    total = [sum(one[kind] for one in times.values()) for kind in (0, 1)]
    return {step: [round(second, 3) for second in one] for step, one in {**times, "all": total}.items()}


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rules", type=int, default=10_000)
    arguments.add_argument("--changed", type=int, default=10, help="rules that an edit changes")
    arguments.add_argument("--edits", type=int, default=5)
    arguments.add_argument("--no-traffic", action="store_true", help="no events in another thread meanwhile")
    given = arguments.parse_args()
    print(json.dumps(measured(given.rules, given.changed, given.edits, not given.no_traffic)))


if __name__ == "__main__":
    main()
