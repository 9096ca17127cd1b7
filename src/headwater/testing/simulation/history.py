"""What the processes of a simulation asked of a log, and what they were told: the material that `checker` judges.

A *place* is what orders values: a partition. Values are unique: each is appended once, whatever is tried again below.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Value: TypeAlias = Hashable
Place: TypeAlias = Hashable
Outcome: TypeAlias = Literal["acknowledged", "refused", "unknown"]


@dataclass(eq=False)
class Append:
    """Values appended to a place in one piece. Unknown until it is said otherwise. ``first``: the offset of the first value."""

    number: int
    actor: str
    place: Place
    values: tuple[Value, ...]
    begun_s: float
    clock: Callable[[], float] = field(repr=False)
    outcome: Outcome = "unknown"
    first: int | None = None
    ended_s: float | None = None

    def acknowledged(self, first: int) -> None:
        """The values have this offset and the next ones, for ever."""
        self.outcome, self.first, self.ended_s = "acknowledged", first, self.clock()

    def refused(self) -> None:
        """They are not in the log, for ever."""
        self.outcome, self.ended_s = "refused", self.clock()

    def __str__(self) -> str:
        told = f"acknowledged at {self.first}" if self.outcome == "acknowledged" else self.outcome
        values = ", ".join(map(repr, self.values[:3])) + (" …" if len(self.values) > 3 else "")
        return f"append {self.number} of {values} to {self.place} by {self.actor} ({_span(self.begun_s, self.ended_s)}): {told}"


@dataclass(eq=False)
class Read:
    """What a reader was given from an offset on. ``whole``: to the end, when all was over: what it has not is lost."""

    number: int
    actor: str
    place: Place
    start: int
    found: tuple[tuple[int, Value], ...]
    ended_s: float
    whole: bool = False

    def __str__(self) -> str:
        what = f"{self.found[0][0]} to {self.found[-1][0]}" if self.found else "nothing"
        return f"read {self.number} of {self.place} from {self.start} by {self.actor} ({self.ended_s:.3f} s): {what}"


@dataclass(eq=False)
class Committed:
    """A commit of a group's next offset in a place (``kind`` commit), or a look at it (``kind`` look)."""

    number: int
    kind: Literal["commit", "look"]
    actor: str
    group: str
    place: Place
    next_offset: int | None
    begun_s: float
    clock: Callable[[], float] = field(repr=False)
    outcome: Outcome = "unknown"
    ended_s: float | None = None

    def acknowledged(self) -> None:
        """The commit holds."""
        self.outcome, self.ended_s = "acknowledged", self.clock()

    def refused(self) -> None:
        """The commit does not hold, for ever."""
        self.outcome, self.ended_s = "refused", self.clock()

    def saw(self, next_offset: int | None) -> None:
        """What the look gave; None where nothing was committed."""
        self.next_offset = next_offset
        self.acknowledged()

    def __str__(self) -> str:
        what = f"{self.kind} {self.number} of {self.group} in {self.place}: {self.next_offset}"
        return f"{what} by {self.actor} ({_span(self.begun_s, self.ended_s)}): {self.outcome}"


class History:
    """Operations in the order in which they began. ``clock`` gives virtual seconds, the same for all processes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.appends: list[Append] = []
        self.reads: list[Read] = []
        self.commits: list[Committed] = []
        self._clock = clock
        self._numbers = itertools.count(1)

    def append(self, actor: object, place: Place, *values: Value) -> Append:
        """An append begins; say on what is given what became of it, or nothing where nobody knows."""
        append = Append(next(self._numbers), str(actor), place, values, self._clock(), self._clock)
        self.appends.append(append)
        return append

    def read(
        self, actor: object, place: Place, start: int, found: Sequence[Value] | Iterable[tuple[int, Value]], whole: bool = False,
        with_offsets: bool = False,
    ) -> None:  # fmt: skip
        """A read gave these values from ``start`` on, or (``with_offsets``) pairs of offset and value."""
        pairs = tuple(found) if with_offsets else tuple(enumerate(found, start))
        self.reads.append(Read(next(self._numbers), str(actor), place, start, pairs, self._clock(), whole))  # type: ignore[arg-type]

    def commit(self, actor: object, group: str, place: Place, next_offset: int) -> Committed:
        """A commit begins."""
        return self._committed("commit", actor, group, place, next_offset)

    def look(self, actor: object, group: str, place: Place) -> Committed:
        """Somebody asks what is committed; say with `saw` what the answer was."""
        return self._committed("look", actor, group, place, None)

    def _committed(
        self, kind: Literal["commit", "look"], actor: object, group: str, place: Place, next_offset: int | None
    ) -> Committed:
        made = Committed(next(self._numbers), kind, str(actor), group, place, next_offset, self._clock(), self._clock)
        self.commits.append(made)
        return made


def _span(begun_s: float, ended_s: float | None) -> str:
    return f"{begun_s:.3f} to {ended_s:.3f} s" if ended_s is not None else f"from {begun_s:.3f} s on"
