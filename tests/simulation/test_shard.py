"""Seeds of the simulated shard: no promise is broken, the same seed does the same, and what is broken on purpose is caught."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.core.errors import Overtaken
from headwater.log import commit, member, restore, takeover
from tests.simulation.shard import run

SEEDS, CHUNK = 1000, 50
MUTANT_SEEDS = 150


def play(seeds: range) -> None:
    for seed in seeds:
        try:
            run(seed)
        except Exception as e:
            raise AssertionError(f"seed {seed}: {type(e).__name__}: {e}") from e


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    play(range(first, first + CHUNK))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, 20 * SEEDS, 10 * CHUNK))
def test_no_seed_of_many_breaks_a_promise(first: int) -> None:
    play(range(first, first + 10 * CHUNK))


def test_seeds_do_something() -> None:
    outcomes = [run(seed) for seed in range(100)]
    assert sum(outcome.acknowledged for outcome in outcomes) > 1000
    assert sum(outcome.opened for outcome in outcomes) > 100
    assert sum(outcome.refused for outcome in outcomes) > 10
    trace = "\n".join(line for outcome in outcomes for line in outcome.trace)
    for what in ("is erased", "is back", "left", "gives up: shard s was taken over", "cannot open the shard", "is killed"):
        assert what in trace, f"no seed did this: {what}"


def test_the_same_seed_does_the_same_in_any_process() -> None:
    code = (
        "import hashlib; from tests.simulation.shard import run\n"
        "for seed in (3, 4): print(hashlib.md5('\\n'.join(run(seed).trace).encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for salt in ("1", "2")
    ]
    assert told[0] == told[1]
    assert told[0][0] != told[0][1]


def _append_and_not_look(number: int, at: int, data: bytes, site: Any) -> bool:
    site.append(number, at, data)
    return True


def _put_and_not_compare(number: int, data: bytes, site: Any) -> bool:
    site.put(number, data)
    return True


def _fence_nothing(number: int, data: bytes, site: Any) -> bool:
    return True


def _trust_everyone(self: Any) -> bool:
    opened(self)
    self._parts = self._parts or [member._Part(member.directory_of(self.shard, self.admission), -1)]
    return True


opened = takeover.MemberSite.open


def _acknowledge_by_most(self: Any, what: Callable[[Any], object], sites: Any = None) -> dict[Any, object]:
    answers = asked(self, what, sites)
    good = sum(answer is True for answer in answers.values())
    if good > len(self.members) // 2:
        return {site: True if not isinstance(answer, (Overtaken, bool)) else answer for site, answer in answers.items()}
    return answers


asked = commit.Committer._ask


def _fill_nothing(site: Any, tail: Any, counted: Any) -> bool:
    return True


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an append does not look behind itself": lambda patch: patch.setattr(commit, "_append_and_look", _append_and_not_look),
    "a put that finds another segment counts": lambda patch: patch.setattr(commit, "_put", _put_and_not_compare),
    "no fence is put": lambda patch: patch.setattr(takeover, "_put_fence", _fence_nothing),
    "an erased site is believed": lambda patch: patch.setattr(takeover.MemberSite, "open", _trust_everyone),
    "most members are enough": lambda patch: patch.setattr(commit.Committer, "_ask", _acknowledge_by_most),
    "what a site lacks is not brought to it": lambda patch: patch.setattr(restore, "_fill", _fill_nothing),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_build_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    for seed in range(MUTANT_SEEDS):
        try:
            run(seed)
        except Exception as e:
            print(f"{name}: caught by seed {seed}: {type(e).__name__}: {e}")
            return
    raise AssertionError(f"{MUTANT_SEEDS} seeds do not see that {name}")
