"""A world of processes and sites in which time, order and faults come from a seed.

Processes are greenlets; one runs at a time, until it asks a site or the clock for something. The world then picks who goes on, by
the time that it drew for each answer. So the same seed gives the same trace, whatever the machine does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from greenlet import getcurrent, greenlet

from headwater.core.ids import seeded_random
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable

ANSWER_S = 0.01
LATE_S = 0.3
SLOW_S = 12.0
STEPS_MAX = 200_000


class Killed(BaseException):
    """Ends the tasks of a process that was killed."""


class World:
    """The clock, the queue of what happens next, and the trace of what did."""

    def __init__(self, seed: int) -> None:
        self.chance = seeded_random(seed)
        self.now = 0.0
        self.trace: list[str] = []
        self.processes: list[Process] = []
        self.loop = getcurrent()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._pushed = 0

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Lets something happen at a time."""
        self._pushed += 1
        heapq.heappush(self._queue, (time, self._pushed, action))

    def run(self, until: float) -> None:
        """Lets everything happen that is due until then."""
        for _ in range(STEPS_MAX):
            if not self._queue or self._queue[0][0] > until:
                self.now = until
                return
            time, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, time)
            action()
        raise AssertionError(f"{STEPS_MAX} steps, and it is only {self.now:.1f} s: it goes round in circles")

    def say(self, text: str) -> None:
        """Adds a line to the trace."""
        self.trace.append(f"{self.now:.4f} {text}")


class Process:
    """A process: tasks that can be killed or paused together, and the sites that it cannot reach."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.paused_until = 0.0
        self.cut_from: set[str] = set()
        world.processes.append(self)

    def start(self, task: Callable[[], None]) -> None:
        """Starts a task, now."""
        it = greenlet(lambda: self._run(task), self.world.loop)
        it.process = self  # type: ignore[attr-defined]
        self.world.at(self.world.now, lambda: self.go_on(it))

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Killed:
            self.world.say(f"{self.name} is killed")

    def go_on(self, it: greenlet) -> None:
        """Lets a task go on, unless the process is dead or paused."""
        if self.dead:
            it.throw(Killed)
        elif self.paused_until > self.world.now:
            self.world.at(self.paused_until, lambda: self.go_on(it))
        else:
            it.switch()

    def wait(self, seconds: float) -> None:
        """Waits, in a task of the process."""
        it = getcurrent()
        self.world.at(self.world.now + seconds, lambda: self.go_on(it))
        self.world.loop.switch()


class SimulatedRuntime:
    """The `Runtime` of a process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> float:
        return self._process.world.now

    def sleep(self, seconds: float) -> None:
        self._process.wait(seconds)

    def random(self) -> float:
        return self._process.world.chance.random()

    def together(self, calls: Sequence[Callable[[], object]], timeout_s: float) -> list[object]:
        process, waiting = self._process, getcurrent()
        given: dict[int, object] = {}
        over = False

        def ask(number: int, call: Callable[[], object]) -> None:
            nonlocal over
            try:
                answer = call()
            except Exception as e:
                answer = e
            if not over:
                given[number] = answer
                if len(given) == len(calls):
                    over = True
                    process.world.at(process.world.now, lambda: process.go_on(waiting))

        def late() -> None:
            nonlocal over
            if not over:
                over = True
                process.go_on(waiting)

        for number, call in enumerate(calls):
            process.start(lambda number=number, call=call: ask(number, call))  # type: ignore[misc]
        process.world.at(process.world.now + timeout_s, late)
        process.world.loop.switch()
        return [given.get(number, StorageUnavailable(f"no answer within {timeout_s:g} s")) for number in range(len(calls))]


class SimulatedSite:
    """A `Storage` whose answers take time, get lost, or come too late; ``failing`` and ``slow`` are shares of them."""

    def __init__(self, world: World, name: str, appends: bool) -> None:
        self.name = name
        self.appends = appends
        self.objects: dict[str, bytes] = {}
        self.failing = self.slow = 0.0
        self.full = False
        self._world = world

    def _ask(self, what: str, effect: Callable[[], object]) -> object:
        world, process = self._world, getcurrent().process  # type: ignore[attr-defined]
        chance = world.chance
        before, after = chance.random() * ANSWER_S, chance.random() * ANSWER_S
        if chance.random() < 0.1:
            before += chance.random() * LATE_S
        if chance.random() < self.slow:
            before += chance.random() * SLOW_S
        if self.name in process.cut_from:
            process.wait(chance.random() * SLOW_S / 4)
            raise StorageUnavailable(f"{self.name} cannot be reached")
        process.wait(before)
        if self.name in process.cut_from or chance.random() < self.failing:
            raise StorageUnavailable(f"{self.name}: the request was lost")
        try:
            answer = effect()
        except (ObjectMissing, StorageFull) as e:
            answer = e
        world.say(f"{process.name} {self.name} {what}: {_short(answer)}")
        process.wait(after)
        if self.name in process.cut_from or chance.random() < self.failing:
            raise StorageUnavailable(f"{self.name}: the answer was lost")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        def effect() -> bool:
            if name in self.objects:
                return False
            if self.full and data:
                raise StorageFull(f"{self.name}: {name}: no space")
            self.objects[name] = data
            return True

        return bool(self._ask(f"put {name}", effect))

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        def effect() -> None:
            before = self._object(name)
            assert at <= len(before), f"{name} has {len(before)} bytes, and byte {at} is written"
            written = data[: len(data) // 2] if self.full else data
            self.objects[name] = before[:at] + written + before[at + len(written) :]
            if self.full:
                raise StorageFull(f"{self.name}: {name}: no space")

        self._ask(f"append {name} {at}+{len(data)}", effect)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        answer = self._ask(f"get {name} {start}", lambda: self._object(name)[start : None if length is None else start + length])
        assert isinstance(answer, bytes)
        return answer

    def list(self, directory: str, after: str = "") -> list[str]:
        begin = f"{directory}/" if directory else ""

        def effect() -> list[str]:
            rest = (name.removeprefix(begin).partition("/") for name in self.objects if name.startswith(begin))
            return sorted({first + slash for first, slash, _ in rest if first + slash > after})

        answer = self._ask(f"list {directory}", effect)
        assert isinstance(answer, list)
        return answer

    def delete(self, name: str) -> None:
        self._ask(f"delete {name}", lambda: self.objects.pop(name, None) and None)

    def _object(self, name: str) -> bytes:
        if name not in self.objects:
            raise ObjectMissing(f"{self.name}: there is no object {name}")
        return self.objects[name]


def _short(answer: object) -> str:
    if isinstance(answer, bytes):
        return f"{len(answer)} bytes"
    if isinstance(answer, list):
        return f"{len(answer)} names"
    return type(answer).__name__ if isinstance(answer, Exception) else str(answer)
