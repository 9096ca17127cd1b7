"""Measures rows as Arrow beside the same rows as JSON: events a second of CPU time of one thread.

`json` hands the rows over as `bytes`, `arrow` as what the kernel filled, `pyarrow` as record batches that pyarrow has taken. What
a record batch costs by itself, mostly in pyarrow, is paid once a dataset and column: larger batches make it small.
"""

from __future__ import annotations

import argparse
import json

import pyarrow
import workload
import workload_rules

import kernel
from headwater.kernel import Program


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rules", type=int, nargs="*", default=[100, 1000])
    arguments.add_argument("--batch", type=int, nargs="*", default=[1000, 10_000], help="events of a batch")
    arguments.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of a run, at least")
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    events = list(workload.events(20_000, kernel.SEED))
    for count in given.rules:
        rules = workload_rules.stored_rules(count)
        plain = Program(rules)
        columns = Program(rules, arrow=dict.fromkeys(plain.datasets))
        ways = {
            "json": lambda batch, program=plain: program.run(batch).outputs,
            "arrow": lambda batch, program=columns: program.run(batch).arrow,
            "pyarrow": lambda batch, program=columns: [pyarrow.record_batch(one) for one in program.run(batch).arrow.values()],
        }
        for size in given.batch:
            batches = list(workload.batches(iter(events), size))
            shown = {
                name: events_a_second(kernel.measured(run, batches, given.seconds, given.runs), size)
                for name, run in ways.items()
            }
            print(json.dumps({"rules": count, "datasets": len(plain.datasets), "batch_events": size, "events_per_second": shown}))


def events_a_second(times: list[float], size: int) -> int:
    """The median of runs, of which each took so many seconds a batch."""
    return round(size / sorted(times)[len(times) // 2])


if __name__ == "__main__":
    main()
