"""What goes wrong in a simulated world, when, and for how long: drawn from the seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.testing.simulation.storage import Failure

if TYPE_CHECKING:
    from headwater.testing.simulation.storage import SimStorage
    from headwater.testing.simulation.tasks import Process
    from headwater.testing.simulation.world import World

_KINDS = ("cuts", "kills", "pauses", "power_cuts", "erasures", "full_disks", "flips", "failing_sites", "slow_sites")


def _anything(kind: str, name: str) -> bool:
    return True


@dataclass(frozen=True)
class FaultPlan:
    """How often a virtual minute each kind of fault begins, and for how long all of it goes on.

    ``lasts_s``: how long one lasts in the mean; ``fails_with``: how calls to a failing site fail (a ``failing_share`` of them).
    ``allows`` is asked before each with its kind (a name of this plan's) and the name of the site or process that is to suffer:
    so a test forbids, say, to erase a second site before the first is back. A cut asks for each site that is cut off.
    """

    seconds: float = 60.0
    cuts: float = 2.0
    kills: float = 2.0
    pauses: float = 2.0
    power_cuts: float = 1.0
    erasures: float = 0.0
    full_disks: float = 1.0
    flips: float = 0.0
    failing_sites: float = 2.0
    slow_sites: float = 1.0
    lasts_s: float = 4.0
    failing_share: float = 0.2
    fails_with: tuple[Failure, ...] = ("refused", "lost", "late")
    allows: Callable[[str, str], bool] = _anything

    def some(self, world: World) -> FaultPlan:
        """The plan with about half of its kinds, each at a rate of its own: a seed finds more where not all happens at once."""
        random = world.random_for("plan").random
        rates = {kind: getattr(self, kind) * 3 * random() if random() < 0.5 else 0.0 for kind in _KINDS}
        return dataclasses.replace(self, **rates)  # type: ignore[arg-type]

    def unleash(self, world: World) -> None:
        """Lets all of it happen from now on. At its end what can end ends: cuts heal, processes run again, disks have space."""
        _Faults(self, world)


class _Faults:
    def __init__(self, plan: FaultPlan, world: World) -> None:
        self._plan = plan
        self._world = world
        self._random = world.random_for("faults")
        self._ends = world.now + plan.seconds
        for kind in _KINDS:
            self._plan_next(kind, getattr(plan, kind))
        # The world is not done before: what is killed is started again.
        world.expect(1)
        world.after(plan.seconds, self._calm)

    def _plan_next(self, kind: str, rate: float) -> None:
        if rate <= 0:
            return
        wait_s = self._some_s(60.0 / rate)
        if self._world.now + wait_s >= self._ends:
            return

        def begin() -> None:
            getattr(self, f"_begin_{kind}")()
            self._plan_next(kind, rate)

        self._world.after(wait_s, begin)

    def _some_s(self, mean_s: float) -> float:
        return -math.log(1.0 - self._random.random()) * mean_s

    def _lasts_s(self) -> float:
        """Never over the end."""
        return min(self._some_s(self._plan.lasts_s), self._ends - self._world.now)

    def _site(self, kind: str) -> SimStorage | None:
        sites = [site for site in self._world.sites.values() if self._plan.allows(kind, site.name)]
        return self._random.choice(sites) if sites else None

    def _process(self, kind: str) -> Process | None:
        alive = [p for p in self._world.processes.values() if p.alive and p.tasks and self._plan.allows(kind, p.name)]
        return self._random.choice(alive) if alive else None

    def _begin_cuts(self) -> None:
        """Into two sides, or one process or one site alone."""
        names = [*self._world.processes, *(site for site in self._world.sites if self._plan.allows("cuts", site))]
        if len(names) < 2:
            return
        if self._random.random() < 0.5:
            left = {self._random.choice(names)}
        else:
            left = {name for name in names if self._random.random() < 0.5}
        cut = self._world.cut(left, set(names) - left)
        self._world.after(self._lasts_s(), cut.heal)

    def _begin_kills(self) -> None:
        process = self._process("kills")
        if process is not None:
            process.restart_after(self._lasts_s())

    def _begin_pauses(self) -> None:
        process = self._process("pauses")
        if process is not None:
            process.pause(min(self._some_s(3 * self._plan.lasts_s), self._ends - self._world.now))

    def _begin_power_cuts(self) -> None:
        site = self._site("power_cuts")
        if site is not None:
            site.lose_power(self._lasts_s())

    def _begin_erasures(self) -> None:
        site = self._site("erasures")
        if site is not None:
            site.erase()

    def _begin_flips(self) -> None:
        site = self._site("flips")
        if site is not None:
            site.flip()

    def _begin_full_disks(self) -> None:
        self._change(self._site("full_disks"), "full", True, False)

    def _begin_failing_sites(self) -> None:
        site = self._site("failing_sites")
        if site is not None:
            site.failures = self._plan.fails_with
        self._change(site, "failing", self._plan.failing_share, 0.0)

    def _begin_slow_sites(self) -> None:
        site = self._site("slow_sites")
        if site is not None:
            self._change(site, "slowness", site.usual_slowness * 10 ** (3 * self._random.random()), site.usual_slowness)

    def _change(self, site: SimStorage | None, what: str, to: object, back: object) -> None:
        if site is None:
            return
        world = self._world
        world.record(site.name, what, "", to)
        setattr(site, what, to)

        def undo() -> None:
            world.record(site.name, what, "", back)
            setattr(site, what, back)

        world.after(self._lasts_s(), undo)

    def _calm(self) -> None:
        self._world.record("world", "calm", "", None)
        self._world.heal()
        for site in self._world.sites.values():
            site.calm()
        for process in self._world.processes.values():
            if not process.alive:
                process.restart()
        self._world.expect(-1)
