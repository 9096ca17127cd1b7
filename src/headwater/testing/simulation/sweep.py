"""Running a scenario by many seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def sweep(scenario: Callable[[int], object], seeds: Iterable[int]) -> None:
    """Runs the scenario with each seed. What the first of them raises says which seed it was."""
    for seed in seeds:
        try:
            scenario(seed)
        except Exception as e:
            e.add_note(f"by seed {seed}: call the scenario with it to see the same again")
            raise


def first_caught(
    scenario: Callable[[int], object],
    seeds: Iterable[int],
    error: type[Exception] | tuple[type[Exception], ...] = AssertionError,
) -> int | None:
    """The first seed with which the scenario raises that error, as it must for a broken program; None where none does."""
    for seed in seeds:
        try:
            scenario(seed)
        except error:
            return seed
    return None
