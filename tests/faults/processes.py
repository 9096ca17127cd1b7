"""Processes of the tests of this directory, which report lines and are killed or paused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]


class Child:
    """A module of this directory, run with arguments. Enter it; what is left of it is killed at the end."""

    def __init__(self, module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", f"tests.faults.{module}", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._out.close()

    def lines(self, count: int) -> list[str]:
        """The next lines that it reports."""
        found = [self._out.readline() for _ in range(count)]
        assert all(line.endswith("\n") for line in found), f"it ended by itself after {found}"
        return [line[:-1] for line in found]

    def rest(self) -> list[str]:
        """What it reports until it ends by itself. A line that is cut off was not reported."""
        found = [line[:-1] for line in self._out.readlines() if line.endswith("\n")]
        self._process.wait()
        return found

    def kill(self, after_s: float = 0.0) -> list[str]:
        """Kills it, and gives what it had still reported."""
        try:
            self._process.wait(after_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self.rest() if not self._out.closed else []

    def pause(self) -> None:
        """Stops it where it is, until `wake`."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Lets it go on."""
        self._process.send_signal(signal.SIGCONT)
