"""A consumer is killed again and again in its loop of reading, transforming and committing: each input has its effect once."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.ids import seeded_random
from headwater.log.interface import AppendGroup
from headwater.testing.log_conformance import batch, read_all
from tests.faults.processes import Child
from tests.faults.world import open_sites

INPUTS = 500


def _rounds(directory: Path, rounds: int, sites: int, seed: int, how: str = "together") -> int:
    random = seeded_random(seed)
    inputs = 0
    for _ in range(rounds):
        log = open_sites(directory, sites)
        source, sink = log.writer("s-in"), log.writer("s-out")
        done = log.committed("g", "in", 0)
        assert read_all(log, "out") == list(range(done))
        if inputs < done + INPUTS // 2:
            source.append(AppendGroup(batches=(batch("in", inputs, INPUTS),)))
            inputs += INPUTS
        source.close()
        sink.close()
        log.close()
        with Child("consumer", directory, sites, how) as consumer:
            consumer.lines(random.randrange(1, 10))
            consumer.kill(random.random() * 0.02)
    log = open_sites(directory, sites)
    log.writer("s-out")
    done = log.committed("g", "in", 0)
    assert read_all(log, "out") == list(range(done))
    log.close()
    return done


def test_each_input_has_its_effect_once(tmp_path: Path) -> None:
    assert _rounds(tmp_path / "one", rounds=6, sites=1, seed=1) > 50
    assert _rounds(tmp_path / "three", rounds=4, sites=3, seed=2) > 30


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_each_input_has_its_effect_once_in_many_rounds(tmp_path: Path, part: int) -> None:
    assert _rounds(tmp_path, rounds=50, sites=1 + 2 * (part % 2), seed=part) > 500


def test_offsets_that_are_committed_apart_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        _rounds(tmp_path, rounds=40, sites=1, seed=3, how="apart")
