"""The logical rule: what a person wrote, as a tree in which every node knows its place."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.core import limits
from headwater.rules.findings import Notes


class RefusedError(Exception):
    """The text is no rule from ``start`` on. Caught where the parser can go on."""

    def __init__(self, start: int, end: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.start = start
        self.end = end
        self.code = code
        self.message = message
        self.hint = hint


class Node:
    """A part of an expression: ``kind`` says which, ``start`` and ``end`` are character offsets in the file (end exclusive).

    | kind | value | args |
    |---|---|---|
    | name | the name | |
    | get | the name of an inner field | what it is taken from |
    | item | | list (or struct), index |
    | literal | (type name, Python value) | |
    | and, or | | 2 or more |
    | not, negative | | one |
    | compare | eq, ne, …, distinct, not_distinct | two |
    | is_null | True for IS NOT NULL | one |
    | in | True for NOT IN | value, items |
    | between | True for NOT BETWEEN | value, low, high |
    | like | True for NOT LIKE | value, pattern[, escape] |
    | arithmetic | add, sub, mul, div, int_div, mod | two |
    | concat | | 2 or more |
    | case | (has a subject, has an ELSE) | [subject,] condition, value, …[, else] |
    | cast | (type, True for TRY_CAST) | one |
    | call | the function's name as written | arguments |
    | interval | an Interval | |
    """

    __slots__ = ("args", "depth", "end", "kind", "start", "value")

    def __init__(self, kind: str, start: int, end: int, args: list[Node], value: Any = None) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.args = args
        self.value = value
        depth: int = 0
        for arg in args:
            if arg.depth > depth:
                depth = arg.depth
        self.depth: int = depth + 1
        if depth >= limits.RULE_DEPTH_MAX:
            raise too_deep(start, end)


def too_deep(start: int, end: int) -> RefusedError:
    """What is raised where an expression nests deeper than `limits.RULE_DEPTH_MAX`."""
    message = f"the expression nests deeper than {limits.RULE_DEPTH_MAX} levels"
    return RefusedError(start, min(end, start + 1), "too_deep", message, "split it into several rules, or drop parentheses")


class Item:
    """``expression AS name`` in SELECT or REPLACE; ``name`` None where AS is missing."""

    __slots__ = ("expression", "name", "name_end", "name_start")

    def __init__(self, expression: Node, name: str | None, name_start: int, name_end: int) -> None:
        self.expression = expression
        self.name = name
        self.name_start = name_start
        self.name_end = name_end


class Word(msgspec.Struct, gc=False):
    """A name of a dataset or column and its place."""

    text: str
    start: int
    end: int


class Statement:
    """One ``INSERT INTO … SELECT … FROM … WHERE …`` and its header comments.

    ``notes`` are the findings of it alone. ``broken`` tells that a part was refused and is missing here; the rest can still be
    checked.
    """

    def __init__(self, start: int, number: int) -> None:
        self.start = start
        self.end = start
        self.number = number
        self.header: dict[str, Word] = {}
        self.into: Word | None = None
        self.source: Word | None = None
        self.alias: str | None = None
        self.items: list[Item] = []
        self.star: Word | None = None
        self.exclude: list[Word] = []
        self.replace: list[Item] = []
        self.where: Node | None = None
        self.notes = Notes()
        self.broken = False
