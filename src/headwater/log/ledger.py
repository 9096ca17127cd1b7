"""Numbered entries that a majority of sites agrees on, from put-if-absent alone.

A site keeps the first bytes that it gets under a number, for ever. So at most one value of a number is ever at a majority of the
sites; it *holds* then. Where the votes of a number split, it stays without a value, and the next number is tried.

Sites are asked for their votes one after the other, in an order that is the same for all, and each is offered what the one before
keeps. So while the sites of one minority are silent, to everybody, the votes of the others do not split: they would stay split
for as long as it is silent, since nobody could tell which value it helped to a majority.

A site that was erased has forgotten what it voted for. So a site has a vote only while it keeps the object `voter`, which it gets
with the first entry, or again with a copy of all the others' entries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from headwater.core.errors import CorruptLog
from headwater.core.limits import SITE_LOST_S
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
    return _numbers(storage.list(directory, f"{after:020}" if after >= 0 else ""))


def _numbers(names: Sequence[str]) -> list[int]:
    return [int(name) for name in names if len(name) == 20 and name.isdigit()]


Check = Callable[[bytes, int, str], object]
"""Raises CorruptLog for bytes that nobody can have proposed under a number; told their number and name."""


class Ledger:
    """The entries in one directory of the sites. ``check`` tells damaged votes: such a site's vote is unknown.

    Keeps no state, but for which sites were silent just now: they are left out for a while, if the others are a majority.
    ``forgetful``: a site that answered had no vote, and `admit` is due. Where too few votes can be told because of damage,
    whatever asks for them raises CorruptLog.
    """

    def __init__(
        self, sites: Sequence[Storage], directory: str, runtime: Runtime, timeout_s: float, check: Check = lambda *_: None
    ) -> None:
        self._sites = tuple(sites)
        self._directory = directory
        self._runtime = runtime
        self._timeout_s = timeout_s
        self._check = check
        self._silent_until = [runtime.now()] * len(self._sites)
        self.forgetful = True
        self.majority = len(self._sites) // 2 + 1

    def propose(self, number: int, data: bytes) -> bool:
        """Puts a value that nobody else proposes under a number; whether it holds. False: it does not, and never will.

        Raises StorageUnavailable where too few sites answer to tell: then it may hold, or come to.
        """
        given = self._offer(number, data)
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

    def leave_out(self, names: Collection[str]) -> None:
        """These sites do not answer: the others are asked alone for a while, if they are a majority."""
        until_s = self._runtime.now() + SITE_LOST_S
        self._silent_until = [
            until_s if site.name in names else at for site, at in zip(self._sites, self._silent_until, strict=True)
        ]

    def _offer(self, number: int, data: bytes) -> list[bytes | StorageUnavailable]:
        """What each site keeps under the number, once it was offered these bytes, or those that a site before it keeps."""
        votes: list[bytes | StorageUnavailable] = []
        for at in range(len(self._sites)):
            votes += self._ask(partial(self._vote, number=number, data=data), only=at)
            data = votes[-1] if isinstance(votes[-1], bytes) else data
        return votes

    def admit(self, begin: bool = True) -> bool:
        """Gives sites without a vote what they lack to have one. Raises StorageUnavailable where no majority answers.

        Whether there is anything: without ``begin`` a ledger that nobody began is left so.
        """
        seen = self._ask(lambda site: (self._is_voter(site), numbers_in(site, self._directory)))
        answered = [(site, *answer) for site, answer in zip(self._sites, seen, strict=True) if isinstance(answer, tuple)]
        self._check_majority(seen)
        if not begin and not any(voter or numbers for _, voter, numbers in answered):
            return False
        self.forgetful = False
        lacking = [site for site, voter, _ in answered if not voter]
        if not lacking:
            return True
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
                self.forgetful = True
        return True

    def _is_voter(self, site: Storage) -> bool:
        try:
            site.get(f"{self._directory}/voter")
        except ObjectMissing:
            return False
        return True

    def _check_voter(self, site: Storage) -> None:
        self._check_is(site, self._is_voter(site))

    def _check_is(self, site: Storage, voter: bool) -> None:
        if not voter:
            self.forgetful = True
            raise StorageUnavailable(f"{site.name}: {self._directory}: it was erased, and has no vote")

    def entries(self, after: int = -1) -> list[Entry]:
        """Every value behind a number that holds or may hold, in order of numbers. Raises as `read` does."""
        return self.read(after)[0]

    def read(self, after: int = -1) -> tuple[list[Entry], int]:
        """The entries behind a number, and the next number that nobody proposed anything for.

        Numbers for which sites are still free are filled with the value that has most votes, so that what is unknown depends
        on the sites that did not answer alone. Raises StorageUnavailable where no majority answers.
        """
        numbers = self.numbers(after)
        return [entry for number in numbers for entry in self._resolve(number)], numbers[-1] + 1 if numbers else after + 1

    def numbers(self, after: int = -1) -> list[int]:
        """The numbers greater than ``after`` that somebody proposed something for, sorted; of those that hold, all.

        Raises StorageUnavailable where no majority answers.
        """
        listed = self._ask(lambda site: self._numbers(site, after))
        self._check_majority(listed)
        return sorted({number for numbers in listed if isinstance(numbers, list) for number in numbers})

    def value(self, number: int) -> bytes | None:
        """What holds under a number of `numbers`; None: nothing does, and never will.

        Raises StorageUnavailable where that cannot be told: too few sites answer, or what was proposed is not there any more.
        """
        votes = self._votes(number)
        found = self._possible(number, votes)
        if len(found) == 1 and found[0].holds:
            return found[0].data
        if found or not any(isinstance(vote, bytes) for vote in votes):
            raise StorageUnavailable(f"{object_name(self._directory, number)}: too few sites answer to tell what holds")
        return None

    def trim(self, number: int, data: bytes) -> None:
        """Removes what lies before an entry that holds, from each site that has this entry, by this call or an earlier one.

        So each site that ever knew a number goes on having a number as great. Who puts an entry late, under a number that is
        free again, must find it out by looking for greater ones. Sites that do not answer keep what they have.
        """
        self._ask(lambda site: self._trim(site, number, data))

    def _trim(self, site: Storage, number: int, data: bytes) -> None:
        if self._vote(site, number, data) == data:
            for earlier in numbers_in(site, self._directory):
                if earlier < number:
                    site.delete(object_name(self._directory, earlier))

    def _resolve(self, number: int) -> list[Entry]:
        return self._possible(number, self._votes(number))

    def _votes(self, number: int) -> list[bytes | StorageUnavailable | None]:
        """What each site keeps under the number, once those that were free got what most others keep."""
        votes = self._ask(lambda site: self._get(site, number))
        self._check_majority(votes)
        values = [vote for vote in votes if isinstance(vote, bytes)]
        if values and any(vote is None for vote in votes):
            most = max(sorted(set(values)), key=values.count)
            votes = [*self._offer(number, most)]
            self._check_majority(votes)
        return votes

    def _possible(self, number: int, votes: Sequence[bytes | StorageUnavailable | None]) -> list[Entry]:
        """The value that holds; or those that may."""
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
        names = site.list(self._directory, f"{after:020}" if after >= 0 else "")
        # It sorts behind all numbers.
        self._check_is(site, "voter" in names)
        return _numbers(names)

    def _vote(self, site: Storage, number: int, data: bytes) -> bytes:
        """What the site keeps under the number, once it was offered these bytes."""
        self._check_voter(site)
        name = object_name(self._directory, number)
        if site.put(name, data):
            return data
        try:
            return self._checked(site, number, site.get(name))
        except ObjectMissing:
            raise StorageUnavailable(f"{site.name}: {name} was removed meanwhile") from None

    def _checked(self, site: Storage, number: int, data: bytes) -> bytes:
        name = object_name(self._directory, number)
        try:
            self._check(data, number, name)
        except CorruptLog as e:
            raise StorageUnavailable(f"{site.name}: {e}") from e
        return data

    def _get(self, site: Storage, number: int) -> bytes | None:
        self._check_voter(site)
        try:
            return self._checked(site, number, site.get(object_name(self._directory, number)))
        except ObjectMissing:
            return None

    def _ask(self, question: Callable[[Storage], T], only: int | None = None) -> list[T | StorageUnavailable]:
        """What each of the sites gave (or ``only`` that one), or that it did not."""
        began = self._runtime.now()
        asked = [at for at in range(len(self._sites)) if self._silent_until[at] <= began]
        if len(asked) < self.majority:
            asked = list(range(len(self._sites)))
        asked = [at for at in asked if only in (None, at)]
        calls: list[Callable[[], T | None]] = [partial(question, self._sites[at]) for at in asked]
        if len(self._sites) > 1:
            # A single call would have no time limit, and here others can go on without it.
            calls.append(lambda: None)
        given = dict(zip(asked, self._runtime.together(calls, self._timeout_s), strict=False))
        silent = self._runtime.now() - began >= self._timeout_s / 2
        answers: list[T | StorageUnavailable] = []
        for at in range(len(self._sites)) if only is None else (only,):
            answer = given.get(at, StorageUnavailable(f"{self._sites[at].name} was silent just now"))
            if isinstance(answer, StorageUnavailable) and at in given and silent:
                self._silent_until[at] = self._runtime.now() + SITE_LOST_S
            if isinstance(answer, Exception) and not isinstance(answer, StorageUnavailable):
                raise answer
            answers.append(answer)  # type: ignore[arg-type]
        return answers

    def _check_majority(self, answers: Sequence[object]) -> None:
        silent = [answer for answer in answers if isinstance(answer, StorageUnavailable)]
        damaged = [answer for answer in silent if isinstance(answer.__cause__, CorruptLog)]
        if len(answers) - len(damaged) < self.majority:
            raise CorruptLog(f"{self._directory}: {len(damaged)} of {len(answers)} votes are damaged: {damaged[0]}")
        if len(answers) - len(silent) < self.majority:
            answering = len(answers) - len(silent)
            raise StorageUnavailable(
                f"{self._directory}: {answering} of {len(answers)} sites answer; {self.majority} are needed: {silent[0]}"
            )
