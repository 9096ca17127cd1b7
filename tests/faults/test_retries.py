"""Appends that are repeated since their answer was lost: there once, with the offsets of the first, whoever writes by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import Overtaken
from headwater.core.ids import seeded_random
from headwater.core.limits import PRODUCER_SEQUENCES_MAX
from headwater.log.holdings import Holdings
from headwater.log.interface import AppendGroup, Producer
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.testing.log_conformance import batch, read_all
from headwater.testing.memory_storage import MemoryStorage
from tests.faults.processes import Child
from tests.faults.world import IDS_PER_GROUP, Clock, counts, folders, open_sites

RETRIES_LONG = 10_000


def _open(storages: dict[str, Storage]) -> SharedLog:
    settings = LogSettings(segment_bytes_max=20_000, flush_s=0, follows=False)
    return open_log(storages, settings=settings, runtime=Clock())


def _retries(storages: dict[str, Storage], retries: int, seed: int) -> None:
    """Several producers; each append is repeated at once, after later ones, and at a process that took the shard over."""
    random = seeded_random(seed)
    log = _open(storages)
    writer = log.writer("s-0")
    sent: dict[str, list[tuple[AppendGroup, tuple[int, ...]]]] = {f"p{n}": [] for n in range(3)}
    done = value = 0
    while done < retries:
        name = random.choice(sorted(sent))
        group = AppendGroup(batches=(batch("a", value, 1 + value % 2),), producer=Producer(name, len(sent[name])))
        value += 1 + value % 2
        sent[name].append((group, writer.append(group)))
        if random.random() < 0.02:
            late, old = writer, log
            log = _open(storages)
            writer = log.writer("s-0")
            with pytest.raises(Overtaken):
                late.append(AppendGroup(batches=(batch("a", 10**9, 1),), producer=Producer(name, 10**9)))
            old.close()
        for _ in range(random.randrange(4)):
            again, firsts = random.choice(sent[random.choice([each for each in sent if sent[each]])][-PRODUCER_SEQUENCES_MAX:])
            assert writer.append(again) == firsts
            done += 1
    assert read_all(log, "a") == list(range(value))
    log.close()


@pytest.mark.parametrize("appends", [True, False])
def test_repeated_appends_are_there_once(appends: bool) -> None:
    _retries({name: MemoryStorage(name, appends) for name in "abc"}, retries=400, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("sites", [1, 3])
def test_many_repeated_appends_are_there_once(tmp_path: Path, sites: int) -> None:
    _retries(folders(tmp_path, sites), retries=RETRIES_LONG, seed=2)


def test_a_log_that_forgets_producers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holdings, "repeated", lambda self, producer: None)
    with pytest.raises(AssertionError):
        _retries({"a": MemoryStorage("a", True)}, retries=100, seed=1)


def _killed(directory: Path, rounds: int, sites: int, seed: int, build: str = "whole") -> None:
    """A producer is killed, and begins anew some groups before the last that it was told of: all of them, once each."""
    random = seeded_random(seed)
    first, last = 1, 0
    for _ in range(rounds):
        with Child("appender", directory, sites, first, build, 1) as writer:
            reports = writer.lines(random.randrange(1, 12)) + writer.kill(random.random() * 0.01)
        last = max(last, int(reports[-1]))
        log = open_sites(directory, sites)
        log.writer("s-0")
        whole = read_all(log, "a")
        there = max(found // IDS_PER_GROUP for found in whole) if whole else 0
        there = max(there, log.committed("g", "in", 0))
        expected = [n * IDS_PER_GROUP + i for n in range(1, there + 1) for i in range(counts(n)[0])]
        assert there >= last
        assert whole == expected, "groups are there twice, or are not there"
        log.close()
        # The last one may be one that was never told of.
        first = max(1, there + 1 - random.randrange(PRODUCER_SEQUENCES_MAX))


def test_a_producer_that_is_killed_repeats_and_nothing_is_there_twice(tmp_path: Path) -> None:
    _killed(tmp_path / "one", rounds=4, sites=1, seed=1)
    _killed(tmp_path / "three", rounds=2, sites=3, seed=2)


@pytest.mark.slow
def test_a_producer_that_is_killed_often_repeats_and_nothing_is_there_twice(tmp_path: Path) -> None:
    _killed(tmp_path / "one", rounds=100, sites=1, seed=3)
    _killed(tmp_path / "three", rounds=50, sites=3, seed=4)


def test_a_writer_that_forgets_producers_is_caught_by_killing_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="twice"):
        _killed(tmp_path, rounds=10, sites=1, seed=5, build="forgets producers")
