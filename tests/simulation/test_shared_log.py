"""Seeds of whole logs: groups are there as a whole for every reader, and the invariants of `checker` hold in each partition."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from headwater.log import shared
from headwater.log.holdings import Holdings
from headwater.log.interface import AppendGroup
from headwater.log.shard_writer import SharedWriter
from headwater.testing.simulation import first_caught, sweep
from tests.simulation.shared_log import Logs


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(shared, "new_id", lambda: f"{next(numbers):032x}")


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_no_seed_breaks_a_promise(first: int) -> None:
    played: list[Logs] = []
    sweep(lambda seed: played.append(Logs(seed).play()), range(first, first + 25))
    assert sum(each.opened for each in played) > 50
    assert sum(each.looks for each in played) > 200
    assert sum(each.repeated for each in played) > 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 5000, 250))
def test_no_seed_of_many_breaks_a_promise(first: int) -> None:
    sweep(lambda seed: Logs(seed).play(), range(first, first + 250))


def test_a_log_that_forgets_producers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holdings, "repeated", lambda self, producer: None)
    assert first_caught(lambda seed: Logs(seed).play(), range(20)) is not None


def test_groups_in_halves_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    append = SharedWriter.append

    def in_halves(self: Any, group: AppendGroup) -> tuple[int, ...]:
        firsts = [append(self, AppendGroup(batches=(batch,))) for batch in group.batches]
        append(self, AppendGroup(commits=group.commits, state=group.state))
        return tuple(first for one in firsts for first in one)

    monkeypatch.setattr(SharedWriter, "append", in_halves)
    assert first_caught(lambda seed: Logs(seed).play(), range(20)) is not None
