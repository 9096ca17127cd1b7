"""A toy log among all kinds of faults: the sound one holds, and every broken one is caught soon."""

import os
import subprocess
import sys

import pytest

from headwater.testing.simulation import FaultPlan, first_caught, sweep
from tests.simulation import counter


def test_the_sound_counter_holds():
    sweep(counter.count, range(100))


@pytest.mark.parametrize(
    "how",
    [
        counter.add_elsewhere_when_in_doubt,
        counter.add_without_sync,
        counter.add_behind_what_is_listed,
        counter.add_believing_in_time,
    ],
)
def test_a_broken_counter_is_caught_in_few_runs(how):
    assert first_caught(lambda seed: counter.count(seed, how), range(50)) is not None


@pytest.mark.parametrize("kind", ["cuts", "kills", "pauses", "power_cuts", "full_disks", "failing_sites", "slow_sites"])
def test_the_sound_counter_holds_among_much_of_one_kind(kind):
    rates = dict.fromkeys(["cuts", "kills", "pauses", "power_cuts", "full_disks", "failing_sites", "slow_sites"], 0.0)
    plan = FaultPlan(seconds=20, **{**rates, kind: 20.0})
    sweep(lambda seed: counter.count(seed, plan=plan), range(10))


def test_an_erasure_is_a_loss():
    plan = FaultPlan(seconds=20, erasures=6.0)
    assert first_caught(lambda seed: counter.count(seed, plan=plan), range(50)) is not None


def test_what_fails_says_its_seed_and_the_end_of_its_trace():
    with pytest.raises(AssertionError) as caught:
        sweep(lambda seed: counter.count(seed, counter.add_without_sync), range(50))
    notes = "\n".join(caught.value.__notes__)
    assert "seed" in notes
    assert "put did a:count/" in notes


PROGRAM = "from tests.simulation.counter import count; print('\\n'.join(count(7).trace()))"


def test_a_seed_gives_its_trace_again_and_another_gives_another():
    trace = counter.count(7).trace()
    assert len(trace) > 100
    assert counter.count(7).trace() == trace
    assert counter.count(8).trace() != trace
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        fresh = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        assert fresh.stdout.splitlines() == trace
