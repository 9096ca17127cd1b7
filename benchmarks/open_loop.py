"""Appends that arrive at fixed times, whether earlier ones are done or not; latency counts from when an append should have begun.

Who waits for one answer before sending the next measures a stall once, however many appends would have met it: coordinated
omission.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from log_load import run_threads

Clock = Callable[[], float]


class Latencies(NamedTuple):
    """Milliseconds of every append from its intended start; ``started_late`` is the part before it really began."""

    done: list[float]
    started_late: list[float]
    seconds: float

    def figures(self, events_an_append: int) -> dict[str, float]:
        """What is shown of them."""
        names = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0))
        return {
            **{name: round(percentile(self.done, part), 2) for name, part in names},
            "started_late_p99_ms": round(percentile(self.started_late, 0.99), 2),
            "events_per_second": round(len(self.done) * events_an_append / self.seconds),
            "appends": len(self.done),
        }


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that is no smaller than this part of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)]


def run(
    append: Callable[[int], object],
    arrivals: int,
    interval_s: float,
    threads: int,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Latencies:
    """Calls ``append(number)`` for 0, 1, … at intervals, from so many threads. What it raises is raised here.

    An append that finds no thread free waits, and its wait counts.
    """
    numbers = itertools.count()
    done, late = [0.0] * arrivals, [0.0] * arrivals
    failed: list[BaseException] = []
    start = clock() + interval_s

    def work() -> None:
        try:
            while (number := next(numbers)) < arrivals and not failed:
                intended = start + number * interval_s
                while (ahead := intended - clock()) > 0:
                    sleep(ahead)
                late[number] = 1000 * (clock() - intended)
                append(number)
                done[number] = 1000 * (clock() - intended)
        except BaseException as e:
            failed.append(e)

    run_threads(work, threads)
    if failed:
        raise failed[0]
    # The last arrival's interval belongs to the time that so many events took.
    return Latencies(done, late, max(clock() - start, arrivals * interval_s))
