"""kill -9 while three threads append and others read: nothing acknowledged or seen is lost, no group is in part or twice."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from headwater.core.errors import LogError
from headwater.core.ids import seeded_random
from headwater.log import commit, restore
from headwater.testing.log_conformance import read_all
from tests.faults.mutants import admit_empty, fill_nothing
from tests.faults.processes import Child
from tests.faults.world import IDS_PER_GROUP, counts, open_sites, site_names

ROUNDS_LONG = 1000
THREADS = 3


class Killed:
    """A log whose writers and readers are killed, round by round."""

    def __init__(self, directory: Path, sites: int, seed: int, build: str = "whole") -> None:
        self.directory, self.sites, self.build = directory, sites, build
        self.random = seeded_random(seed)
        self.acknowledged: list[int] = []
        self.first = 1
        self.seen = self.erased = 0

    def round(self) -> None:
        """Starts a writer and a reader, kills both, erases a site now and then, and looks."""
        with Child("appender", self.directory, self.sites, self.first, self.build, THREADS) as writer:
            reports = writer.lines(1)
            with Child("reader", self.directory, self.sites) as reader:
                shown = reader.lines(1)
                reports += writer.lines(self.random.randrange(1, 40))
                shown += reader.kill(self.random.random() * 0.05)
            reports += writer.kill(self.random.random() * 0.02)
        self.acknowledged += [int(line) for line in reports]
        if self.sites > 1 and self.random.random() < 0.2:
            shutil.rmtree(self.directory / self.random.choice(site_names(self.sites)))
            self.erased += 1
        self.check([line.split() for line in shown if line != "ready"])

    def check(self, shown: list[list[str]]) -> None:
        """Fails where a reported group is not there whole and once, or what a reader saw is not there, or sites differ."""
        log = open_sites(self.directory, self.sites)
        writer = log.writer("s-0")
        for storage in log.sites.storages:
            assert storage.name in writer.members or writer.readmit(storage)
        assert len(writer.members) == self.sites
        records = read_all(log, "a")
        groups: list[dict[int, int]] = [{}, {}]
        for found, all_of in zip(groups, (records, read_all(log, "b")), strict=True):
            for record in all_of:
                number, index = divmod(record, IDS_PER_GROUP)
                expected = found.get(number, 0)
                assert expected == index, f"record {index} of group {number} stands where {expected} belongs"
                found[number] = index + 1
        for number in {*self.acknowledged, *groups[0], *groups[1]}:
            assert tuple(found.get(number, 0) for found in groups) == counts(number), f"group {number} is not there whole"
        for offset, found_id in shown:
            assert records[int(offset)] == int(found_id), f"a reader saw {found_id} at {offset}, where {records[int(offset)]} is"
        self.seen += len(shown)
        for thread in range(THREADS):
            order = [number for number in groups[0] if number >= self.first and (number - self.first) % THREADS == thread]
            assert order == sorted(order), f"out of order: {order}"
        state = int(log.state("s") or b"0")
        assert log.committed("g", "in", 0) == state
        assert state >= self.first, f"group {self.first} and later ones were acknowledged, the last state is of group {state}"
        self.first = max([state, *self.acknowledged, *groups[0], *groups[1]]) + 1000
        writer.stand_behind()  # Readers show the last group once something stands behind it; it has to be idle for a while.
        writer.stand_behind()
        log.close()
        for name in site_names(self.sites):
            alone = open_sites(self.directory, self.sites, only=name)
            assert read_all(alone, "a") == records, f"site {name} has other records"
            alone.close()

    def play(self, rounds: int) -> Killed:
        for _ in range(rounds):
            self.round()
        return self


@pytest.mark.parametrize(("sites", "rounds"), [(1, 5), (3, 5)])
def test_nothing_acknowledged_is_lost_when_writers_and_readers_are_killed(tmp_path: Path, sites: int, rounds: int) -> None:
    killed = Killed(tmp_path, sites, seed=3).play(rounds)
    assert len(killed.acknowledged) > 10 * rounds
    assert killed.seen > rounds
    assert killed.erased > 0 or sites == 1


@pytest.mark.slow
@pytest.mark.parametrize("sites", [1, 3])
@pytest.mark.parametrize("part", range(10))
def test_nothing_acknowledged_is_lost_in_many_rounds(tmp_path: Path, sites: int, part: int) -> None:
    # Ten logs: each round reads its whole log again.
    killed = Killed(tmp_path, sites, seed=part).play(ROUNDS_LONG // 20)
    assert len(killed.acknowledged) > ROUNDS_LONG // 4


@pytest.mark.parametrize(("module", "name", "mutant"), [(restore, "_fill", fill_nothing), (commit, "admit", admit_empty)])
def test_sites_that_are_not_brought_what_they_lack_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, mutant: Callable[..., object]
) -> None:
    monkeypatch.setattr(module, name, mutant)
    with pytest.raises((AssertionError, LogError)) as caught:
        Killed(tmp_path, 3, seed=1).play(40)
    assert re.search("has other records|segment|asked for offset", str(caught.value))


@pytest.mark.parametrize("build", ["acknowledges before it writes", "writes groups in halves"])
def test_a_broken_build_is_caught_by_killing_it(tmp_path: Path, build: str) -> None:
    with pytest.raises(AssertionError, match="not there whole"):
        Killed(tmp_path, 1, seed=2, build=build).play(20)
