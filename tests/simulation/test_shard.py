"""Seeds of the simulated shard: no promise is broken, the same seed does the same, and what is broken on purpose is caught."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from headwater.core.errors import LogError, Overtaken
from headwater.log import commit, member, restore, takeover
from headwater.testing.simulation import first_caught, sweep
from tests.simulation.shard import Shard

SEEDS, CHUNK = 1000, 50
MUTANT_SEEDS = 100


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    sweep(lambda seed: Shard(seed).play(), range(first, first + CHUNK))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, 20 * SEEDS, 10 * CHUNK))
def test_no_seed_of_many_breaks_a_promise(first: int) -> None:
    sweep(lambda seed: Shard(seed).play(), range(first, first + 10 * CHUNK))


def test_seeds_do_something() -> None:
    played = [Shard(seed).play() for seed in range(60)]
    outcomes = [append.outcome for shard in played for append in shard.history.appends]
    assert outcomes.count("acknowledged") > 3000
    assert outcomes.count("refused") > 10
    assert outcomes.count("unknown") > 50
    assert sum(shard.opened for shard in played) > 300
    assert sum(shard.returned for shard in played) > 5
    trace = "\n".join(line for shard in played for line in shard.world.trace())
    assert " erased " in trace


PROGRAM = "from tests.simulation.shard import Shard; print('\\n'.join(Shard(4).play().world.trace()))"


def test_the_same_seed_does_the_same_in_any_process() -> None:
    trace = Shard(4).play().world.trace()
    assert Shard(5).play().world.trace() != trace
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    fresh = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert fresh.stdout.splitlines() == trace


def _append_and_not_look(number: int, at: int, data: bytes, sync: bool, site: Any) -> bool:
    site.append(number, at, data, sync)
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


def _acknowledge_by_most(self: Any, what: Callable[[Any], object], sites: Any = None, *more: Any) -> dict[Any, object]:
    answers = asked(self, what, sites, *more)
    good = sum(answer is True for answer in answers.values())
    if good > len(self.members) // 2:
        return {site: True if not isinstance(answer, (Overtaken, bool)) else answer for site, answer in answers.items()}
    return answers


asked = commit.Committer._ask


def _fill_nothing(site: Any, tail: Any, counted: Any) -> bool:
    return True


def _believe_erased_sites(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(takeover.MemberSite, "open", _trust_everyone)
    patch.setattr(takeover.MemberSite, "is_whole", lambda self: True)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an append does not look behind itself": lambda patch: patch.setattr(commit, "_append_and_look", _append_and_not_look),
    "a put that finds another segment counts": lambda patch: patch.setattr(commit, "put_same", _put_and_not_compare),
    "no fence is put": lambda patch: patch.setattr(takeover, "put_same", _fence_nothing),
    "an erased site is believed": _believe_erased_sites,
    "most members are enough": lambda patch: patch.setattr(commit.Committer, "_ask", _acknowledge_by_most),
    "what a site lacks is not brought to it": lambda patch: patch.setattr(restore, "_fill", _fill_nothing),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_build_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    seed = first_caught(lambda seed: Shard(seed).play(), range(MUTANT_SEEDS), (AssertionError, LogError))
    assert seed is not None, f"{MUTANT_SEEDS} seeds do not see that {name}"
