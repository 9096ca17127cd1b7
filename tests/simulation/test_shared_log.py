"""Seeds of whole logs: groups are there as a whole for every reader, and the invariants of `checker` hold in each partition."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from headwater.core.errors import LogError
from headwater.log import compact, layout, shared
from headwater.log.compact import Compaction
from headwater.log.holdings import Holdings
from headwater.log.interface import AppendGroup
from headwater.log.shard_writer import SharedWriter
from headwater.log.upkeep import Upkeep
from headwater.testing.simulation import first_caught, sweep
from tests.simulation.shared_log import Logs


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    for module in (shared, compact, layout):
        monkeypatch.setattr(module, "new_id", lambda: f"{next(numbers):032x}")


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_no_seed_breaks_a_promise(first: int) -> None:
    played: list[Logs] = []
    sweep(lambda seed: played.append(Logs(seed).play()), range(first, first + 25))
    assert sum(each.opened for each in played) > 50
    assert sum(each.looks for each in played) > 200
    assert sum(each.repeated for each in played) > 100
    assert sum(each.kept.compacted for each in played) > 10
    assert sum(each.kept.deleted for each in played) > 10


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


def test_upkeep_that_deletes_what_it_did_not_copy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    delete = Upkeep._delete_from

    def delete_more(self: Any, storage: Any, segments: list[int], ids: list[str]) -> None:
        delete(self, storage, [number + 1 for number in segments], ids)

    monkeypatch.setattr(Upkeep, "_delete_from", delete_more)
    assert first_caught(lambda seed: Logs(seed).play(), range(20), (AssertionError, LogError)) is not None


def test_compaction_that_leaves_a_partition_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Compaction._take

    def take_one(self: Any, place: Any, piece: Any, gathered: Any) -> None:
        take(self, place, piece, {} if place[1] else gathered)

    monkeypatch.setattr(Compaction, "_take", take_one)
    assert first_caught(lambda seed: Logs(seed).play(), range(20), (AssertionError, LogError)) is not None
