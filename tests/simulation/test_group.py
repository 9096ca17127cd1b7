"""Seeds of the simulated consumer group: no promise is broken, and what is broken on purpose is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headwater.log import group_state, groups, journal, ledger
from headwater.testing.simulation import first_caught, sweep
from tests.simulation.group import Group

SEEDS, CHUNK = 200, 50
MUTANT_SEEDS = 200


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    sweep(lambda seed: Group(seed).play(), range(first, first + CHUNK))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, 20 * SEEDS, 10 * CHUNK))
def test_no_seed_of_many_breaks_a_promise(first: int) -> None:
    sweep(lambda seed: Group(seed).play(), range(first, first + 10 * CHUNK))


def test_seeds_do_something() -> None:
    played = [Group(seed).play() for seed in range(40)]
    assert sum(len(found) for group in played for found in group.acknowledged.values()) > 1000
    assert sum(group.refused for group in played) > 5
    assert sum(group.unknown for group in played) > 50
    assert sum(group.moved for group in played) > 300
    trace = "\n".join(line for group in played for line in group.world.trace())
    assert " erased " in trace
    assert "delete did" in trace


def test_the_same_seed_does_the_same() -> None:
    assert Group(4).play().world.trace() == Group(4).play().world.trace()


def _give_at_once(state: Any, number: int) -> None:
    rebalance(state, number)
    members = {name: member.topics for name, member in state.members.items()}
    should = group_state.assign(members, {unit: group_state.Owned(held.owner, held.going) for unit, held in state.holdings()})
    for unit, holding in state.holdings():
        if holding.going:
            holding.owner, holding.since, holding.going = should[unit], number, False


rebalance = group_state.rebalance


def _refuse_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(groups, "check_owner", lambda *_: None)
    patch.setattr(group_state, "is_owner", lambda *_: True)


def _believe_own_proposal(self: Any, change: Any) -> bool:
    number = self.position + 1
    snapshot = self._is_snapshot(number)
    data = self._shape.encode(self.state if snapshot else change, number)
    if not self._ledger.propose(number, data):
        return False
    if snapshot:
        self._ledger.trim(number, data)
    else:
        self._apply(self.state, number, change)
    self.position = number
    return True


def _vote_again(self: Any, site: Any, number: int, data: bytes) -> bytes:
    """Whoever asks is told what he wants to hear."""
    self._check_voter(site)
    site.put(ledger.object_name(self._directory, number), data)
    return data


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a unit is given to another before it is released": lambda patch: patch.setattr(group_state, "rebalance", _give_at_once),
    "a commit of who has lost the unit counts": _refuse_nobody,
    "who proposes does not look behind": lambda patch: patch.setattr(journal.Journal, "_propose", _believe_own_proposal),
    "a vote is not what the site keeps": lambda patch: patch.setattr(ledger.Ledger, "_vote", _vote_again),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_build_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    seed = first_caught(lambda seed: Group(seed).play(), range(MUTANT_SEEDS))
    assert seed is not None, f"{MUTANT_SEEDS} seeds do not see that {name}"
