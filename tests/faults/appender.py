"""Appends without end and reports every acknowledged group on standard output, until it is killed. Run by tests here.

Arguments: the directory of the sites, how many they are, the number of the first group, a key of `BUILDS`, and the number of
threads. With one thread the groups are those of the producer `p`, so that they may be repeated.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from headwater.core.errors import Overtaken
from headwater.log import commit, shared
from headwater.log.holdings import Holdings
from headwater.log.interface import AppendGroup, Producer
from headwater.log.shard_writer import SharedWriter
from tests.faults.mutants import WritesGroupsInHalves
from tests.faults.world import group_of, open_sites


class AcknowledgesBeforeWrite(SharedWriter):
    """Answers at once and writes later."""

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        threading.Timer(0.01, super().append, (group,)).start()
        return ()


def _with_writer(kind: type[SharedWriter]) -> None:
    shared.SharedWriter = kind  # type: ignore[misc]


def _never_look_behind() -> None:
    def append(number: int, at: int, data: bytes, sync: bool, site: Any) -> bool:
        site.append(number, at, data, sync)
        return True

    commit._append_and_look = append


def _forget_producers() -> None:
    Holdings.repeated = lambda self, producer: None  # type: ignore[method-assign]


BUILDS: dict[str, Callable[[], None]] = {
    "whole": lambda: None,
    "acknowledges before it writes": lambda: _with_writer(AcknowledgesBeforeWrite),
    "writes groups in halves": lambda: _with_writer(WritesGroupsInHalves),
    "never looks behind its appends": _never_look_behind,
    "forgets producers": _forget_producers,
}


def main() -> None:
    directory, sites, first, build, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
    BUILDS[build]()
    log = open_sites(directory, sites, follows=True, segment_bytes_max=200_000)
    writer = log.writer("s-0")

    def appending(number: int) -> None:
        try:
            while True:
                group = group_of(number)
                if threads == 1:
                    group = msgspec.structs.replace(group, producer=Producer("p", number))
                writer.append(group)
                os.write(1, f"{number}\n".encode())
                number += threads
        except Overtaken:
            os.write(1, b"overtaken\n")
            os._exit(0)

    for thread in range(1, threads):
        threading.Thread(target=appending, args=(first + thread,)).start()
    appending(first)


if __name__ == "__main__":
    main()
