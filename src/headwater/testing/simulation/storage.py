"""`Storage` in a simulation: a site that answers late, or not, and does what it was asked late, or not, as the seed says."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headwater.core.errors import HeadwaterError, LogError
from headwater.log.storage import StorageFull, StorageUnavailable
from headwater.log.stores.names import check_directory, check_name, check_range
from headwater.testing.simulation.disk import Disk

if TYPE_CHECKING:
    from headwater.testing.simulation.tasks import Process
    from headwater.testing.simulation.world import World

Failure = Literal["refused", "lost", "late", "full", "sync"]
"""How a call fails: before its effect; after it (the answer is lost); its effect comes later; no space; the sync fails."""


class SimStorage:
    """A site. Called outside of a task it answers at once and without faults: for preparing a test and for looking at its end.

    ``failing``: the share of calls that fail somehow. ``slowness``: how many times longer everything takes.
    """

    def __init__(self, world: World, name: str, appends: bool = True) -> None:
        self.name = name
        self.appends = appends
        self.disk = Disk(name, appends, world.random)
        self.failing = 0.0
        self.failures: Sequence[Failure] = ("refused", "lost", "late")
        self.slowness = self.usual_slowness = 0.3 * 10 ** world.random.random()
        self.full = False
        self.down = False
        self.powered = 0  # How often the power went.
        self._world = world
        self._failing_next: list[tuple[str, Failure]] = []

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        check_name(name)
        data = bytes(data)
        done: bool = self._call("put", name, data, lambda: self.disk.put(name, data, sync), sync)
        return done

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`."""
        if not self.appends:
            raise LogError(f"{self.name}: keeps objects as they were put; nothing can be appended to {name}")
        check_name(name)
        self._call("append", name, bytes(data), lambda: self.disk.append(name, at, data), sync, at)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`. What a put made is durable before it is read; what an append made is not."""
        check_range(start, length)
        check_name(name)
        data: bytes = self._call("get", name, None, lambda: self._read(name, start, length))
        return data

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`."""
        check_directory(directory)
        names: builtins.list[str] = self._call("list", directory, None, lambda: self.disk.seen.list(directory, after))
        return names

    def delete(self, name: str) -> None:
        """See `Storage`."""
        check_name(name)
        self._call("delete", name, None, lambda: self.disk.delete(name))

    def _read(self, name: str, start: int, length: int | None) -> bytes:
        self.disk.settle(name)
        return self.disk.seen.get(name, start, length)

    def _call(
        self, operation: str, name: str, data: bytes | None, effect: Callable[[], Any], sync: bool = False, at: int = 0
    ) -> Any:
        task = self._world.current
        if task is None:
            given = effect()
            if sync:
                self.disk.sync(name)
            return given
        if task.killed:
            task.wait()
        Call(self, operation, name, data, effect, sync, at)
        return task.wait(operation, self.name, name)

    # Faults.

    def fail_next(self, failure: Failure, operation: str = "", times: int = 1) -> None:
        """The next calls (of that operation, else of any that can fail so) fail in that way."""
        self._failing_next += [(operation, failure)] * times

    def next_failure(self, operation: str) -> Failure | None:
        """How a call that arrives now fails, if it does."""
        writes = operation in ("put", "append")
        for at, (asked, failure) in enumerate(self._failing_next):
            if asked == operation or (not asked and (writes or failure not in ("full", "sync"))):
                del self._failing_next[at]
                return failure
        if self.failing and self._world.random.random() < self.failing:
            failure = self.failures[int(self._world.random.random() * len(self.failures))]
            return failure if writes or failure not in ("full", "sync") else "refused"
        return "full" if self.full and writes else None

    def erase(self) -> None:
        """Everything on it is gone, and it goes on."""
        self._world.record(self.name, "erased", "", None)
        self.disk.erase()

    def flip(self, name: str | None = None, bit: int | None = None) -> None:
        """Flips a bit of an object that it keeps; by the seed where it is not said which."""
        self._world.record(self.name, "flipped", "", self.disk.flip(name, bit))

    def lose_power(self, seconds: float) -> None:
        """The machine stops and comes back: with it its processes, without it what was not durable."""
        self.down = True
        self.powered += 1
        self._world.record(self.name, "power lost", "", self.disk.lose_power())
        for process in self._world.processes.values():
            if process.on is self:
                process.restart_after(seconds)
        powered = self.powered
        self._world.after(seconds, lambda: self._come_back(powered))

    def _come_back(self, powered: int) -> None:
        if self.powered == powered:
            self.down = False
            self._world.record(self.name, "power is back", "", None)

    def calm(self) -> None:
        """Ends every fault that can end; what is lost stays lost."""
        self.failing, self.slowness, self.full, self.down = 0.0, self.usual_slowness, False, False
        self._failing_next.clear()

    def trouble(self) -> str:
        """What is wrong with it now, for people."""
        wrong = [what for what, is_so in (("down", self.down), ("full", self.full)) if is_so]
        wrong += [f"{self.failing:.0%} of the calls fail"] if self.failing else []
        return ", ".join(wrong)


class Call:
    """A call on its way. Its effect does not depend on whether somebody still waits for the answer."""

    __slots__ = ("at", "data", "effect", "label", "name", "operation", "powered", "process", "site", "starts", "sync", "task",
                 "wait", "world")  # fmt: skip

    def __init__(
        self, site: SimStorage, operation: str, name: str, data: bytes | None, effect: Callable[[], Any], sync: bool, at: int
    ) -> None:
        self.site, self.operation, self.name, self.data, self.effect, self.sync, self.at = (
            site,
            operation,
            name,
            data,
            effect,
            sync,
            at,
        )
        self.world = site._world
        self.task = self.world.task(operation)
        self.process: Process = self.task.process
        self.wait = self.task.waits
        self.label = f"{site.name}:{name}"
        self._after(self.world.timing.request_s, self._arrive)

    def _after(self, mean_s: float, event: Callable[[], None]) -> None:
        self.world.after(self.world.latency_s(mean_s * self.site.slowness), event)

    def _luck(self) -> float:
        return self.world.random.random()

    def _unavailable(self, why: str) -> StorageUnavailable:
        return StorageUnavailable(f"{self.site.name}: {self.operation} {self.name}: {why}")

    def _record(self, what: str, outcome: object) -> None:
        self.world.record(self.task.name, f"{self.operation} {what}", self.label, outcome)

    def _is_reachable(self) -> bool:
        return not self.site.down and self.world.reachable(self.process.name, self.site.name)

    def _arrive(self) -> None:
        world = self.world
        if self.task.killed and self._luck() < 0.5:
            self._record("died with its process", None)
            return
        paused_s = self.process.paused_until - world.now
        if paused_s > 0 and self._luck() < 0.5:
            # The process was stopped between its decision and the request.
            world.after(paused_s + world.small_s(), self._arrive)
            return
        if not self._is_reachable():
            self._miss()
            return
        failure = self.site.next_failure(self.operation)
        if failure == "refused":
            self._answer(self._unavailable("refused"))
        elif failure == "late":
            self._answer(self._unavailable("no answer"))
            world.after(self._luck() ** 3 * 3 * world.timing.timeout_s, self._come_late)
        elif failure == "full":
            self._fill()
        else:
            self._act(failure)

    def _miss(self) -> None:
        """The site is not reached: the caller learns it at once, or after a time-out; the request may still come through."""
        luck, timeout_s = self._luck(), self.world.timing.timeout_s
        if luck < 0.4:
            self._answer(self._unavailable("cannot be reached"))
            return
        self.world.after((0.5 + self._luck()) * timeout_s, lambda: self._answer(self._unavailable("no answer")))
        if luck < 0.6:
            self.world.after(2 * self._luck() * timeout_s, self._come_late)

    def _come_late(self) -> None:
        if self._is_reachable() and not (self.site.full and self.data is not None):
            self._record("came late", self._do())
            if self.sync and self._luck() < 0.5:
                self.site.disk.sync(self.name)

    def _fill(self) -> None:
        """No space. Of an append some bytes may stay."""
        if self.operation == "append" and self.data and self._luck() < 0.5:
            data = self.data[: int(self._luck() * len(self.data))]
            self.effect = lambda: self.site.disk.append(self.name, self.at, data)
            self._record(f"did the first {len(data)} bytes of", self._do())
        error = StorageFull(f"{self.site.name}: {self.operation} {self.name}: no space")
        self._record("did nothing", error)
        self._answer(error)

    def _do(self) -> object:
        try:
            return self.effect()
        except HeadwaterError as e:
            return e

    def _act(self, failure: Failure | None) -> None:
        rest = b""
        if self.operation == "append" and self.data and self._luck() < 0.2:
            # Others see a part of it first, and for ever if the process dies.
            part = int(self._luck() * len(self.data))
            data, rest = self.data[:part], self.data[part:]
            self.effect = lambda: self.site.disk.append(self.name, self.at, data)
        outcome = self._do()
        self._record(f"did the first {len(self.data or b'') - len(rest)} bytes of" if rest else "did", outcome)
        if (self.sync or rest) and outcome is not False and not isinstance(outcome, Exception):
            self.powered = self.site.powered
            self._after(self.world.timing.sync_s, lambda: self._finish(outcome, failure, rest))
            return
        self._answer(outcome if failure is None else self._unavailable("the answer was lost"))

    def _finish(self, outcome: object, failure: Failure | None, rest: bytes) -> None:
        """Writes the rest and syncs, if the machine still stands. A process that is dead may not have come to it."""
        if self.powered != self.site.powered or self.site.down:
            self._answer(self._unavailable("the machine stopped"))
            return
        if self.task.killed and self._luck() < 0.5:
            return
        if rest:
            self.effect = lambda: self.site.disk.append(self.name, self.at + len(self.data or b"") - len(rest), rest)
            outcome = self._do()
            self._record("did the rest of", outcome)
        if isinstance(outcome, Exception):
            self._answer(self._unavailable(str(outcome)))
            return
        if failure == "sync":
            self.site.disk.fail_sync(self.name)
            self._answer(self._unavailable("the sync failed"))
            return
        if self.sync:
            self.site.disk.sync(self.name)
        self._answer(outcome if failure is None else self._unavailable("the answer was lost"))

    def _answer(self, outcome: object) -> None:
        self._after(self.world.timing.request_s, lambda: self._deliver(outcome))

    def _deliver(self, outcome: object) -> None:
        if self.task.waits != self.wait:
            return
        if not isinstance(outcome, StorageUnavailable) and not self._is_reachable():
            late = self._unavailable("no answer")
            self.world.after(self._luck() * self.world.timing.timeout_s, lambda: self._deliver(late))
            return
        self._record("gave", outcome)
        self.task.resume(self.wait, outcome)
