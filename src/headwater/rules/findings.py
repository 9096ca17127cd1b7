"""Findings: what is wrong with a rule file, where, and what would be valid."""

from __future__ import annotations

import bisect
import difflib
import unicodedata
from collections.abc import Iterable
from typing import Literal

import msgspec

from headwater.core import limits

Severity = Literal["error", "warning"]
_LINE_CHARS_MAX = 160


class Finding(msgspec.Struct, frozen=True):
    """One error or warning. ``line`` and ``column`` count from 1 in characters; ``length`` is how many characters are meant.

    ``source_line`` is the line of the file, or where that is long the part around the place; ``caret`` counts characters from its
    start.
    """

    severity: Severity
    code: str
    message: str
    file: str
    line: int
    column: int
    length: int
    source_line: str
    hint: str | None = None
    caret: int = 0

    def __str__(self) -> str:
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        number = str(self.line)
        shown = self.source_line[: self.caret]
        lead = "".join("\t" if char == "\t" else " " * _width(char) for char in shown)
        marked = self.source_line[self.caret : self.caret + self.length]
        carets = "^" * max(1, sum(map(_width, marked)))
        return (
            f"{self.file}:{self.line}:{self.column}: {self.severity}: {text}\n"
            f"  {number} | {self.source_line}\n"
            f"  {' ' * len(number)} | {lead}{carets}"
        )


def _width(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class SourceFile:
    """The text of a rule file and where its lines start."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character offset."""
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def excerpt(self, offset: int) -> tuple[str, int]:
        """The line around an offset, cut where it is long, and where in it the offset stands."""
        _line, column = self.place(offset)
        start = offset - column + 1
        end = self.text.find("\n", start)
        end = len(self.text) if end < 0 else end
        if end - start > _LINE_CHARS_MAX:
            start = max(start, offset - _LINE_CHARS_MAX // 2)
            end = min(end, start + _LINE_CHARS_MAX)
        return self.text[start:end].rstrip("\r"), offset - start


class Findings:
    """Collects findings, at most `limits.RULE_FINDINGS_MAX` of each severity: warnings must not hide what has to be mended."""

    def __init__(self) -> None:
        self._listed: list[Finding] = []
        self._found: dict[Severity, int] = {"error": 0, "warning": 0}

    @property
    def errors(self) -> int:
        """How many errors there are, listed or not."""
        return self._found["error"]

    def add(
        self,
        file: SourceFile,
        start: int,
        end: int,
        code: str,
        message: str,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Notes a finding about the characters from ``start`` to ``end`` (exclusive)."""
        self._found[severity] += 1
        if self._found[severity] > limits.RULE_FINDINGS_MAX:
            return
        line, column = file.place(start)
        source_line, caret = file.excerpt(start)
        length = max(1, min(end - start, len(source_line) - caret))
        self._listed.append(Finding(severity, code, message, file.name, line, column, length, source_line, hint, caret))

    def not_listed(self, severity: Severity, count: int) -> None:
        """Counts findings that could not be listed any more."""
        self._found[severity] += count

    def result(self) -> tuple[Finding, ...]:
        """Every finding by file and position; one more of each severity says how many were left out."""
        found = sorted(self._listed, key=lambda one: (one.file, one.line, one.column))
        for severity, count in self._found.items():
            if count > limits.RULE_FINDINGS_MAX:
                last = [one for one in found if one.severity == severity][-1]
                message = f"{count - limits.RULE_FINDINGS_MAX} further {severity}s are not listed"
                place = (last.file, last.line, last.column, 1, last.source_line)
                found.append(Finding(severity, "too_many_findings", message, *place))
        return tuple(found)


class Notes(Findings):
    """The findings of one statement, kept by their offsets: they can be said again where the statement has moved to."""

    def __init__(self) -> None:
        super().__init__()
        self._notes: list[tuple[int, int, str, str, str | None, Severity]] = []

    def add(
        self,
        file: SourceFile,
        start: int,
        end: int,
        code: str,
        message: str,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Notes a finding; ``file`` is named by `say`."""
        self._found[severity] += 1
        if self._found[severity] <= limits.RULE_FINDINGS_MAX:
            self._notes.append((start, end, code, message, hint, severity))

    @property
    def any(self) -> bool:
        """Whether there are findings."""
        return bool(self._notes)

    def say(self, findings: Findings, file: SourceFile, shift: int) -> None:
        """Adds each to ``findings``, ``shift`` characters further on."""
        for start, end, code, message, hint, severity in self._notes:
            findings.add(file, start + shift, end + shift, code, message, hint, severity)
        for kind, count in self._found.items():
            findings.not_listed(kind, max(0, count - limits.RULE_FINDINGS_MAX))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest of ``known``, letter case aside; None where nothing is close."""
    closest = closest_name(name, known)
    return f"did you mean `{closest}`?" if closest else None


def closest_name(name: str, known: Iterable[str], at_least: float = 0.6) -> str | None:
    """The closest of ``known`` to ``name``, letter case aside; None where none is as close as ``at_least`` (1: the same)."""
    by_folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold()[:200], by_folded, n=1, cutoff=at_least)
    return by_folded[close[0]] if close else None
