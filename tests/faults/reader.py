"""Reads along and reports what it sees on standard output, until it is killed: offset and id of each record of topic a.

Arguments: the directory of the sites, how many they are. Run by test_kill.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headwater.testing.log_conformance import ids
from tests.faults.world import open_sites


def main() -> None:
    log = open_sites(Path(sys.argv[1]), int(sys.argv[2]), follows=True)
    os.write(1, b"ready\n")
    offset = max(0, log.end_offset("a", 0) - 20)
    while True:
        fetch = log.read("a", 0, offset, 5000)
        lines = [f"{fetch.first_offset + n} {found}\n" for n, found in enumerate(ids(fetch.data))]
        os.write(1, "".join(lines).encode())
        offset = fetch.next_offset
        if not lines:
            log.wait(0.2)


if __name__ == "__main__":
    main()
