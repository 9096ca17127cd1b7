"""Measures one program on one and on two threads: events a second by the clock, in turns, and the ratio of their medians.

Needs two cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import workload
import workload_rules

from headwater.kernel import Program

BATCH_EVENTS = 1000
SEED = 11


def rate(program: Program, batches: list[bytes], threads: int, seconds: float) -> float:
    """Events a second of so many threads together."""
    ran = [0] * threads
    ends = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < ends:
            for batch in batches:
                _ = program.run(batch).outputs
            ran[number] += len(batches)

    started = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return sum(ran) * BATCH_EVENTS / (time.perf_counter() - start)


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rules", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=2.0, help="of one run")
    arguments.add_argument("--runs", type=int, default=7)
    given = arguments.parse_args()
    program = Program(workload_rules.stored_rules(given.rules))
    batches = list(workload.batches(workload.events(10_000, SEED), BATCH_EVENTS))
    rates: dict[int, list[float]] = {1: [], 2: []}
    rate(program, batches, 2, 0.2)
    for _ in range(given.runs):
        for threads, found in rates.items():
            found.append(rate(program, batches, threads, given.seconds))
    one, two = (statistics.median(found) for found in rates.values())
    print(f"{given.rules:,} rules: one thread {one:,.0f} events/s, two {two:,.0f}, ratio {two / one:.2f}")


if __name__ == "__main__":
    main()
