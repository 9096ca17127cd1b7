"""Processes of a simulation and their tasks, each a greenlet that runs until its next call through a seam."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from headwater.testing.simulation.runtime import SimRuntime

if TYPE_CHECKING:
    from headwater.testing.simulation.storage import SimStorage
    from headwater.testing.simulation.world import World

_HERE = __file__.rpartition("/")[0]


class Killed(BaseException):
    """Ends a task of a killed process at its next call through a seam. No Exception, so that no code takes it for a failure."""


class Task:
    """One function of a process. `waits_for` says what it stands at, and since when (virtual seconds)."""

    def __init__(self, process: Process, name: str, function: Callable[[], Any]) -> None:
        self.process = process
        self.world = process.world
        self.name = f"{process.name}/{name}"
        self.done = self.killed = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waits_for: tuple[object, ...] = ("its start",)
        self.since = self.world.now
        self.waits = 0  # The number of the wait it is in: an answer to an earlier one comes too late.
        self._function = function
        self._when_done: list[Callable[[], None]] = []
        self._greenlet = greenlet(self._run)

    def _run(self, _: object) -> None:
        try:
            if not self.killed:
                self.result = self._function()
        except Killed as e:
            self.error = e
        except Exception as e:
            self.error = e
            self.world.failed(self, e)
        finally:
            self.done = True
            self.world.ended(self)
            self.process.tasks.discard(self)
            for call in self._when_done:
                call()

    def wait(self, *what: object) -> Any:
        """Stands still until it is resumed, and gives, or raises, what it is resumed with."""
        if self.killed:
            raise Killed
        self.waits_for, self.since = what, self.world.now
        given = self.world.hub.switch()
        if self.killed:
            raise Killed
        if isinstance(given, Exception):
            raise given
        return given

    def resume(self, wait: int, given: object = None) -> None:
        """Lets the task go on, unless it waits for something else by now; later if its process is paused."""
        if self.waits != wait or self.done:
            return
        paused_until = self.process.paused_until
        if paused_until > self.world.now:
            self.world.after(paused_until - self.world.now + self.world.small_s(), lambda: self.resume(wait, given))
            return
        self.waits += 1
        self.switch(given)

    def switch(self, given: object = None) -> None:
        """Runs the task until it waits again or ends. Only the world calls it."""
        world = self.world
        self._greenlet.parent = world.hub
        world.current = self
        try:
            self._greenlet.switch(given)
        finally:
            world.current = None

    def kill(self) -> None:
        """Ends it: at once if it waits, else at its next call."""
        self.killed = True
        self.waits += 1
        self.world.after(0.0, self.end)

    def end(self) -> None:
        """Resumes a killed task, which then ends."""
        if not self.done and getcurrent() is self.world.hub:
            self.switch()

    def when_done(self, call: Callable[[], None]) -> None:
        """Has it called when the task ends; at once if it has."""
        if self.done:
            call()
        else:
            self._when_done.append(call)

    def join(self) -> Any:
        """Waits, in another task, until this one ends; its result, or raises what it raised. After a kill raises Killed."""
        task = self.world.current
        if task is not None and not self.done:
            wait = task.waits
            self.when_done(lambda: self.world.after(self.world.small_s(), lambda: task.resume(wait)))
            task.wait("the end of", self.name)
        if self.error is not None:
            raise self.error
        return self.result

    def __str__(self) -> str:
        what = " ".join(str(part) for part in self.waits_for)
        paused = self.process.paused_until > self.world.now
        state = f", paused until {self.process.paused_until:.3f} s" if paused else ""
        return f"{self.name} waits since {self.since:.3f} s for {what}{state}{self._place()}"

    def _place(self) -> str:
        frame = self._greenlet.gr_frame
        if frame is None:
            return ""
        calls = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame) if not f.filename.startswith(_HERE)]
        return f"\n    at {calls[-1]}" if calls else ""


class Process:
    """A process: tasks that are killed and paused together. ``on``: the site on whose machine it runs, whose power is its own.

    ``mains`` run as its tasks from the start, and anew after each restart.
    """

    def __init__(self, world: World, name: str, mains: tuple[Callable[[Process], object], ...], on: SimStorage | None) -> None:
        self.world = world
        self.name = name
        self.on = on
        self.tasks: set[Task] = set()
        self.paused_until = 0.0
        self.alive = False
        self.starts = 0
        self._mains = mains
        self._next = 0
        self.runtime = SimRuntime(self)
        self.restart()

    def start(self, function: Callable[[Process], object], name: str = "") -> Task:
        """Starts one more task of the process as it runs now; it is not started again after a restart."""
        return self.spawn(name or getattr(function, "__name__", "task"), lambda: function(self))

    def spawn(self, name: str, call: Callable[[], Any]) -> Task:
        """Starts a call as a task."""
        self._next += 1
        task = Task(self, f"{name}.{self._next}", call)
        self.tasks.add(task)
        self.world.began(task)
        wait = task.waits
        self.world.after(self.world.small_s(), lambda: task.resume(wait))
        return task

    def kill(self) -> None:
        """Ends every task at its next call through a seam. What they asked of sites is done or not, by the seed."""
        if not self.alive:
            return
        self.world.record(self.name, "killed", "", None)
        self.alive = False
        # A set has no order that repeats in another interpreter.
        for task in sorted(self.tasks, key=lambda each: each.name):
            task.kill()
        self.tasks.clear()

    def restart(self) -> None:
        """Kills what is left of the process, and starts its mains as a new one."""
        self.kill()
        self.alive = True
        self.paused_until = 0.0
        self.starts += 1
        self.runtime = SimRuntime(self)
        self.world.record(self.name, "started", "", None)
        for main in self._mains:
            self.start(main)

    def restart_after(self, seconds: float) -> None:
        """Kills it now and restarts it then; the world does not take its work for done meanwhile."""
        self.kill()
        self.world.expect(1)

        def begin() -> None:
            self.world.expect(-1)
            if not self.alive:
                self.restart()

        self.world.after(seconds, begin)

    def pause(self, seconds: float) -> None:
        """All its tasks stand still while the world goes on. What they had asked for is done now or after it, by the seed."""
        self.paused_until = max(self.paused_until, self.world.now + seconds)
        self.world.record(self.name, "paused", f"until {self.paused_until:.3f} s", None)

    def __str__(self) -> str:
        return self.name
