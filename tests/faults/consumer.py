"""Copies topic `in` to topic `out`, outputs and input offsets in one step, and reports each step, until it is killed.

Arguments: the directory of the sites, how many they are, and whether it commits its offsets in a step of their own, which is
wrong. Run by test_consumer.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headwater.log.interface import AppendGroup, Batch, Commit
from headwater.testing.log_conformance import ids
from tests.faults.world import open_sites


def main() -> None:
    directory, sites, apart = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "apart"
    log = open_sites(directory, sites, follows=True)
    writer = log.writer("s-out")
    while True:
        fetch = log.read("in", 0, log.committed("g", "in", 0), 700)
        if not fetch.data:
            log.wait(0.1)
            continue
        outputs = (Batch("out", 0, fetch.data, len(ids(fetch.data))),)
        commits = (Commit("g", "in", 0, fetch.next_offset),)
        if apart:
            writer.append(AppendGroup(batches=outputs))
            writer.append(AppendGroup(commits=commits))
        else:
            writer.append(AppendGroup(batches=outputs, commits=commits))
        os.write(1, f"{fetch.next_offset}\n".encode())


if __name__ == "__main__":
    main()
