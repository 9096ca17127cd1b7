"""Numbered names: nobody shares a number, and nobody changes it."""

from __future__ import annotations

import pytest

from headwater.core.errors import LogError
from headwater.log import roster
from headwater.log.roster import Roster
from headwater.log.takeover import Sites
from tests.unit.log.places import Clock, Place


@pytest.fixture
def sites() -> Sites:
    return Sites(tuple(Place(name) for name in "abc"))


def test_a_name_has_one_number_for_ever(sites: Sites) -> None:
    one, other = Roster(sites, Clock(), 4), Roster(sites, Clock(), 4)
    names = [f"collector {number}" for number in range(20)]
    numbers = [(one if number % 3 else other).number_of(name) for number, name in enumerate(names)]
    assert numbers == list(range(20))
    assert [Roster(sites, Clock(), 4).number_of(name) for name in reversed(names)] == list(reversed(numbers))
    assert one.names() == other.names() == names


def test_names_at_the_same_time_get_different_numbers() -> None:
    places = [Place(name) for name in "abc"]
    one, other = Roster(Sites(tuple(places)), Clock()), Roster(Sites(tuple(places)), Clock())
    given = []

    def come_between(operation: str, name: str) -> bool:
        if operation == "put":
            given.append(other.number_of("other"))
        return operation == "put"

    one.names()
    places[0].before = come_between
    given.append(one.number_of("one"))
    assert sorted(given) == [0, 1]
    assert one.names() == other.names()


def test_names_are_bounded(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "NUMBERED_NAMES_MAX", 1)
    numbers = Roster(sites, Clock())
    numbers.number_of("a")
    assert numbers.number_of("a") == 0
    with pytest.raises(LogError, match="1 names have a number; there is none for b"):
        numbers.number_of("b")
    with pytest.raises(LogError, match="the name of a process has 0 bytes"):
        numbers.number_of("")
