"""Numbered names: a process gets a number that no other name has, and the same name gets the same number for ever."""

from __future__ import annotations

import msgspec

from headwater.core.errors import LogError
from headwater.core.limits import NUMBERED_NAMES_MAX
from headwater.log.envelope import Shape
from headwater.log.journal import SNAPSHOT_ENTRIES, Journal, check_name
from headwater.log.runtime import Runtime
from headwater.log.takeover import Sites

DIRECTORY = "_roster"


class Names(msgspec.Struct, tag="state"):
    """The names in order of their numbers, from 0 on."""

    names: list[str] = []


class Add(msgspec.Struct, tag="add"):
    """The next number is that of this name."""

    name: str


SHAPE: Shape[Names | Add] = Shape("an entry of the numbered names", b"\xf5HWN", 1, Names | Add, numbered=True)


class Roster:
    """The numbered names. For one thread at a time. All calls raise StorageUnavailable, CorruptLog."""

    def __init__(self, sites: Sites, runtime: Runtime, snapshot_entries: int = SNAPSHOT_ENTRIES) -> None:
        self._journal: Journal[Names, Add] = Journal(sites, DIRECTORY, runtime, SHAPE, Names(), _apply, snapshot_entries)

    def number_of(self, name: str) -> int:
        """The number of a name, which gets one if it has none. Raises LogError where it is empty, or there are too many."""
        check_name("a process", name)

        def due(state: Names) -> Add | None:
            if name in state.names:
                return None
            if len(state.names) >= NUMBERED_NAMES_MAX:
                raise LogError(f"{NUMBERED_NAMES_MAX} names have a number; there is none for {name}")
            return Add(name)

        if name not in self._journal.state.names:
            self._journal.perform(due)
        return self._journal.state.names.index(name)

    def names(self) -> list[str]:
        """All names in order of their numbers."""
        self._journal.refresh()
        return list(self._journal.state.names)


def _apply(state: Names, number: int, change: Add) -> None:
    if change.name not in state.names:
        state.names.append(change.name)
