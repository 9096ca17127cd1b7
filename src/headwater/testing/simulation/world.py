"""The world of a simulation: virtual time, who goes on next, and the trace of what happened. All of it follows from a seed."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from types import TracebackType
from typing import Any, NamedTuple

from greenlet import getcurrent

from headwater.core.clock import set_wall_clock
from headwater.core.ids import Random, seeded_random
from headwater.testing.simulation.runtime import SimulationError
from headwater.testing.simulation.storage import SimStorage
from headwater.testing.simulation.tasks import Process, Task

_EPOCH_NS = 1_900_000_000 * 10**9
_TAIL_LINES = 60


class Timing(NamedTuple):
    """How long things take, in virtual seconds; what is ``_s`` is a mean. Shares are of all requests and answers."""

    request_s: float = 0.001
    sync_s: float = 0.004
    small_s: float = 0.0005
    slow_share: float = 0.02
    slow_factor: float = 50.0
    stuck_share: float = 0.0005
    stuck_s: float = 10.0
    timeout_s: float = 10.0


class Deadlock(SimulationError):
    """Nobody can ever go on."""


class Cut:
    """A cut between processes and sites, until it is healed."""

    def __init__(self, world: World, pairs: frozenset[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._world = world

    def heal(self) -> None:
        """Undoes it; pairs that another cut holds apart stay so."""
        if self in self._world.cuts:
            self._world.cuts.remove(self)
            self._world.record("world", "healed", _pairs(self.pairs), None)


class World:
    """Enter it (`with World(seed) as world`): it holds the wall clock meanwhile, and ends all tasks at the end."""

    def __init__(self, seed: int, timing: Timing | None = None) -> None:
        self.seed = seed
        self.timing = timing or Timing()
        self.random = self.random_for("schedule")
        self.now = 0.0
        self.current: Task | None = None
        self.hub: Any = getcurrent()
        self.steps = 0
        self.processes: dict[str, Process] = {}
        self.sites: dict[str, SimStorage] = {}
        self.cuts: list[Cut] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._tasks: dict[Task, None] = {}
        self._expected = 0
        self._failure: tuple[Task, Exception] | None = None
        self._trace: list[tuple[float, str, str, str, object]] = []

    def __enter__(self) -> World:
        set_wall_clock(lambda: _EPOCH_NS + int(self.now * 1e9))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hub = getcurrent()
        if error is not None:
            tail = "\n".join(self.trace()[-_TAIL_LINES:])
            error.add_note(f"seed {self.seed}, at {self.now:.3f} s; the end of the trace:\n{tail}\n{self.report()}")
        for process in self.processes.values():
            process.alive = False
        for task in list(self._tasks):
            task.killed = True
            task.end()
        set_wall_clock(None)

    def random_for(self, purpose: str) -> Random:
        """A generator that follows from the seed and does not disturb the others."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return seeded_random(int.from_bytes(digest[:8], "big"))

    def site(self, name: str, appends: bool = True) -> SimStorage:
        """A new, empty site."""
        if name in self.sites or name in self.processes:
            raise SimulationError(f"there is a {name!r} already; names of sites and processes are all different")
        self.sites[name] = site = SimStorage(self, name, appends)
        return site

    def process(self, name: str, *mains: Callable[[Process], object], on: SimStorage | None = None) -> Process:
        """A new process, whose mains run from now on, and anew after each restart. See `Process`."""
        if name in self.sites or name in self.processes:
            raise SimulationError(f"there is a {name!r} already; names of sites and processes are all different")
        self.processes[name] = process = Process(self, name, mains, on)
        return process

    def cut(self, left: Iterable[str], right: Iterable[str]) -> Cut:
        """Processes on one side no longer reach sites on the other. Names of both, in both."""
        one, other = set(left), set(right)
        unknown = sorted((one | other) - self.sites.keys() - self.processes.keys())
        if unknown:
            raise SimulationError(f"neither sites nor processes: {', '.join(unknown)}; there are {', '.join(self._names())}")
        apart = [(a, b) for side, far in ((one, other), (other, one)) for a in side for b in far]
        cut = Cut(self, frozenset((a, b) for a, b in apart if a in self.processes and b in self.sites))
        self.cuts.append(cut)
        self.record("world", "cut", _pairs(cut.pairs), None)
        return cut

    def heal(self) -> None:
        """Undoes all cuts."""
        for cut in list(self.cuts):
            cut.heal()

    def _names(self) -> list[str]:
        return [*self.sites, *self.processes]

    def reachable(self, process: str, site: str) -> bool:
        """Whether no cut is between them."""
        return not self.cuts or not any((process, site) in cut.pairs for cut in self.cuts)

    def run(
        self, until: float | Callable[[], bool] | None = None, seconds_max: float = 3600.0, steps_max: int = 1_000_000
    ) -> None:
        """Runs to a virtual time, until something is true, or (None) until all tasks have ended.

        Raises what a task raised; Deadlock where nobody can ever go on; SimulationError where it takes more than these virtual
        seconds or steps.
        """
        self.hub = getcurrent()
        stop = until if callable(until) else None
        last = float(until) if isinstance(until, int | float) else self.now + seconds_max
        steps_max += self.steps
        events = self._events
        while True:
            if self._failure is not None:
                task, error = self._failure
                self._failure = None
                error.add_note(f"raised by {task.name}")
                raise error
            if stop() if stop is not None else until is None and not (self._tasks or self._expected):
                return
            if not events and self._tasks:
                raise Deadlock(f"nobody can ever go on\n{self.report()}")
            if not events or events[0][0] > last:
                if stop is None and until is not None:
                    self.now = last
                    return
                raise SimulationError(f"not done after {last:.3f} s\n{self.report()}")
            if self.steps >= steps_max:
                raise SimulationError(f"not done after {self.steps} steps, at {self.now:.3f} s\n{self.report()}")
            self.steps += 1
            self.now, _, event = heappop(events)
            event()

    def report(self) -> str:
        """Who waits for what, and what is wrong with the world."""
        lines = [f"at {self.now:.3f} s:"]
        lines += [f"  {task}" for task in self._tasks]
        lines += [f"  process {process} is dead" for process in self.processes.values() if not process.alive]
        lines += [f"  cut: {_pairs(cut.pairs)}" for cut in self.cuts]
        lines += [f"  site {site.name}: {trouble}" for site in self.sites.values() if (trouble := site.trouble())]
        return "\n".join(lines)

    def trace(self) -> list[str]:
        """What happened: seconds, who, what, on what, and what came of it."""
        return [_line(*each) for each in self._trace]

    # What sites, processes and faults use.

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        """Has something happen later."""
        self._number += 1
        heappush(self._events, (self.now + seconds, self._number, event))

    def small_s(self) -> float:
        """A short time, by the seed: what a process takes to go on."""
        return -math.log(1.0 - self.random.random()) * self.timing.small_s

    def latency_s(self, mean_s: float) -> float:
        """The time that a request, an answer or a sync takes, by the seed: sometimes long, rarely very long."""
        random = self.random.random
        luck = random()
        if luck < self.timing.stuck_share:
            mean_s = self.timing.stuck_s
        elif luck < self.timing.stuck_share + self.timing.slow_share:
            mean_s *= self.timing.slow_factor
        return -math.log(1.0 - random()) * mean_s

    def task(self, what: str) -> Task:
        """The task that runs now. Raises SimulationError outside of one."""
        if self.current is None:
            raise SimulationError(f"{what}: only a task of a process can wait; start one with `world.process(…)`")
        return self.current

    def record(self, actor: str, operation: str, what: str, outcome: object) -> None:
        """Adds a line to the trace."""
        self._trace.append((self.now, actor, operation, what, tuple(outcome) if isinstance(outcome, list) else outcome))

    def began(self, task: Task) -> None:
        """A task was started."""
        self._tasks[task] = None

    def ended(self, task: Task) -> None:
        """A task ended."""
        self._tasks.pop(task, None)

    def expect(self, more: int) -> None:
        """So many more processes will be started by themselves."""
        self._expected += more

    def failed(self, task: Task, error: Exception) -> None:
        """A task raised: the run ends with it."""
        self.record(task.name, "failed", "", error)
        self._failure = self._failure or (task, error)


def _pairs(pairs: frozenset[tuple[str, str]]) -> str:
    return ", ".join(f"{process}-{site}" for process, site in sorted(pairs))


def _line(at: float, actor: str, operation: str, what: str, outcome: object) -> str:
    return f"{at:12.6f} {actor} {operation} {what}{'' if outcome is None else f' = {_shown(outcome)}'}"


def _shown(outcome: object) -> str:
    if isinstance(outcome, bytes):
        return f"{len(outcome)} B, CRC32 {zlib.crc32(outcome):08x}"
    if isinstance(outcome, BaseException):
        return f"{type(outcome).__name__}: {outcome}"
    if isinstance(outcome, tuple) and len(outcome) > 4:
        return f"{len(outcome)}: {outcome[0]} … {outcome[-1]}"
    return str(outcome)
