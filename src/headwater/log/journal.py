"""A state that many processes change and agree on: the entries of a ledger, applied in order. See `docs/formats/journal.md`.

Entry n is made by somebody who has applied all entries before it, so that a change decided on a state is applied to that state
or not at all. Every entry whose number is a multiple of `SNAPSHOT_ENTRIES` is the whole state, and what lies before it
is removed. A removed number is free again, and who was paused may believe that its late entry holds there. So nobody believes an
entry, its own included, before a look at the ledger *afterwards* shows no greater snapshot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from headwater.core.errors import CorruptLog, LogError
from headwater.core.limits import JOURNAL_TIMEOUT_S, JOURNAL_TRIES_MAX
from headwater.log.envelope import Shape
from headwater.log.ledger import Ledger, object_name
from headwater.log.runtime import Runtime
from headwater.log.storage import StorageUnavailable
from headwater.log.takeover import Sites

S = TypeVar("S")
E = TypeVar("E")
# Part of the format: whoever reads a journal must know which entries are states.
SNAPSHOT_ENTRIES = 64
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_BACK_OFF_S = 0.01
_NAME_BYTES_MAX = 1024


def part_of(name: str) -> str:
    """What stands for a name of any text in names of objects: itself where it can, else its hash."""
    return f"n-{name}" if _PLAIN.fullmatch(name) else f"h-{hashlib.sha256(name.encode()).hexdigest()}"


def check_name(what: str, name: str, bytes_max: int = _NAME_BYTES_MAX) -> None:
    """Raises LogError where the text is no name of ``what``: empty, or too long."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise LogError(f"the name of {what} is no text that UTF-8 can hold: {name!r}") from None
    if not 0 < size <= bytes_max:
        raise LogError(f"the name of {what} has {size} bytes; valid are 1 to {bytes_max}")


class Journal(Generic[S, E]):
    """``state``, as far as it was read: all entries up to ``position``. For one thread at a time.

    ``shape`` is of states and of changes; ``apply(state, number, change)`` changes the state, the same way for everybody.
    """

    def __init__(
        self,
        sites: Sites,
        directory: str,
        runtime: Runtime,
        shape: Shape[Any],
        empty: S,
        apply: Callable[[S, int, E], None],
        snapshot_entries: int = SNAPSHOT_ENTRIES,
    ) -> None:
        self.state = empty
        self.position = -1
        voters = (*sites.storages, *sites.witnesses)
        self._ledger = Ledger(voters, directory, runtime, JOURNAL_TIMEOUT_S, self._check)
        self._directory = directory
        self._runtime = runtime
        self._shape = shape
        self._apply = apply
        self._every = snapshot_entries

    def refresh(self) -> None:
        """Reads on; a journal that nobody began is left so. Raises StorageUnavailable where no majority answers; CorruptLog."""
        if self._ledger.forgetful and not self._ledger.admit(begin=False):
            return
        for attempt in range(JOURNAL_TRIES_MAX):
            numbers = self._ledger.numbers(self.position)
            if not numbers or self._advance(numbers):
                return
            self._wait(attempt)
        raise StorageUnavailable(f"{self._directory}: it changes faster than it can be read")

    def perform(self, due: Callable[[S], E | None]) -> None:
        """Reads on, and proposes what ``due`` says of the state, until it says None. What it raises goes through.

        Raises StorageUnavailable where no majority answers, or others are faster again and again: then the last change that was
        due may be made, or come to be.
        """
        if self._ledger.forgetful:
            self._ledger.admit()
        self.refresh()
        for attempt in range(JOURNAL_TRIES_MAX):
            change = due(self.state)
            if change is None:
                return
            if not self._propose(change):
                self._wait(attempt)
                self.refresh()
        if due(self.state) is not None:
            raise StorageUnavailable(f"{self._directory}: others were faster {JOURNAL_TRIES_MAX} times; try again")

    def _wait(self, attempt: int) -> None:
        self._runtime.sleep(self._runtime.random() * _BACK_OFF_S * 2.0 ** min(attempt, 6))

    def _propose(self, change: E) -> bool:
        """Proposes it as the next entry, or first the snapshot that is due; whether that became the next entry."""
        number = self.position + 1
        snapshot = self._is_snapshot(number)
        data = self._shape.encode(self.state if snapshot else change, number)
        if not self._ledger.propose(number, data) or self._ledger.numbers(self.position) != [number]:
            return False
        if snapshot:
            self._ledger.trim(number, data)
        else:
            self._apply(self.state, number, change)
        self.position = number
        return True

    def _advance(self, numbers: list[int]) -> bool:
        """Applies what holds under these numbers, all that there are; whether that can be believed."""
        snapshots = [number for number in reversed(numbers) if self._is_snapshot(number)]
        try:
            state, position, changes = self._look_up(numbers, snapshots)
        except StorageUnavailable:
            if self._is_trimmed(snapshots):
                return False
            raise
        if self._is_trimmed(snapshots):
            return False
        self.state, self.position = state, position
        for number, change in changes:
            if change is not None:
                self._apply(self.state, number, change)
            self.position = number
        return True

    def _look_up(self, numbers: list[int], snapshots: list[int]) -> tuple[S, int, list[tuple[int, E | None]]]:
        """The greatest snapshot of these numbers, or what is known already, and the changes since. None: the number has none."""
        state, position = self.state, self.position
        for number in snapshots:
            data = self._ledger.value(number)
            if data is not None:
                state, position = self._decode(data, number), number
                break
        changes: list[tuple[int, E | None]] = []
        for number in numbers:
            if number > position:
                if number != position + len(changes) + 1:
                    raise StorageUnavailable(f"{self._directory}: entry {position + len(changes) + 1} is not there")
                data = self._ledger.value(number)
                changes.append((number, None if data is None else self._decode(data, number)))
        return state, position, changes

    def _is_snapshot(self, number: int) -> bool:
        return number % self._every == 0

    def _is_trimmed(self, snapshots: list[int]) -> bool:
        """Whether somebody may have removed what was read since, for a snapshot that is not among these."""
        return any(self._is_snapshot(number) and number not in snapshots for number in self._ledger.numbers(self.position))

    def _check(self, data: bytes, number: int, label: str) -> None:
        self._shape.decode(data, label, number)

    def _decode(self, data: bytes, number: int) -> Any:
        label = object_name(self._directory, number)
        decoded = self._shape.decode(data, label, number)
        if isinstance(decoded, type(self.state)) != self._is_snapshot(number):
            raise CorruptLog(f"{label}: {type(decoded).__name__} belongs under another number")
        return decoded
