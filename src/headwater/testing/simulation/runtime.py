"""`Runtime` for the tasks of a simulated process: a clock of its own, and calls at the same time as tasks of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from headwater.log.storage import StorageUnavailable

if TYPE_CHECKING:
    from headwater.testing.simulation.tasks import Process

T = TypeVar("T")
_SPINS_MAX = 100_000


class SimulationError(Exception):
    """The simulation cannot go on: a deadlock, a loop without a call through a seam, a call from outside."""


class SimRuntime:
    """What one run of a process sees of time. Its clock starts anywhere and is a little fast or slow, as monotonic clocks are."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._offset = process.world.random.random() * 1e5
        self._rate = 0.99 + 0.02 * process.world.random.random()
        self._looked = (-1.0, 0)

    def now(self) -> float:
        """See `Runtime`. Raises SimulationError where somebody looks again and again without a wait: time stands still then."""
        at, count = self._looked
        count = count + 1 if at == self._world.now else 0
        self._looked = (self._world.now, count)
        if count > _SPINS_MAX:
            raise SimulationError(f"{self._process}: looked at the clock {count} times without waiting for anything")
        return self._offset + self._rate * self._world.now

    def sleep(self, seconds: float) -> None:
        """See `Runtime`. Somewhat longer than asked for."""
        world = self._world
        task = world.task("sleep")
        wait = task.waits
        world.after(max(0.0, seconds) / self._rate + world.small_s(), lambda: task.resume(wait))
        task.wait("a sleep of", seconds, "s")

    def random(self) -> float:
        """See `Runtime`."""
        return self._world.random.random()

    def together(self, calls: Sequence[Callable[[], T]], timeout_s: float) -> list[T | Exception]:
        """See `Runtime`. A single call runs where it is, however long it takes, as in `Threads`."""
        if self._world.current is None or len(calls) == 1:
            return [_outcome(call) for call in calls]
        return _Together(self._process, calls).wait(timeout_s, timeout_s / self._rate)


class _Together:
    def __init__(self, process: Process, calls: Sequence[Callable[[], T]]) -> None:
        self._process = process
        self._world = process.world
        self._task = process.world.task("together")
        if self._task.killed:
            self._task.wait()
        name = self._task.name.partition("/")[2]
        self._wait = self._task.waits
        self._left = len(calls)
        self._tasks = [process.spawn(name, partial(_outcome, call)) for call in calls]

    def wait(self, timeout_s: float, after_s: float) -> list[T | Exception]:
        for each in self._tasks:
            each.when_done(self._done)
        if self._left:
            self._world.after(after_s + self._world.small_s(), lambda: self._task.resume(self._wait))
            self._task.wait("the first of", f"{timeout_s:g} s and", ", ".join(each.name for each in self._tasks))
        late = StorageUnavailable(f"no answer within {timeout_s:g} s")
        missed = [each.name for each in self._tasks if not each.done]
        if missed:
            self._world.record(self._task.name, "together", "", f"goes on without {', '.join(missed)}")
        return [each.result if each.done else late for each in self._tasks]

    def _done(self) -> None:
        self._left -= 1
        if not self._left:
            self._world.after(self._world.small_s(), lambda: self._task.resume(self._wait))


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except SimulationError:
        raise
    except Exception as e:
        return e
