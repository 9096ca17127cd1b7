"""A writer is stopped in mid-work, its shard is taken over, and it wakes: nothing that it still does is acknowledged or seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.ids import seeded_random
from headwater.log.interface import AppendGroup
from headwater.testing.log_conformance import batch, read_all
from tests.faults.processes import Child
from tests.faults.world import IDS_PER_GROUP, open_sites

OWN = 10**9  # Ids of what the one who takes over appends.


def _rounds(directory: Path, rounds: int, sites: int, seed: int, build: str = "whole") -> int:
    random = seeded_random(seed)
    first = late = 0
    for _ in range(rounds):
        first += 10_000
        with Child("appender", directory, sites, first, build, 3) as writer:
            before = writer.lines(random.randrange(1, 20))
            writer.pause()
            log = open_sites(directory, sites)
            taker = log.writer("s-0")
            there = {found // IDS_PER_GROUP for found in read_all(log, "a") if found < OWN}
            own = random.randrange(3)
            for number in range(own):
                taker.append(AppendGroup(batches=(batch("a", OWN + number, 1),)))
            writer.wake()
            after = writer.rest()
        assert after[-1] == "overtaken", after
        # What was acknowledged before the stop may still have been on its way to us.
        for number in (int(line) for line in [*before, *after] if line != "overtaken"):
            assert number % 5 == 4 or number in there, f"group {number} was acknowledged, and is not there"
        late += len(after)
        taker.append(AppendGroup(batches=(batch("a", OWN + own, 1),)))
        again = open_sites(directory, sites)
        again.writer("s-0").close()
        for each in (log, again):
            found = {found // IDS_PER_GROUP for found in read_all(each, "a") if found < OWN}
            assert found == there, f"groups {found - there} came after the take-over, {there - found} went"
            each.close()
    return late


def test_a_writer_that_wakes_after_its_shard_was_taken_over_changes_nothing(tmp_path: Path) -> None:
    for sites in (1, 3):
        _rounds(tmp_path / str(sites), rounds=3, sites=sites, seed=sites)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("sites", [1, 3])
def test_many_writers_that_wake_change_nothing(tmp_path: Path, part: int, sites: int) -> None:
    _rounds(tmp_path, rounds=25, sites=sites, seed=10 + part)


def test_a_writer_that_does_not_look_behind_its_appends_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"was acknowledged, and is not there|came after"):
        _rounds(tmp_path, rounds=20, sites=1, seed=5, build="never looks behind its appends")
