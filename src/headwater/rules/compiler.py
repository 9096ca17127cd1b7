"""Compiling: rule files → physical rules, the schemas of the datasets they write, and findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from headwater.core import limits
from headwater.core.dataset import DatasetSchema, SourceSchema
from headwater.rules import lint
from headwater.rules.datasets import Column, Datasets, Written
from headwater.rules.fields import Scope, SourceFields, UnknownFieldError
from headwater.rules.findings import Finding, Findings, SourceFile, did_you_mean
from headwater.rules.lowering import Lowering
from headwater.rules.operators import LOWER
from headwater.rules.physical import PhysicalRule, Star
from headwater.rules.statements import parse_file
from headwater.rules.syntax import Item, Statement, Word

DEAD_LETTERS = "dead_letters"


class Compiled(msgspec.Struct, frozen=True):
    """What rule files gave. ``rules`` holds those without errors; publish them only where no finding is an error."""

    rules: tuple[PhysicalRule, ...]
    datasets: tuple[DatasetSchema, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def compile_sql(text: str, file: str, sources: Mapping[str, SourceSchema]) -> Compiled:
    """Compiles one file of rules over the given sources. Never raises for what the text holds: that is in the findings."""
    return compile_files({file: text}, sources)


def compile_files(files: Mapping[str, str], sources: Mapping[str, SourceSchema]) -> Compiled:
    """Compiles several files together: names of rules are unique, and datasets are united, over all of them."""
    compilation = _Compilation(sources)
    for name, text in files.items():
        compilation.file(name, text)
    return compilation.result()


class _Compilation:
    def __init__(self, sources: Mapping[str, SourceSchema]) -> None:
        self.findings = Findings()
        self.sources = sources
        self.fields = {name: SourceFields(schema) for name, schema in sources.items()}
        self.names: dict[str, str] = {}
        self.datasets = Datasets(self.findings)
        self.repeats = lint.Repeats(self.findings)
        self.rules: list[PhysicalRule] = []

    def result(self) -> Compiled:
        schemas = self.datasets.schemas()
        return Compiled(tuple(self.rules), schemas, self.findings.result())

    def file(self, name: str, text: str) -> None:
        """Compiles one file. A byte order mark at its start is passed over."""
        text = text.removeprefix("\ufeff")
        file = SourceFile(name, text)
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            self.findings.add(file, error.start, error.end, "not_utf8", "the file holds a lone surrogate, which is no UTF-8")
            return
        if size > limits.RULE_FILE_BYTES_MAX:
            message = f"the file has {size} bytes; a file of rules has at most {limits.RULE_FILE_BYTES_MAX}"
            self.findings.add(file, 0, 1, "file_too_large", message, "split it")
            return
        for statement in parse_file(file, self.findings):
            rule = _Rule(self, file, statement).compile()
            if rule is not None:
                self.rules.append(rule)


class _Rule:
    """Compiles one statement."""

    def __init__(self, compilation: _Compilation, file: SourceFile, statement: Statement) -> None:
        self.all = compilation
        self.file = file
        self.statement = statement
        self.findings = compilation.findings

    def error(self, word: Word, code: str, message: str, hint: str | None = None) -> None:
        self.statement.broken = True
        self.findings.add(self.file, word.start, word.end, code, message, hint)

    def compile(self) -> PhysicalRule | None:
        statement, before = self.statement, self.findings.errors
        name = self._name()
        into = self._into()
        fields = self._source()
        if fields is None:
            return None
        scope = Scope(fields, statement.where, statement.alias)
        low = Lowering(scope, self.file, self.findings, LOWER)
        where = low.condition(statement.where, "WHERE") if statement.where else None
        lint.check(statement, where.expression if where else None, scope, self.file, self.findings)
        columns = self._columns(low)
        if statement.broken or self.findings.errors > before or into is None:
            return None
        source = fields.schema.name
        star = Star(tuple(word.text for word in statement.exclude), tuple((one.name, one.expression) for one in columns))
        rule = PhysicalRule(
            name=name,
            owner=self._header("owner"),
            tier=self._header("tier"),
            description=self._header("description"),
            source=source,
            into=into.text,
            where=where.expression if where else None,
            select=star if statement.star else tuple((one.name, one.expression) for one in columns),
        )
        written = Written(rule.name, self.file, into, [] if statement.star else columns, statement.star)
        self.all.datasets.add(written)
        self.all.repeats.check(rule, self.file, statement)
        return rule if self.findings.errors == before else None

    def _header(self, key: str) -> str | None:
        word = self.statement.header.get(key)
        return word.text if word else None

    def _name(self) -> str:
        """The name of the header, or the file's name and the statement's position; each name once."""
        statement = self.statement
        stem = "".join(
            char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in PurePosixPath(self.file.name).stem
        )
        word = statement.header.get("rule") or Word(
            f"{stem[:100] or 'rules'}.{statement.number}", statement.start, statement.start + 6
        )
        line, column = self.file.place(word.start)
        first = self.all.names.setdefault(word.text, f"{self.file.name}:{line}:{column}")
        if first != f"{self.file.name}:{line}:{column}":
            hint = "give each rule a name of its own: -- rule: name"
            self.error(word, "duplicate_rule", f"a rule named `{word.text}` is already at {first}", hint)
        return word.text

    def _into(self) -> Word | None:
        into = self.statement.into
        if into is None:
            return None
        if into.text in self.all.sources:
            self.error(
                into, "dataset_name", f"`{into.text}` is a source: events enter it, rules read it", "write into another dataset"
            )
        elif into.text.casefold() == DEAD_LETTERS:
            self.error(into, "dataset_name", f"`{into.text}` holds dead letters, no rule writes it", "write into another dataset")
        return into

    def _source(self) -> SourceFields | None:
        word = self.statement.source
        if word is None:
            return None
        fields = self.all.fields.get(word.text)
        if fields is None:
            names = ", ".join(f"`{name}`" for name in list(self.all.sources)[:12])
            hint = did_you_mean(word.text, self.all.sources) or (f"rules read {names}" if names else "there is no source")
            self.error(word, "unknown_dataset", f"no source `{word.text}`", hint)
        return fields

    def _columns(self, low: Lowering) -> list[Column]:
        statement = self.statement
        seen: dict[str, Word] = {}
        columns = []
        for item in statement.replace if statement.star else statement.items:
            value = low.lower(item.expression)
            name = self._column_name(item, seen)
            if value is not None and name is not None:
                columns.append(Column(name, value.type, value.expression, Word(name, item.name_start, item.name_end)))
        if statement.star:
            self._star_names(low)
        return columns

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
