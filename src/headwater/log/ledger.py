"""Numbered entries that a majority of sites agrees on, from put-if-absent alone.

A site keeps the first bytes that it gets under a number, for ever. So at most one value of a number is ever at a majority of the
sites; it *holds* then. Where the votes of a number split, it stays without a value, and the next number is tried.

A site that was erased has forgotten what it voted for. So a site has a vote only while it keeps the object `voter`, which it gets
with the first entry, or again with a copy of all the others' entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from headwater.log.runtime import Runtime
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable

T = TypeVar("T")


class Entry(NamedTuple):
    """A number's value as far as it can be known. ``holds``: a majority has it; if not, it may, or may come to hold."""

    number: int
    data: bytes
    holds: bool


def object_name(directory: str, number: int) -> str:
    """The object of a number; names sort as their numbers do."""
    return f"{directory}/{number:020}"


def numbers_in(storage: Storage, directory: str, after: int = -1) -> list[int]:
    """The numbers greater than ``after`` that a directory of a site holds, sorted. Raises StorageUnavailable."""
    names = storage.list(directory, f"{after:020}" if after >= 0 else "")
    return [int(name) for name in names if len(name) == 20 and name.isdigit()]


class Ledger:
    """The entries in one directory of the sites. Keeps no state of its own."""

    def __init__(self, sites: Sequence[Storage], directory: str, runtime: Runtime, timeout_s: float) -> None:
        self._sites = tuple(sites)
        self._directory = directory
        self._runtime = runtime
        self._timeout_s = timeout_s
        self.majority = len(self._sites) // 2 + 1

    def propose(self, number: int, data: bytes) -> bool:
        """Puts a value that nobody else proposes under a number; whether it holds. False: it does not, and never will.

        Raises StorageUnavailable where too few sites answer to tell: then it may hold, or come to.
        """
        given = self._ask(lambda site: self._vote(site, number, data))
        mine = sum(vote == data for vote in given if isinstance(vote, bytes))
        unknown = sum(isinstance(vote, StorageUnavailable) for vote in given)
        if mine >= self.majority:
            return True
        if mine + unknown < self.majority:
            return False
        raise StorageUnavailable(
            f"{object_name(self._directory, number)}: {mine} of {len(self._sites)} sites took it and {unknown} did not answer; "
            f"{self.majority} are needed"
        )

    def admit(self) -> None:
        """Gives sites without a vote what they lack to have one. Raises StorageUnavailable where no majority answers."""
        seen = self._ask(lambda site: (self._is_voter(site), numbers_in(site, self._directory)))
        answered = [(site, *answer) for site, answer in zip(self._sites, seen, strict=True) if isinstance(answer, tuple)]
        self._check_majority(seen)
        lacking = [site for site, voter, _ in answered if not voter]
        if not lacking:
            return
        begun = any(numbers for _, _, numbers in answered)
        if begun and len(answered) - len(lacking) < self.majority:
            raise StorageUnavailable(
                f"{self._directory}: {len(lacking)} of {len(self._sites)} sites have forgotten what they agreed to, and "
                f"{len(answered) - len(lacking)} remember and answer; {self.majority} are needed"
            )
        entries = self.entries() if begun else []
        for site in lacking:
            try:
                for entry in entries:
                    site.put(object_name(self._directory, entry.number), entry.data)
                site.put(f"{self._directory}/voter", b"")
            except StorageUnavailable:
                continue

    def _is_voter(self, site: Storage) -> bool:
        try:
            site.get(f"{self._directory}/voter")
        except ObjectMissing:
            return False
        return True

    def _check_voter(self, site: Storage) -> None:
        if not self._is_voter(site):
            raise StorageUnavailable(f"{site.name}: {self._directory}: it was erased, and has no vote")

    def entries(self, after: int = -1) -> list[Entry]:
        """Every value behind a number that holds or may hold, in order of numbers. Raises as `read` does."""
        return self.read(after)[0]

    def read(self, after: int = -1) -> tuple[list[Entry], int]:
        """The entries behind a number, and the next number that nobody proposed anything for.

        Numbers for which sites are still free are filled with the value that has most votes, so that what is unknown depends
        on the sites that did not answer alone. Raises StorageUnavailable where no majority answers.
        """
        listed = self._ask(lambda site: self._numbers(site, after))
        self._check_majority(listed)
        numbers = sorted({number for numbers in listed if isinstance(numbers, list) for number in numbers})
        return [entry for number in numbers for entry in self._resolve(number)], numbers[-1] + 1 if numbers else after + 1

    def _resolve(self, number: int) -> list[Entry]:
        votes = self._ask(lambda site: self._get(site, number))
        self._check_majority(votes)
        values = [vote for vote in votes if isinstance(vote, bytes)]
        if not values:
            return []
        most = max(sorted(set(values)), key=values.count)
        if any(vote is None for vote in votes):
            votes = self._ask(lambda site: self._vote(site, number, most))
            self._check_majority(votes)
            values = [vote for vote in votes if isinstance(vote, bytes)]
        unknown = len(votes) - len(values)
        found = []
        for value in sorted(set(values)):
            count = values.count(value)
            if count >= self.majority:
                return [Entry(number, value, True)]
            if count + unknown >= self.majority:
                found.append(Entry(number, value, False))
        return found

    def _numbers(self, site: Storage, after: int) -> list[int]:
        self._check_voter(site)
        return numbers_in(site, self._directory, after)

    def _vote(self, site: Storage, number: int, data: bytes) -> bytes:
        """What the site keeps under the number, once it was offered these bytes."""
        self._check_voter(site)
        name = object_name(self._directory, number)
        return data if site.put(name, data) else site.get(name)

    def _get(self, site: Storage, number: int) -> bytes | None:
        self._check_voter(site)
        try:
            return site.get(object_name(self._directory, number))
        except ObjectMissing:
            return None

    def _ask(self, question: Callable[[Storage], T]) -> list[T | StorageUnavailable]:
        given = self._runtime.together([partial(question, site) for site in self._sites], self._timeout_s)
        answers: list[T | StorageUnavailable] = []
        for answer in given:
            if isinstance(answer, Exception) and not isinstance(answer, StorageUnavailable):
                raise answer
            answers.append(answer)
        return answers

    def _check_majority(self, answers: Sequence[object]) -> None:
        silent = [answer for answer in answers if isinstance(answer, StorageUnavailable)]
        if len(answers) - len(silent) < self.majority:
            answering = len(answers) - len(silent)
            raise StorageUnavailable(
                f"{self._directory}: {answering} of {len(answers)} sites answer; {self.majority} are needed: {silent[0]}"
            )
