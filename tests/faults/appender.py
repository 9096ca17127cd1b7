"""Appends without end and reports every acknowledged group on standard output, until it is killed. Run by test_kill.py.

Arguments: the log's directory, the number of the first group, and which writer: `LocalWriter` or a mutant of this file.
"""

import os
import sys
import threading
from pathlib import Path

from headwater.log.interface import AppendGroup
from headwater.log.writer import LocalWriter
from tests.faults.mutants import WritesGroupsInHalves, with_writer
from tests.faults.world import group_of

THREADS = 3


class AcknowledgesBeforeWrite(LocalWriter):
    """Answers at once and writes later."""

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        threading.Timer(0.01, super().append, (group,)).start()
        return ()


WRITERS = {kind.__name__: kind for kind in (LocalWriter, AcknowledgesBeforeWrite, WritesGroupsInHalves)}


def main() -> None:
    directory, first, kind = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    log = with_writer(WRITERS[kind])(directory, segment_bytes_max=200_000)
    writer = log.writer("s-0")

    def appending(number: int) -> None:
        while True:
            writer.append(group_of(number))
            os.write(1, f"{number}\n".encode())
            number += THREADS

    for thread in range(THREADS):
        threading.Thread(target=appending, args=(first + thread,)).start()


if __name__ == "__main__":
    main()
