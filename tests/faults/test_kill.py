"""kill -9 while three threads append: nothing acknowledged is lost, no group is there in part."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.core.ids import seeded_random
from headwater.log.local import LocalLog
from headwater.testing.log_conformance import read_all
from tests.faults.world import IDS_PER_GROUP, counts

ROOT = Path(__file__).parents[2]
ROUNDS_LONG = 1000


def _killed_round(directory: Path, first: int, reports: int, delay_s: float, writer: str) -> list[int]:
    """Starts the appender, kills it after so many reports and a moment more, and gives all groups that it reported."""
    command = [sys.executable, "-m", "tests.faults.appender", str(directory), str(first), writer]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(reports)]
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
        lines += process.stdout.readlines()
    # The last line may be cut off: its group counts as not reported.
    return [int(line) for line in lines if line.endswith(b"\n")]


def _check(directory: Path, acknowledged: list[int], first: int) -> int:
    """Fails where a reported group is not there whole and once; gives a number that no group has.

    ``first`` is the lowest number of the last round.
    """
    log = LocalLog(directory)
    groups: list[dict[int, int]] = [{}, {}]
    for topic, found in zip(("a", "b"), groups, strict=True):
        for record in read_all(log, topic):
            number, index = divmod(record, IDS_PER_GROUP)
            assert found.get(number, 0) == index, f"record {index} of group {number} stands where {found.get(number, 0)} belongs"
            found[number] = index + 1
    for number in {*acknowledged, *groups[0], *groups[1]}:
        assert tuple(found.get(number, 0) for found in groups) == counts(number), f"group {number} is not there whole"
    state = int(log.state("s") or b"0")
    assert log.committed("g", "in", 0) == state
    assert state >= first, f"group {first} and later ones were acknowledged, the last state is of group {state}"
    log.close()
    return max([state, *acknowledged, *groups[0], *groups[1]]) + 1000


def _rounds(directory: Path, rounds: int, seed: int, writer: str = "LocalWriter") -> int:
    random = seeded_random(seed)
    acknowledged: list[int] = []
    first = 1
    for _ in range(rounds):
        acknowledged += _killed_round(directory, first, random.randrange(1, 40), random.random() * 0.02, writer)
        first = _check(directory, acknowledged, first)
    return len(acknowledged)


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    assert _rounds(tmp_path / "log", rounds=20, seed=1) > 100


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_many_rounds(tmp_path: Path) -> None:
    # Ten logs: each round reads its whole log again.
    assert sum(_rounds(tmp_path / f"log{part}", rounds=ROUNDS_LONG // 10, seed=part) for part in range(10)) > 10 * ROUNDS_LONG


@pytest.mark.parametrize("mutant", ["AcknowledgesBeforeWrite", "WritesGroupsInHalves"])
def test_a_broken_writer_is_caught_by_killing_it(tmp_path: Path, mutant: str) -> None:
    with pytest.raises(AssertionError, match="not there whole"):
        _rounds(tmp_path / "log", rounds=20, seed=2, writer=mutant)
