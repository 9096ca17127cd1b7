"""A state agreed on by entries: order, snapshots, removal of what lies before them, and entries that come late."""

from __future__ import annotations

import msgspec
import pytest

from headwater.core.errors import CorruptLog, LogError, StorageUnavailable
from headwater.log.envelope import Shape
from headwater.log.journal import Journal, check_name, part_of
from headwater.log.ledger import numbers_in, object_name
from headwater.log.stores.names import is_part
from headwater.log.takeover import Sites
from tests.unit.log.places import Clock, Place


class Words(msgspec.Struct, tag="state"):
    said: list[str] = []


class Say(msgspec.Struct, tag="say"):
    word: str


SHAPE: Shape[Words | Say] = Shape("an entry of words", b"\xf5HWX", 1, Words | Say, numbered=True)
EVERY = 4


def say(state: Words, number: int, change: Say) -> None:
    state.said.append(change.word)


class Speaker:
    """A process that adds words."""

    def __init__(self, sites: list[Place], clock: Clock) -> None:
        self.journal: Journal[Words, Say] = Journal(Sites(tuple(sites)), "_words", clock, SHAPE, Words(), say, EVERY)

    def say(self, *words: str) -> None:
        for word in words:
            self.journal.perform(lambda state, word=word: None if word in state.said else Say(word))  # type: ignore[misc]

    def heard(self) -> list[str]:
        self.journal.refresh()
        return self.journal.state.said


@pytest.fixture
def sites() -> list[Place]:
    return [Place(name) for name in "abc"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def words(first: int, end: int) -> list[str]:
    return [f"w{number}" for number in range(first, end)]


def numbers(site: Place) -> list[int]:
    return numbers_in(site, "_words")


def test_all_see_the_same_changes_in_one_order(sites: list[Place], clock: Clock) -> None:
    one, other = Speaker(sites, clock), Speaker(sites, clock)
    one.say("a", "b")
    other.say("c")
    one.say("d")
    assert one.heard() == other.heard() == Speaker(sites, clock).heard() == ["a", "b", "c", "d"]


def test_a_snapshot_stands_for_what_lay_before_it(sites: list[Place], clock: Clock) -> None:
    one, other = Speaker(sites, clock), Speaker(sites, clock)
    other.say("first")
    one.say(*words(0, 40))
    for site in sites:
        assert numbers(site)[0] == numbers(site)[-1] // EVERY * EVERY, "what lies before the last snapshot is removed"
    assert other.heard() == Speaker(sites, clock).heard() == ["first", *words(0, 40)]


def test_looking_on_begins_nothing(sites: list[Place], clock: Clock) -> None:
    assert Speaker(sites, clock).heard() == []
    assert [site.names() for site in sites] == [[], [], []]


def test_an_entry_under_a_number_that_was_removed_does_not_count(sites: list[Place], clock: Clock) -> None:
    late, others = Speaker(sites, clock), Speaker(sites, clock)
    late.say("a")
    place = object_name("_words", late.journal.position + 1)

    def stop_before_the_put(operation: str, name: str) -> bool:
        if (operation, name) != ("put", place):
            return False
        others.say(*words(0, 21))
        assert all(place not in site.names() for site in sites)
        return True

    sites[0].before = stop_before_the_put
    late.say("late")
    assert all(place in site.names() for site in sites), "it got every vote"
    expected = ["a", *words(0, 21), "late"]
    assert late.heard() == others.heard() == Speaker(sites, clock).heard() == expected


def test_a_reader_believes_nothing_that_was_removed_meanwhile(sites: list[Place], clock: Clock) -> None:
    reader, others = Speaker(sites, clock), Speaker(sites, clock)
    others.say("a")
    reader.heard()
    others.say("b")
    number = reader.journal.position + 1

    def stop_before_the_get(operation: str, name: str) -> bool:
        if (operation, name) != ("get", object_name("_words", number)):
            return False
        others.say(*words(0, 20))
        for site in sites:
            assert site.put(object_name("_words", number), SHAPE.encode(Say("late"), number))
        return True

    sites[0].before = stop_before_the_get
    assert reader.heard() == others.heard() == ["a", "b", *words(0, 20)]


def test_a_reader_goes_on_where_what_it_listed_was_removed(sites: list[Place], clock: Clock) -> None:
    reader, others = Speaker(sites, clock), Speaker(sites, clock)
    others.say("a")

    def stop_before_the_get(operation: str, name: str) -> bool:
        if operation != "get" or name.endswith("voter"):
            return False
        others.say(*words(0, 20))
        return True

    sites[0].before = stop_before_the_get
    assert reader.heard() == ["a", *words(0, 20)]


@pytest.mark.parametrize("silent", range(3))
def test_proposals_at_the_same_time_go_on_without_a_site(sites: list[Place], clock: Clock, silent: int) -> None:
    one, other = Speaker(sites, clock), Speaker(sites, clock)
    one.say("a")
    other.heard()
    sites[silent].silent = True
    asked = [site for site in sites if not site.silent]

    # The other one proposes after the first vote of the one, and before its second.
    def come_between(operation: str, name: str) -> bool:
        if operation == "put":
            other.say("c")
        return operation == "put"

    asked[1].before = come_between
    one.say("b")
    assert sorted(one.heard()) == sorted(other.heard()) == ["a", "b", "c"]
    sites[silent].silent = False
    assert Speaker(sites, clock).heard() == one.heard()


def test_a_site_that_hangs_is_waited_for_once_in_a_while(sites: list[Place]) -> None:
    clock = Clock(silence_s=2.0)
    speaker = Speaker(sites, clock)
    speaker.say("a")
    sites[1].silent = True
    began = clock.at
    speaker.say(*words(0, 20))
    assert clock.at - began < 10
    sites[1].silent = False
    clock.sleep(20)
    speaker.say("b")
    assert sites[1].names()[-1:] == sites[0].names()[-1:], "it is asked again"


def test_a_minority_changes_nothing(sites: list[Place], clock: Clock) -> None:
    speaker = Speaker(sites, clock)
    speaker.say("a")
    sites[0].silent = sites[2].silent = True
    with pytest.raises(StorageUnavailable):
        speaker.say("b")
    with pytest.raises(StorageUnavailable):
        speaker.heard()
    sites[0].silent = False
    speaker.say("b")
    assert speaker.heard() == ["a", "b"]


def test_an_erased_site_gets_what_was_not_removed_and_votes_again(sites: list[Place], clock: Clock) -> None:
    speaker = Speaker(sites, clock)
    speaker.say(*words(0, 21))
    sites[2].erase()
    speaker.say("b")
    speaker.heard()
    assert sites[2].names() == sites[0].names()
    sites[0].erase()
    assert Speaker(sites, clock).heard() == [*words(0, 21), "b"]
    speaker.say("c")
    speaker.heard()
    assert sites[0].names() == sites[1].names() == sites[2].names()


def test_a_site_that_missed_a_removal_does_it_later(sites: list[Place], clock: Clock) -> None:
    speaker = Speaker(sites, clock)
    speaker.say("a")
    sites[2].silent = True
    speaker.say(*words(0, 20))
    sites[2].silent = False
    clock.sleep(20)
    speaker.say(*words(20, 40))
    assert numbers(sites[2]) == numbers(sites[0])


def test_a_damaged_entry_is_outvoted_or_found(sites: list[Place], clock: Clock) -> None:
    Speaker(sites, clock).say("a")
    for site in sites[:1]:
        site.flip(site.names()[1], 100)
    assert Speaker(sites, clock).heard() == ["a"]
    alone = [Place("d")]
    Speaker(alone, clock).say("a")
    alone[0].flip(alone[0].names()[1], 100)
    with pytest.raises(CorruptLog, match="_words/0000000000000000000"):
        Speaker(alone, clock).heard()


def test_a_state_where_a_change_belongs_is_refused(sites: list[Place], clock: Clock) -> None:
    Speaker(sites, clock).say("a")
    for site in sites:
        site.put(object_name("_words", 2), SHAPE.encode(Words(), 2))
    with pytest.raises(CorruptLog, match="Words belongs under another number"):
        Speaker(sites, clock).heard()


@pytest.mark.parametrize("name", ["orders", "Orders", "ordérs", "a/b", "..", "x" * 1024, "n-orders", " "])
def test_any_name_has_a_part_of_its_own(name: str) -> None:
    assert is_part(part_of(name))
    assert part_of(name) not in {part_of(other) for other in ("orders!", "ORDERS", "h-orders", name + "x")}


def test_plain_names_are_seen() -> None:
    assert part_of("orders-2") == "n-orders-2"


@pytest.mark.parametrize("name", ["", "x" * 1025, "\ud800"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(LogError, match="the name of a topic"):
        check_name("a topic", name)
