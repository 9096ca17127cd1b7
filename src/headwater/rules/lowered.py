"""One statement made a rule, by itself: what needs no other statement, and so is the same wherever in a file it stands."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headwater.core.udf import Signature
from headwater.rules import lint
from headwater.rules.datasets import Column
from headwater.rules.fields import Scope, SourceFields, UnknownFieldError
from headwater.rules.findings import Notes, SourceFile
from headwater.rules.lowering import Lowering
from headwater.rules.operators import LOWER
from headwater.rules.physical import Expression, PhysicalRule, Star
from headwater.rules.syntax import Item, Statement, Word


class Lowered(msgspec.Struct, gc=False):
    """A statement as it was lowered; its places are offsets in the file that it was read from.

    ``name`` is that of its header, ``notes`` are None where there are none. ``rule`` is None where the statement has errors, and
    without a name where its header gives none; ``does`` is then `lint.what_it_does` of it. ``calls_udfs`` tells whether it calls
    Python functions. Ten thousand are kept: nothing here is for the garbage collector to go through.
    """

    start: int
    name: Word | None
    into: Word | None
    star: Word | None
    notes: Notes | None
    rule: PhysicalRule | None = None
    columns: tuple[Column, ...] = ()
    does: int = 0
    calls_udfs: bool = False

    @staticmethod
    def of(statement: Statement) -> Lowered:
        """A statement without a rule."""
        notes = statement.notes if statement.notes.any else None
        return Lowered(statement.start, statement.header.get("rule"), statement.into, statement.star, notes)

    def named(self, name: str) -> PhysicalRule | None:
        """The rule under this name."""
        if self.rule is not None and self.rule.name != name:
            self.rule = self.rule.but(name=name)
        return self.rule


def lower(statement: Statement, fields: SourceFields | None, file: SourceFile, udfs: Mapping[str, Signature]) -> Lowered:
    """Lowers a statement that reads ``fields`` (None: its source is not known). Findings go to its notes."""
    if fields is None:
        return Lowered.of(statement)
    return _Rule(statement, fields, file, udfs).lower()


class _Rule:
    """Lowers one statement."""

    def __init__(self, statement: Statement, fields: SourceFields, file: SourceFile, udfs: Mapping[str, Signature]) -> None:
        self.statement = statement
        self.udfs = udfs
        self.file = file
        self.notes: Notes = statement.notes
        self.scope = Scope(fields, statement.where, statement.alias)
        self.columns: list[Column] = []

    def error(self, word: Word, code: str, message: str, hint: str | None = None) -> None:
        self.notes.add(self.file, word.start, word.end, code, message, hint)

    def lower(self) -> Lowered:
        statement, low = self.statement, Lowering(self.scope, self.file, self.notes, LOWER, self.udfs)
        where = low.condition(statement.where, "WHERE") if statement.where else None
        lint.check(statement, where.expression if where else None, self.scope, self.file, self.notes)
        pairs = self._columns(low)
        lowered = Lowered.of(statement)
        if statement.broken or self.notes.errors or statement.into is None:
            return lowered
        source, into, condition = self.scope.fields.schema.name, statement.into.text, where.expression if where else None
        select = Star(tuple(word.text for word in statement.exclude), pairs) if statement.star else pairs
        lowered.rule = PhysicalRule.make(
            name=self._header("rule") or "",
            owner=self._header("owner"),
            tier=self._header("tier"),
            description=self._header("description"),
            source=source,
            into=into,
            where=condition,
            select=select,
        )
        lowered.columns = tuple(self.columns)
        lowered.does = lint.what_it_does(source, into, condition, select)
        lowered.calls_udfs = low.udfs_called
        return lowered

    def _header(self, key: str) -> str | None:
        word = self.statement.header.get(key)
        return word.text if word else None

    def _columns(self, low: Lowering) -> tuple[tuple[str, Expression], ...]:
        statement = self.statement
        seen: dict[str, Word] = {}
        pairs = []
        for item in statement.replace if statement.star else statement.items:
            value = low.lower(item.expression)
            name = self._column_name(item, seen)
            if value is not None and name is not None:
                pairs.append((name, value.expression))
                self.columns.append(Column(name, value.type, Word(name, item.name_start, item.name_end)))
        if statement.star:
            self._star_names(low)
        return tuple(pairs)

    def _column_name(self, item: Item, seen: dict[str, Word]) -> str | None:
        word = Word(item.name or "", item.name_start, item.name_end)
        node = item.expression
        if item.name is None:
            if node.kind not in ("name", "get"):
                text = " ".join(self.file.text[node.start : node.end].split())
                shown = text if len(text) <= 60 else f"{text[:60]}…"
                self.error(word, "unnamed_column", f"the column `{shown}` has no name", "add AS and a name")
                return None
            word.text = node.value
        known = seen.setdefault(word.text.casefold(), word)
        if known is not word:
            line, column = self.file.place(known.start)
            what = "stands twice" if known.text == word.text else f"differs from `{known.text}` in letter case only"
            self.error(
                word,
                "duplicate_column",
                f"the column `{word.text}` {what}",
                f"the first one is at {line}:{column}; rename one with AS",
            )
            return None
        return word.text

    def _star_names(self, low: Lowering) -> None:
        """EXCLUDE and REPLACE name top-level fields, each once."""
        statement = self.statement
        replaced = [Word(one.name or "", one.name_start, one.name_end) for one in statement.replace]
        seen: set[str] = set()
        for word in [*statement.exclude, *replaced]:
            if word.text in seen:
                self.error(word, "duplicate_column", f"`{word.text}` is excluded or replaced twice", "name it once")
            seen.add(word.text)
            try:
                low.scope.resolve((word.text,))
            except UnknownFieldError as unknown:
                self.error(word, "unknown_field", unknown.message, unknown.hint)
