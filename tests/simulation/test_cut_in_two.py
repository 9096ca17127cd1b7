"""The sites are cut in two, healed and cut elsewhere, with a writer on each side: never two acknowledged histories."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.log.ledger import Ledger
from headwater.testing.simulation import assert_holds, first_caught, sweep
from tests.simulation.shard import Shard, setting

CUTS = 10
SEEDS = [seed for seed in range(100) if setting(seed).sites == 3][:20]


class CutInTwo(Shard):
    """Nothing goes wrong but that: some sites and one writer on one side, the others and the other writer on the other."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.cuts = 0
        self.opens_for_s = 30.0

    def play(self) -> CutInTwo:
        random = self.world.random_for("cuts")
        with self.world as world:
            names = [site.name for site in self.stores]
            writers = ["w0", "w1"]
            at = 1.0
            for _ in range(CUTS):
                random.shuffle(names)
                random.shuffle(writers)
                many = random.randrange(1, len(names))
                one, other = {*names[:many], writers[0]}, {*names[many:], writers[1]}
                at += 1.0 + 3.0 * random.random()
                world.after(at, lambda one=one, other=other: self.cut(one, other))
                at += 1.0 + 20.0 * random.random()
                world.after(at, world.heal)
            self.seconds = at
            for name in ("w0", "w1"):
                world.process(name, self.write)
            world.run()
            checker = world.process("checker").start(self.check)
            world.run()
            checker.join()
            assert_holds(self.history)
        return self

    def cut(self, one: set[str], other: set[str]) -> None:
        self.cuts += 1
        self.world.cut(one, other)


def test_never_two_acknowledged_histories() -> None:
    played: list[CutInTwo] = []
    sweep(lambda seed: played.append(CutInTwo(seed).play()), SEEDS)
    assert sum(each.cuts for each in played) == 200
    outcomes = [append.outcome for each in played for append in each.history.appends]
    assert outcomes.count("acknowledged") > 2000
    assert outcomes.count("unknown") > 20
    assert sum(each.left for each in played) > 10, "no site left while it was cut off"


def test_a_ledger_that_needs_no_majority_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Ledger.__init__

    def needs_one(self: Ledger, *given: Any) -> None:
        begin(self, *given)
        self.majority = 1

    monkeypatch.setattr(Ledger, "__init__", needs_one)
    assert first_caught(lambda seed: CutInTwo(seed).play(), SEEDS) is not None
