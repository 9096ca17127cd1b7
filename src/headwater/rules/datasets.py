"""Schemas of the datasets that rules write: the by-name union of their rules' columns."""

from __future__ import annotations

import msgspec

from headwater.core.dataset import DatasetSchema
from headwater.core.types import NULL, DataType
from headwater.rules.conversion import castable, same_type
from headwater.rules.findings import Findings, SourceFile
from headwater.rules.syntax import Word


class Column(msgspec.Struct, frozen=True, gc=False):
    """One column that a rule writes, and where in the file its name stands."""

    name: str
    type: DataType
    word: Word


class Written(msgspec.Struct, frozen=True):
    """What one rule writes into its dataset; ``star`` is the place of its `*`, None where it names columns.

    The places of all words are ``shift`` characters further on in the file.
    """

    rule: str
    file: SourceFile
    shift: int
    into: Word
    columns: tuple[Column, ...]
    star: Word | None

    def at(self, word: Word) -> str:
        """The rule's name and a place in its file, for findings."""
        line, column = self.file.place(word.start + self.shift)
        return f"rule `{self.rule}` ({self.file.name}:{line}:{column})"


class _Dataset:
    def __init__(self, first: Written) -> None:
        self.first = first
        self.columns: dict[str, tuple[Column, Written]] = {}
        self.folded: dict[str, str] = {}


class Datasets:
    """Unites what rules write, and notes where they contradict each other."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.datasets: dict[str, _Dataset] = {}
        self.folded: dict[str, str] = {}

    def add(self, written: Written) -> None:
        """Takes what one rule writes."""
        name, into = written.into.text, written.into
        known = self.folded.setdefault(name.casefold(), name)
        if known != name:
            self._error(
                written,
                into,
                "dataset_name",
                f"the dataset `{name}` differs from `{known}` in letter case only",
                "write one name",
            )
            return
        dataset = self.datasets.setdefault(name, _Dataset(written))
        first = dataset.first
        if (first.star is None) != (written.star is None):
            what, other = ("`*`", "columns") if written.star else ("columns", "`*`")
            message = f"the dataset `{name}` takes {what} here and {other} from {first.at(first.into)}"
            place = written.star or into
            self._error(
                written, place, "star_dataset", message, "a dataset fed with `*` takes only `*`: write into another dataset"
            )
            return
        for column in written.columns:
            self._column(dataset, column, written)

    def _column(self, dataset: _Dataset, column: Column, written: Written) -> None:
        known = dataset.folded.setdefault(column.name.casefold(), column.name)
        first, by = dataset.columns.get(known, (column, written))
        if known != column.name:
            message = f"the column `{column.name}` differs in letter case only from `{known}` of {by.at(first.word)}"
            self._error(written, column.word, "column_case", message, f"write AS {known}")
        elif first.type == NULL:
            dataset.columns[known] = (column, written)
        elif column.type != NULL and not same_type(first.type, column.type):
            message = f"the column `{known}` is {column.type} here and {first.type} in {by.at(first.word)}"
            hint = (
                f"CAST it to {first.type} here, or change the other"
                if castable(column.type, first.type)
                else "rename one of them with AS"
            )
            self._error(written, column.word, "column_type", message, hint)
        else:
            dataset.columns.setdefault(known, (column, written))

    def _error(self, written: Written, word: Word, code: str, message: str, hint: str) -> None:
        shift = written.shift
        self.findings.add(written.file, word.start + shift, word.end + shift, code, message, hint)

    def schemas(self) -> tuple[DatasetSchema, ...]:
        """The schemas, by the first rule that writes each. A column that is NULL in every rule is an error: it has no type."""
        schemas = []
        for name, dataset in self.datasets.items():
            for column, written in dataset.columns.values():
                if column.type == NULL:
                    message = f"the column `{column.name}` is NULL in every rule of `{name}`, so it has no type"
                    self._error(written, column.word, "column_type", message, "write CAST(NULL AS type)")
            columns = tuple((one.name, one.type) for one, _by in dataset.columns.values())
            schemas.append(DatasetSchema(name, dataset.first.star is not None, columns))
        return tuple(schemas)
