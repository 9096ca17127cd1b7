"""Entries that a majority of sites agrees on: votes, splits, silence and forgetting, without concurrency."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.core.errors import CorruptLog
from headwater.log.ledger import Entry, Ledger, numbers_in, object_name
from headwater.log.runtime import Threads
from headwater.log.storage import StorageUnavailable
from headwater.testing.memory_storage import MemoryStorage


class Site(MemoryStorage):
    """A site that can fall silent."""

    silent = False

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        self._answer()
        return super().put(name, data, sync)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._answer()
        return super().get(name, start, length)

    def list(self, directory: str, after: str = "") -> list[str]:
        self._answer()
        return super().list(directory, after)

    def _answer(self) -> None:
        if self.silent:
            raise StorageUnavailable(f"{self.name} is silent")


@pytest.fixture
def sites() -> list[Site]:
    return [Site(name) for name in "abc"]


@pytest.fixture
def ledger(sites: list[Site]) -> Iterator[Ledger]:
    runtime = Threads()
    ledger = Ledger(sites, "s/manifest", runtime, 5.0)
    ledger.admit()
    yield ledger
    runtime.close()


def test_the_first_value_of_a_number_holds(ledger: Ledger) -> None:
    assert ledger.read() == ([], 0)
    assert ledger.propose(0, b"x")
    assert ledger.propose(0, b"x"), "who is not answered asks again"
    assert not ledger.propose(0, b"y")
    assert ledger.propose(1, b"y")
    assert ledger.read() == ([Entry(0, b"x", True), Entry(1, b"y", True)], 2)
    assert ledger.read(0) == ([Entry(1, b"y", True)], 2)


def test_votes_that_split_leave_a_number_without_a_value(ledger: Ledger, sites: list[Site]) -> None:
    for site, value in zip(sites, (b"x", b"y", b"z"), strict=True):
        site.put(object_name("s/manifest", 0), value)
    assert not ledger.propose(0, b"x")
    assert ledger.read() == ([], 1)
    assert ledger.propose(1, b"x")


def test_what_silent_sites_may_have_is_not_known(ledger: Ledger, sites: list[Site]) -> None:
    sites[0].put(object_name("s/manifest", 0), b"x")
    sites[1].put(object_name("s/manifest", 0), b"y")
    sites[2].silent = True
    with pytest.raises(StorageUnavailable, match="1 of 3 sites took it and 1 did not answer; 2 are needed"):
        ledger.propose(0, b"x")
    assert ledger.entries() == [Entry(0, b"x", False), Entry(0, b"y", False)]
    sites[2].silent = False
    assert ledger.propose(0, b"y"), "the third vote decides"
    assert ledger.entries() == [Entry(0, b"y", True)]


def test_reading_completes_what_a_proposer_left(ledger: Ledger, sites: list[Site]) -> None:
    sites[1].put(object_name("s/manifest", 0), b"x")
    assert ledger.entries() == [Entry(0, b"x", True)]
    assert [site.get(object_name("s/manifest", 0)) for site in sites] == [b"x"] * 3


def test_a_minority_agrees_on_nothing(ledger: Ledger, sites: list[Site]) -> None:
    sites[0].silent = sites[1].silent = True
    for ask in (lambda: ledger.propose(0, b"x"), ledger.read, ledger.admit):
        with pytest.raises(StorageUnavailable):
            ask()
    sites[0].silent = sites[1].silent = False
    # What the silent ones were asked may have reached the third.
    assert ledger.entries() in ([], [Entry(0, b"x", True)])


def test_an_erased_site_has_no_vote_until_it_has_the_entries_again(ledger: Ledger, sites: list[Site]) -> None:
    sites[2].silent = True
    assert ledger.propose(0, b"x")
    sites[2].silent = False
    for name in sites[0].list("s/manifest"):
        sites[0].delete(f"s/manifest/{name}")
    # Its vote and that of the site which never heard of `x` would make a second value of the same number.
    with pytest.raises(StorageUnavailable):
        Ledger([sites[0], Site("d"), sites[2]], "s/manifest", Threads(), 5.0).propose(0, b"y")
    ledger.admit()
    assert numbers_in(sites[0], "s/manifest") == [0]
    assert not ledger.propose(0, b"y")


def test_a_shard_whose_beginning_was_interrupted_begins(sites: list[Site]) -> None:
    sites[0].put("s/manifest/voter", b"")
    ledger = Ledger(sites, "s/manifest", Threads(), 5.0)
    ledger.admit()
    assert ledger.propose(0, b"x")


def test_a_majority_that_forgot_is_not_believed(ledger: Ledger, sites: list[Site]) -> None:
    assert ledger.propose(0, b"x")
    for site in sites[:2]:
        for name in site.list("s/manifest"):
            site.delete(f"s/manifest/{name}")
    with pytest.raises(StorageUnavailable, match="2 of 3 sites have forgotten what they agreed to, and 1 remember"):
        ledger.admit()


def _whole(data: bytes, number: int, name: str) -> None:
    if data.startswith(b"!"):
        raise CorruptLog(f"{name}: damaged")


def test_a_damaged_vote_is_given_to_no_other_site(sites: list[Site]) -> None:
    ledger = Ledger(sites, "s/manifest", Threads(), 5.0, _whole)
    ledger.admit()
    sites[2].silent = True
    assert ledger.propose(0, b"x")
    sites[2].silent = False
    name = object_name("s/manifest", 0)
    sites[0].delete(name)
    sites[0].put(name, b"!")
    ledger = Ledger(sites, "s/manifest", Threads(), 5.0, _whole)
    assert ledger.entries() == [Entry(0, b"x", True)]
    assert [site.get(name) for site in sites] == [b"!", b"x", b"x"]


def test_damage_that_leaves_no_majority_is_told(sites: list[Site]) -> None:
    ledger = Ledger(sites, "s/manifest", Threads(), 5.0, _whole)
    ledger.admit()
    for site in sites[:2]:
        site.put(object_name("s/manifest", 0), b"!")
    with pytest.raises(CorruptLog, match=r"2 of 3 votes are damaged: a: s/manifest/0{20}: damaged"):
        ledger.entries()
    sites[2].silent = True
    with pytest.raises(CorruptLog):
        ledger.entries()
