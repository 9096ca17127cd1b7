"""What must hold of a log, whatever went wrong, checked over a `History`; each violation names the operations that show it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from headwater.testing.simulation.history import Append, Committed, History, Place, Read, Value

_SHOWN_MAX = 20


class Violation(NamedTuple):
    """A broken invariant. ``kind``: lost, moved, duplicated, rewritten, gap, ghost, invented, reordered, went_back."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Seen(NamedTuple):
    """A value at an offset, as the first operation has it that showed it."""

    offset: int
    by: Append | Read


def check(history: History) -> list[Violation]:
    """All violations, in order of kinds; none where the history is one that a log may have.

    - *lost*: acknowledged, and not in a whole read. *moved*: acknowledged at one offset, read at another.
    - *duplicated*: one value at two offsets. *rewritten*: two values at one offset. *gap*: a read that leaves out an offset.
    - *ghost*: refused for certain, and read. *invented*: read, and never appended.
    - *reordered*: an append that began when another was acknowledged, or its value read, has a smaller offset.
    - *went_back*: a group's next offset is smaller than one committed, or seen, before.
    """
    violations: list[Violation] = []
    appends: dict[Place, list[Append]] = defaultdict(list)
    reads: dict[Place, list[Read]] = defaultdict(list)
    for append in history.appends:
        appends[append.place].append(append)
    for read in history.reads:
        reads[read.place].append(read)
    for place in dict.fromkeys([*appends, *reads]):
        violations += _Place(appends[place], reads[place]).violations()
    violations += _went_back(history.commits)
    return violations


def assert_holds(history: History) -> None:
    """Raises AssertionError with the first violations."""
    violations = check(history)
    if violations:
        more = [f"and {len(violations) - _SHOWN_MAX} more"] if len(violations) > _SHOWN_MAX else []
        raise AssertionError("\n".join([*map(str, violations[:_SHOWN_MAX]), *more]))


class _Place:
    """One partition's part of a history."""

    def __init__(self, appends: list[Append], reads: list[Read]) -> None:
        self._appends = appends
        self._reads = reads
        self._appended = {value: append for append in appends for value in append.values}
        self._at: dict[int, tuple[Value, Append | Read]] = {}
        self._offsets: dict[Value, Seen] = {}

    def violations(self) -> Iterator[Violation]:
        for append in self._appends:
            if append.first is not None:
                for offset, value in enumerate(append.values, append.first):
                    yield from self._place(offset, value, append)
        for read in self._reads:
            yield from self._gaps(read)
            for offset, value in read.found:
                yield from self._place(offset, value, read)
        yield from self._lost()
        yield from self._reordered()

    def _place(self, offset: int, value: Value, by: Append | Read) -> Iterator[Violation]:
        append = self._appended.get(value)
        if append is None:
            yield Violation("invented", f"{value!r}, which nobody appended, at {offset}: {by}")
        elif append.outcome == "refused":
            yield Violation("ghost", f"{value!r} at {offset}: {by}; but {append}")
        there, shown_by = self._at.setdefault(offset, (value, by))
        if there != value:
            yield Violation("rewritten", f"at {offset} both {there!r}: {shown_by}; and {value!r}: {by}")
        seen = self._offsets.setdefault(value, Seen(offset, by))
        if seen.offset != offset:
            kind = "moved" if isinstance(seen.by, Append) else "duplicated"
            yield Violation(kind, f"{value!r} both at {seen.offset}: {seen.by}; and at {offset}: {by}")

    def _gaps(self, read: Read) -> Iterator[Violation]:
        for expected, (offset, _) in enumerate(read.found, read.start):
            if offset != expected:
                yield Violation("gap", f"{expected} is left out, or not in its turn, before {offset}: {read}")
                return

    def _lost(self) -> Iterator[Violation]:
        for read in self._reads:
            if read.whole:
                found = {value for _, value in read.found}
                for append in self._appends:
                    missing = [
                        v for offset, v in enumerate(append.values, append.first or 0) if offset >= read.start and v not in found
                    ]
                    if missing and append.outcome == "acknowledged" and (append.ended_s or 0) <= read.ended_s:
                        yield Violation("lost", f"{missing[0]!r}: {append}; but {read}")

    def _reordered(self) -> Iterator[Violation]:
        """An append's values stand behind all that was known to be in the log when it began."""
        known: list[tuple[float, int, Value, Append | Read]] = []
        for append in self._appends:
            if append.first is not None and append.values and append.ended_s is not None:
                known.append((append.ended_s, append.first + len(append.values) - 1, append.values[-1], append))
        known += [(read.ended_s, *read.found[-1], read) for read in self._reads if read.found]
        known.sort(key=lambda each: each[0])
        last: tuple[int, Value, Append | Read] | None = None
        at = 0
        for append in sorted(self._appends, key=lambda each: each.begun_s):
            while at < len(known) and known[at][0] < append.begun_s:
                if last is None or known[at][1] > last[0]:
                    last = known[at][1:]
                at += 1
            for value in append.values[:1]:
                seen = self._offsets.get(value)
                if seen is not None and last is not None and seen.offset <= last[0] and value != last[1]:
                    yield Violation(
                        "reordered", f"{value!r} at {seen.offset}, before {last[1]!r} at {last[0]}: {append}; but {last[2]}"
                    )


def _went_back(commits: list[Committed]) -> Iterator[Violation]:
    by_group: dict[tuple[str, Place], list[Committed]] = defaultdict(list)
    for each in commits:
        by_group[each.group, each.place].append(each)
    for operations in by_group.values():
        ended = sorted((each for each in operations if each.outcome == "acknowledged"), key=lambda each: each.ended_s or 0)
        greatest: Committed | None = None
        at = 0
        for each in sorted(ended, key=lambda each: each.begun_s):
            while at < len(ended) and (ended[at].ended_s or math.inf) < each.begun_s:
                if greatest is None or _next(ended[at]) > _next(greatest):
                    greatest = ended[at]
                at += 1
            if greatest is not None and _next(each) < _next(greatest):
                yield Violation("went_back", f"{each}; after {greatest}")
        proposed = {each.next_offset for each in operations if each.kind == "commit" and each.outcome != "refused"}
        for each in ended:
            if each.kind == "look" and each.next_offset is not None and each.next_offset not in proposed:
                yield Violation("invented", f"nobody committed {each.next_offset}: {each}")


def _next(each: Committed) -> int:
    return -1 if each.next_offset is None else each.next_offset
