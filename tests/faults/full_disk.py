"""Fills the disk of its directory, frees some of it, and looks at the log each time. Run by a test here, on a disk of its own.

Arguments: the directory, which holds a ballast of some files, and a key of `BUILDS`.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from headwater.log.files import Files, OsFiles, write_all
from headwater.log.interface import ShardWriter
from headwater.log.stores import folder
from tests.faults.world import World, open_folder, opened_to_write

REFUSED = 5


def _swallow_full_disks() -> None:
    def write(files: Files, fd: int, data: bytes, at: int) -> None:
        try:
            write_all(files, fd, data, at)
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise
            os.truncate(fd, max(os.fstat(fd).st_size, at + len(data)))  # The size is right, so that no later write is in doubt.

    folder.write_all = write  # type: ignore[attr-defined]


BUILDS: dict[str, Callable[[], None]] = {"whole": lambda: None, "swallows ENOSPC": _swallow_full_disks}


def fill(world: World, writer: ShardWriter) -> None:
    """Appends until some groups in a row are refused."""
    refused = acknowledged = 0
    while refused < REFUSED:
        before = len(world.refused)
        world.append(writer)
        refused = refused + 1 if len(world.refused) > before else 0
        acknowledged += not refused
        assert acknowledged < 5000, "the disk is full, and nothing is refused"


def main() -> None:
    directory = Path(sys.argv[1])
    BUILDS[sys.argv[2]]()
    ballast = sorted(directory.glob("ballast*"))
    world = World()
    log = open_folder(directory / "log", segment_bytes_max=50_000)
    writer = log.writer("s-0")
    for each in ballast[:-1]:
        fill(world, writer)
        world.check(log)
        each.unlink()
        before = len(world.acknowledged)
        for _ in range(10):
            world.append(writer)
        assert len(world.acknowledged) == before + 10, "there is space again, and an append was refused"
        world.check(log)
    fill(world, writer)
    ballast[-1].unlink()
    # As another process, which takes it over: it doubts no file, and sees nothing that was refused.
    other = opened_to_write(open_folder(directory / "log", OsFiles()))
    world.check(other)
    other.close()
    print(len(world.acknowledged), len(world.refused))


if __name__ == "__main__":
    main()
