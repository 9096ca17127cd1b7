"""A TOML file under strict checking: every finding names its line, and an unknown key the one that was likely meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

from headwater.rules.findings import Finding, Severity, did_you_mean

KeyPath: TypeAlias = tuple[str | int, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"(\s*)(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?")
_PAIR = re.compile(rf"(\s*)({_DOTTED})\s*=(.*)")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|\#.*""")
_SYNTAX_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_SECRET_LINE = re.compile(r"""\s*(?:write_keys\b|["'])|.*\bwk_""")
_REQUIRED = object()
# What tomllib says of `host = 127.0.0.1` and of `owner = me`.
_BARE_TEXT = ("Invalid value", "Expected newline or end of document after a statement")


class TomlFile:
    """One file: its tables (`content`, empty where it is not TOML), the places of its keys, and what was found wrong."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.findings: list[Finding] = []
        self.content: dict[str, Any] = {}
        self._places: dict[KeyPath, tuple[int, int, int]] = {}
        try:
            self.content = tomllib.loads(text)
            self._places = dict(_places(self.lines))
        except tomllib.TOMLDecodeError as error:
            what, line, column = _syntax_place(str(error), self.lines)
            hint = 'a text has quotes: key = "value"' if what.startswith(_BARE_TEXT) else None
            self._add("error", "toml_syntax", f"not TOML: {what}", (line, column, 1), hint)
        except RecursionError:
            self._add("error", "toml_syntax", "not TOML that can be read: nested too deep", (1, 1, 1), None)

    def say(self, path: KeyPath, code: str, message: str, *, hint: str | None = None, severity: Severity = "error") -> None:
        """Adds a finding at the key ``path``, or at the nearest key around it that has a line."""
        place = next((self._places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._places), (1, 1, 1))
        self._add(severity, code, message, place, hint)

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, from 1."""
        return self._places.get(path, (1, 1, 1))[0]

    def _add(self, severity: Severity, code: str, message: str, place: tuple[int, int, int], hint: str | None) -> None:
        line, column, length = place
        shown = self.lines[line - 1] if line <= len(self.lines) else ""
        if _SECRET_LINE.match(shown):
            # Findings end up in logs and on the status page, where a write key must not.
            shown = _QUOTED.sub(lambda text: "•" * len(text[0]), shown)
        self.findings.append(
            Finding(
                severity=severity,
                code=code,
                message=message,
                file=self.file,
                line=line,
                column=column,
                length=length,
                source_line=shown,
                hint=hint,
                caret=column - 1,
            )
        )


class Table:
    """One table of a file. Each getter names what it may be; what is wrong is found and a harmless value given instead."""

    def __init__(self, file: TomlFile, path: KeyPath, value: Any, name: str) -> None:
        self.file = file
        self.path = path
        self.name = name
        self._known: list[str] = []
        self._is_table = isinstance(value, dict)
        if not self._is_table:
            file.say(path, "wrong_value", f"{name}: a table is needed; got {kind_of(value)}")
        self.value: dict[str, Any] = value if self._is_table else {}

    def say(self, key: str | None, code: str, message: str, hint: str | None = None) -> None:
        """Adds a finding at a key of this table, or at the table."""
        path = self.path if key is None else (*self.path, key)
        # The place says the file already.
        self.file.say(path, code, message if self.name == self.file.file else f"{self.name}: {message}", hint=hint)

    def text(self, key: str, default: Any = _REQUIRED, *, valid: Collection[str] = (), lines: bool = False) -> str:
        """A text without control characters that is not empty (unless ``lines``: free text), one of ``valid`` where given."""
        value = self.get(key, default)
        if value is default or value is None:
            return "" if value in (None, _REQUIRED) else str(value)
        if not isinstance(value, str):
            self.say(key, "wrong_value", f"{key} is a text; got {kind_of(value)}")
            return ""
        if not lines and (not value.strip() or not value.isprintable()):
            self.say(key, "wrong_value", f"{key} is a text with visible characters only, and not empty; got {value!r}")
        elif valid and value not in valid:
            self.say(key, "wrong_value", f"{key} is {one_of(valid)}; got {value!r}", did_you_mean(value, valid))
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            got = value if isinstance(value, int) and not isinstance(value, bool) else kind_of(value)
            self.say(key, "wrong_value", f"{key} is a whole number from {low} to {high}; got {got}")
            return default
        return value

    def flag(self, key: str) -> bool:
        """true or false; false where it is not there."""
        value = self.get(key, False)
        if not isinstance(value, bool):
            self.say(key, "wrong_value", f"{key} is true or false; got {kind_of(value)}")
        return value is True

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of `[[key]]`."""
        value = self.get(key, [])
        if not isinstance(value, list):
            self.say(key, "wrong_value", f"{key} is a list of tables: write [[{key}]], not [{key}]")
            return
        for index, inner in enumerate(value):
            yield Table(self.file, (*self.path, key, index), inner, f"{key} {index + 1}")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key as it is. Where it is not there: ``default``, or a finding where it must be."""
        self._known.append(key)
        if key not in self.value and default is _REQUIRED and self._is_table:
            self.say(None, "missing_key", f"{key} is missing")
        return self.value.get(key, default)

    def done(self) -> None:
        """Finds every key that no getter asked for."""
        for key in self.value:
            if key not in self._known:
                hint = did_you_mean(key, self._known) or f"valid keys are {', '.join(self._known)}"
                self.say(key, "unknown_key", f"there is no key {key!r}", hint)


def one_of(valid: Collection[str]) -> str:
    """'a', 'b' or 'c'."""
    *most, last = map(repr, valid)
    return f"{', '.join(most)} or {last}" if most else last


def kind_of(value: Any) -> str:
    """What a TOML value is, in words; never the value itself, which may be secret."""
    kinds = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
    return kinds.get(type(value), "nothing" if value is None else "a date or time")


def _syntax_place(error: str, lines: list[str]) -> tuple[str, int, int]:
    match = _SYNTAX_PLACE.fullmatch(error)
    if match is None:
        return error, 1, 1
    if match[2] is None:
        return f"{match[1]}, where the file ends", max(len(lines), 1), len(lines[-1]) + 1 if lines else 1
    return match[1], int(match[2]), int(match[3])


def _places(lines: list[str]) -> Iterator[tuple[KeyPath, tuple[int, int, int]]]:
    """(line, column, length) of headers and keys. Only for messages: what it misses is reported at the table around it."""
    prefix: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    closing = ""
    depth = 0
    for number, line in enumerate(lines, 1):
        if closing:
            closing = "" if closing in line else closing
        elif depth > 0:
            depth += _depth(line)
        elif header := _HEADER.fullmatch(line):
            prefix = _header_path(_split(header[3]), counts, is_list=header[2] == "[[")
            yield prefix, (number, len(header[1]) + 1, len(line.strip()))
            if header[2] == "[[" and prefix[-1] == 0:
                yield prefix[:-1], (number, len(header[1]) + 1, len(line.strip()))
        elif pair := _PAIR.fullmatch(line):
            path = (*prefix, *_split(pair[2]))
            for end in range(len(prefix) + 1, len(path) + 1):
                yield path[:end], (number, len(pair[1]) + 1, len(pair[2]))
            value = pair[3].strip()
            opened = next((quotes for quotes in ('"""', "'''") if value.startswith(quotes)), "")
            closing = opened if opened and opened not in value[3:] else ""
            depth = 0 if opened else _depth(value)


def _split(dotted: str) -> KeyPath:
    found: list[str] = []
    at: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(at, dict):
        ((key, at),) = at.items()
        found.append(key)
    return tuple(found)


def _header_path(names: KeyPath, counts: dict[KeyPath, int], *, is_list: bool) -> KeyPath:
    """The path of a header, with the index of the last `[[…]]` after each name that is a list."""
    path: KeyPath = ()
    for at, name in enumerate(names):
        path = (*path, name)
        if is_list and at == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _depth(text: str) -> int:
    bare = _QUOTED.sub("", text)
    return bare.count("[") - bare.count("]")
