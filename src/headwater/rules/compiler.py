"""Compiling: rule files → physical rules, the schemas of the datasets they write, and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from headwater.core import limits
from headwater.core.dataset import DatasetSchema, SourceSchema
from headwater.core.udf import UdfSet
from headwater.rules import lint
from headwater.rules.cache import Cache
from headwater.rules.datasets import Datasets, Written
from headwater.rules.fields import SourceFields
from headwater.rules.findings import Finding, Findings, SourceFile, did_you_mean
from headwater.rules.lowered import Lowered, lower
from headwater.rules.physical import PhysicalRule
from headwater.rules.statements import Piece, StatementReader
from headwater.rules.syntax import Statement, Word

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


def compile_sql(text: str, file: str, sources: Mapping[str, SourceSchema], udfs: UdfSet | None = None) -> Compiled:
    """Compiles one file of rules over the given sources. Never raises for what the text holds: that is in the findings."""
    return compile_files({file: text}, sources, udfs=udfs)


def compile_files(
    files: Mapping[str, str],
    sources: Mapping[str, SourceSchema],
    cache: Cache | None = None,
    udfs: UdfSet | None = None,
) -> Compiled:
    """Compiles several files together: names of rules are unique, and datasets are united, over all of them.

    Rules may call the functions of ``udfs``. With the ``cache`` of the compilation before, only what changed since is parsed and
    lowered; the result is the same.
    """
    cache = cache or Cache()
    cache.begin(sources, udfs.by_name() if udfs else {})
    compilation = _Compilation(sources, cache)
    for name, text in files.items():
        compilation.file(name, text)
    cache.end()
    return compilation.result()


class _Compilation:
    def __init__(self, sources: Mapping[str, SourceSchema], cache: Cache) -> None:
        self.findings = Findings()
        self.sources = sources
        self.cache = cache
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
        reader = StatementReader(file, self.findings)
        for piece in reader.pieces():
            for shift, lowered in self._lowered(piece, reader):
                _Rule(self, file, lowered, shift).take(reader.number)

    def _lowered(self, piece: Piece, reader: StatementReader) -> Iterator[tuple[int, Lowered]]:
        """The statements of a piece, each with how much further on it stands than its offsets say."""
        if known := self.cache.get(piece):
            reader.skip(piece)
            yield known
            return
        before = self.findings.errors
        for statement in reader.statements(piece):
            lowered = lower(statement, self._source(statement, reader.file), reader.file, self.cache.udfs)
            if self.findings.errors == before:
                self.cache.put(piece, lowered)
            yield 0, lowered

    def _source(self, statement: Statement, file: SourceFile) -> SourceFields | None:
        word = statement.source
        if word is None:
            return None
        fields = self.cache.fields.get(word.text)
        if fields is None:
            names = ", ".join(f"`{name}`" for name in list(self.sources)[:12])
            hint = did_you_mean(word.text, self.sources) or (f"rules read {names}" if names else "there is no source")
            statement.notes.add(file, word.start, word.end, "unknown_dataset", f"no source `{word.text}`", hint)
        return fields


class _Rule:
    """Takes one statement in among the others."""

    def __init__(self, compilation: _Compilation, file: SourceFile, lowered: Lowered, shift: int) -> None:
        self.all = compilation
        self.file = file
        self.lowered = lowered
        self.shift = shift
        self.findings = compilation.findings

    def error(self, word: Word, code: str, message: str, hint: str | None = None) -> None:
        self.findings.add(self.file, word.start + self.shift, word.end + self.shift, code, message, hint)

    def take(self, number: int) -> None:
        """Says what was noted of it, and adds its rule, unless it or what it has to do with others is an error."""
        lowered, before = self.lowered, self.findings.errors
        if lowered.notes is not None:
            lowered.notes.say(self.findings, self.file, self.shift)
        rule = lowered.named(self._name(number))
        self._into()
        if rule is None or lowered.into is None or self.findings.errors > before:
            return
        columns = () if lowered.star else lowered.columns
        self.all.datasets.add(Written(rule.name, self.file, self.shift, lowered.into, columns, lowered.star))
        self.all.repeats.check(rule, lowered.does, self.file, lowered.start + self.shift)
        if self.findings.errors == before:
            self.all.rules.append(rule)

    def _name(self, number: int) -> str:
        """The name of the header, or the file's name and the statement's position; each name once."""
        lowered = self.lowered
        word = lowered.name or Word(f"{_stem(self.file.name)}.{number}", lowered.start, lowered.start + 6)
        line, column = self.file.place(word.start + self.shift)
        place = f"{self.file.name}:{line}:{column}"
        first = self.all.names.setdefault(word.text, place)
        if first != place:
            hint = "give each rule a name of its own: -- rule: name"
            self.error(word, "duplicate_rule", f"a rule named `{word.text}` is already at {first}", hint)
        return word.text

    def _into(self) -> None:
        into = self.lowered.into
        if into is None:
            return
        if into.text in self.all.sources:
            self.error(
                into, "dataset_name", f"`{into.text}` is a source: events enter it, rules read it", "write into another dataset"
            )
        elif into.text.casefold() == DEAD_LETTERS:
            self.error(into, "dataset_name", f"`{into.text}` holds dead letters, no rule writes it", "write into another dataset")


def _stem(file: str) -> str:
    """The file's name as a part of the names of its rules."""
    stem = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in PurePosixPath(file).stem)
    return stem[:100] or "rules"
