"""`headwater up` as a process of its own, as the demonstration starts it; what it says of itself; and what it wrote."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from headwater.core.clock import monotonic_s
from headwater.core.errors import DemoError

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_COMMAND = (sys.executable, "-c", "from headwater.cli.main import main; main()", "up")


def free_port() -> int:
    """A port of the loopback address that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The running project in ``directory``; what it prints goes to `up.log` there."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                (*_COMMAND, str(self.directory), "--port", str(self.port)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches the demonstration, which then stops the server in order.
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def status(self) -> dict[str, Any]:
        """What `/status.json` says. Raises OSError where there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/status.json")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise OSError(f"/status.json answered {answer.status}")
            status: dict[str, Any] = json.loads(body)
            return status
        except http.client.HTTPException as error:
            raise OSError(f"/status.json: {error!r}") from error
        finally:
            connection.close()

    def stop(self) -> int:
        """Asks it to drain and end; its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise DemoError(f"`headwater up` had not stopped {_STOP_TIMEOUT_S:.0f} s after SIGTERM\n{self.log_tail()}") from None

    def log_tail(self, lines: int = 20) -> str:
        """The last that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _wait_until_ready(self) -> None:
        deadline = monotonic_s() + _START_TIMEOUT_S
        assert self._process
        while monotonic_s() < deadline:
            try:
                self.status()
                return
            except OSError:
                pass
            try:
                code = self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            raise DemoError(f"`headwater up {self.directory}` ended with exit code {code}:\n{self.log_tail()}")
        raise DemoError(f"`headwater up {self.directory}` did not answer within {_START_TIMEOUT_S:.0f} s:\n{self.log_tail()}")


def rows_of(directory: Path) -> dict[str, list[Path]]:
    """The files of every dataset that the sinks wrote, oldest first, by dataset."""
    out = directory / "out"
    if not out.is_dir():
        return {}
    return {dataset.name: sorted(dataset.glob("*.ndjson")) for dataset in sorted(out.iterdir()) if dataset.is_dir()}


def count_lines(files: list[Path]) -> int:
    """How many rows the files hold, counted by reading them."""
    return sum(line.endswith(b"\n") for file in files for line in file.open("rb"))


def sample_lines(files: list[Path], count: int) -> list[str]:
    """Rows from the start, the middle and so on to the end of the last file."""
    lines = files[-1].read_text(errors="replace").splitlines() if files else []
    return [lines[len(lines) * at // count] for at in range(min(count, len(lines)))]
