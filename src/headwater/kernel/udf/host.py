"""Calls Python functions in processes of their own, and ends those that take too long.

A process and not a thread, because nothing ends a thread that is in a loop of C code (docs/decisions/0012).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from headwater.core import clock
from headwater.core.errors import UdfError
from headwater.core.limits import UDF_BATCH_MS_MAX, UDF_LOAD_S_MAX, UDF_PROCESSES_MAX
from headwater.core.udf import UdfSet
from headwater.kernel.udf.functions import all_failed
from headwater.kernel.udf.process import receive, send


class Calls(msgspec.Struct):
    """What a function did since it was loaded: calls, rows of all of them, the time that they took, and why it is disabled."""

    calls: int = 0
    rows: int = 0
    seconds: float = 0.0
    disabled: str | None = None


class Host:
    """The functions of one set of rules. Any thread may call; each call has a process to itself, which is kept for the next."""

    def __init__(
        self,
        udfs: UdfSet,
        batch_ms_max: int = UDF_BATCH_MS_MAX,
        before: Host | None = None,
        alarm: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Loads the functions once. Raises UdfError where that cannot be done.

        What ``before`` has disabled stays so where its file is the same. ``alarm`` is told when a function is disabled, once.
        """
        self.udfs = udfs
        self.batch_ms_max = batch_ms_max
        self._figures = {one.name: Calls() for one in udfs.signatures}
        self._files = {one.name: one.file for one in udfs.signatures}
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(min(os.cpu_count() or 1, UDF_PROCESSES_MAX))
        self._idle: list[_Process] = []
        self._closed = False
        self._alarm = alarm
        if before is not None:
            self._take_over(before)
        if udfs.signatures:
            self._idle.append(_Process(udfs))

    def batch(self) -> Callable[[str, int, bytes], bytes]:
        """What the kernel calls functions with during one batch: each has the time of the budget, all its calls together."""
        left = dict.fromkeys(self._figures, self.batch_ms_max / 1000)

        def call(name: str, rows: int, columns: bytes) -> bytes:
            return self._call(name, rows, columns, left)

        return call

    def figures(self) -> dict[str, Calls]:
        """By function."""
        with self._lock:
            return {name: msgspec.structs.replace(calls) for name, calls in self._figures.items()}

    def alarms(self) -> list[str]:
        """What people must look at: the functions that are disabled, and why."""
        return [self._said(name, calls.disabled) for name, calls in self.figures().items() if calls.disabled]

    def _said(self, name: str, why: str) -> str:
        return f"the function {name} is {why}; it is called again when {self._files[name]} changes, or after a restart"

    def close(self) -> None:
        """Ends the processes; those that are at work end when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take_over(self, before: Host) -> None:
        for name, calls in before.figures().items():
            file = self._files.get(name, "")
            if file in before.udfs.files and before.udfs.files[file] == self.udfs.files.get(file):
                self._figures[name] = calls

    def _call(self, name: str, rows: int, columns: bytes, left: dict[str, float]) -> bytes:
        figures = self._figures.get(name)
        if figures is None:
            return all_failed(f"unknown: there is no function {name}")
        if figures.disabled:
            return all_failed(figures.disabled)
        for _ in range(2):
            with self._process() as process:
                start = clock.monotonic_s()
                try:
                    return process.call(name, rows, columns, left[name])
                except TimeoutError:
                    return self._disable(name, f"disabled: it took longer than {self.batch_ms_max} ms for one batch")
                except _EndedError as ended:
                    # Whoever ended it may have meant another; a function that does so itself does it again.
                    why = f"disabled: it ended its process ({ended})"
                finally:
                    spent = clock.monotonic_s() - start
                    left[name] -= spent
                    with self._lock:
                        figures.calls, figures.rows = figures.calls + 1, figures.rows + rows
                        figures.seconds += spent
        return self._disable(name, why)

    def _disable(self, name: str, why: str) -> bytes:
        with self._lock:
            first, self._figures[name].disabled = self._figures[name].disabled is None, why
        if first:
            self._alarm(self._said(name, why))
        return all_failed(why)

    @contextmanager
    def _process(self) -> Iterator[_Process]:
        """A process that nobody else uses. It is kept if it still runs."""
        with self._free:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            process = process or _Process(self.udfs)
            try:
                yield process
            finally:
                with self._lock:
                    keep = process.alive and not self._closed
                    if keep:
                        self._idle.append(process)
                if not keep:
                    process.end()


class _EndedError(Exception):
    """The process ended during a call; the text says how."""


class _Process:
    """A process with the functions loaded."""

    def __init__(self, udfs: UdfSet) -> None:
        """Raises UdfError where it cannot be started, or a file cannot be run."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    (sys.executable, "-P", "-m", "headwater.kernel.udf.process", str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=2,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise UdfError(f"a process for Python functions cannot be started: {error.strerror}") from None
        self._connection = ours
        self.alive = True
        stored = {"files": udfs.files, "signatures": [one.to_json() for one in udfs.signatures], "seconds": UDF_LOAD_S_MAX}
        refused = msgspec.msgpack.decode(self._load(msgspec.msgpack.encode(stored), ", ".join(udfs.files)))
        if refused:
            self.end()
            raise UdfError(*refused)

    def _load(self, frame: bytes, files: str) -> bytes:
        try:
            return self._ask(frame, UDF_LOAD_S_MAX)
        except TimeoutError:
            raise UdfError(f"running {files} takes longer than {UDF_LOAD_S_MAX:g} s") from None
        except _EndedError as ended:
            raise UdfError(f"running {files} ended the process ({ended})") from None

    def call(self, name: str, rows: int, columns: bytes, seconds: float) -> bytes:
        """The answer to a call. Raises TimeoutError, after which it is ended, and _EndedError."""
        return self._ask(msgspec.msgpack.encode((name, rows, columns, max(seconds, 0.0))), seconds)

    def _ask(self, frame: bytes, seconds: float) -> bytes:
        until = clock.monotonic_s() + seconds

        def receive_until(size: int) -> bytes:
            self._connection.settimeout(max(until - clock.monotonic_s(), 0.001))
            return self._connection.recv(size)

        answer = None
        try:
            self._connection.settimeout(max(seconds, 0.001))
            send(self._connection, frame)
            answer = receive(receive_until)
        except TimeoutError:
            self.end()
            raise
        except OSError:
            pass
        if answer is None:
            raise _EndedError(self.end())
        return answer

    def end(self) -> str:
        """Ends it, if it has not ended by itself; how it ended."""
        self.alive = False
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.05)
        self._process.kill()
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
