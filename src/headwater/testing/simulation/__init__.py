"""A deterministic simulation: code over `Storage` and `Runtime` runs in virtual time, among faults, and repeats from a seed.

One task runs at a time, until its next call through a seam; how long that call takes, and so who goes on first, follows from
the seed. A test writes plain blocking code::

    def scenario(seed: int) -> None:
        with World(seed) as world:
            sites = [world.site(name) for name in "abc"]
            history = History(lambda: world.now)

            def write(process: Process) -> None:           # Runs anew after every restart.
                ledger = Ledger(sites, "log", process.runtime, timeout_s=5.0)
                for number in range(3):
                    value = f"{process}/{process.starts}/{number}"
                    append = history.append(process, "log", value)
                    try:
                        append.acknowledged(put_somewhere(ledger, value))
                    except StorageUnavailable:
                        pass                                # Nobody knows: it may come to hold.

            world.process("w1", write)
            world.process("w2", write, on=sites[0])         # Dies when the machine of site a loses power.
            FaultPlan(seconds=30).some(world).unleash(world)
            world.run()                                     # Until all tasks have ended and all faults are over.
            read = world.process("reader").start(read_all)
            world.run()
            history.read("reader", "log", 0, read.join(), whole=True)
            assert_holds(history)

    sweep(scenario, range(1000))

What a scenario raises has the seed, the end of the trace and who waits for what in its notes; `World.trace` gives all of it.
Besides a plan there are explicit faults: `World.cut`, `Process.kill`, `.pause`, `.restart_after`; `SimStorage.fail_next`,
`.erase`, `.flip`, `.lose_power`, and its fields `full`, `down`, `failing`, `slowness`.

The code must not hold a lock across a call through a seam, must take time, randomness and ids from its `Runtime`, and must not
go through a set whose order matters. Needs greenlet, which the installed product does not.
"""

from __future__ import annotations

try:
    import greenlet  # noqa: F401
except ModuleNotFoundError as e:
    raise ModuleNotFoundError(
        "headwater.testing.simulation needs greenlet; install it: pip install greenlet", name="greenlet"
    ) from e

from headwater.testing.simulation.checker import Violation, assert_holds, check
from headwater.testing.simulation.faults import FaultPlan
from headwater.testing.simulation.history import History
from headwater.testing.simulation.runtime import SimRuntime, SimulationError
from headwater.testing.simulation.storage import SimStorage
from headwater.testing.simulation.sweep import first_caught, sweep
from headwater.testing.simulation.tasks import Killed, Process, Task
from headwater.testing.simulation.world import Deadlock, Timing, World

__all__ = [
    "Deadlock",
    "FaultPlan",
    "History",
    "Killed",
    "Process",
    "SimRuntime",
    "SimStorage",
    "SimulationError",
    "Task",
    "Timing",
    "Violation",
    "World",
    "assert_holds",
    "check",
    "first_caught",
    "sweep",
]
