"""The plain-Python interpreter of physical rules: what the kernel is tested against.

It follows `docs/formats/physical-rule.md` line by line and is made to be read, not to be fast.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headwater.core.types import BOOLEAN, DataType, type_from_json
from headwater.kernel.reference_expression import (
    FAILED,
    Call,
    Evaluation,
    Expression,
    Field,
    Literal,
    fields_of,
    parse_expression,
)
from headwater.kernel.reference_json import Malformed, Node, parse, write_text
from headwater.kernel.reference_read import Reading, one_line, read, write
from headwater.kernel.reference_udf import Udfs, split
from headwater.kernel.udf.functions import Functions

__all__ = ["ReferenceProgram", "ReferenceResult", "read_field"]

FORMAT = 1
SAMPLED_ONE_IN = 64


def read_field(value: bytes, kind: DataType | Any) -> Reading:
    """Reads JSON text as a type (or its stored form) by the reading table. Raises Malformed where it is no JSON."""
    known = type_from_json(kind) if isinstance(kind, str | dict) else kind
    return read(parse(value), known)


@dataclass(frozen=True, slots=True)
class Rule:
    """One physical rule, read."""

    name: str
    into: str
    where: Expression | None
    columns: tuple[tuple[str, Expression], ...]
    star: bool = False
    exclude: frozenset[str] = frozenset()

    def fields(self) -> set[Field]:
        """Every field that the rule reads."""
        expressions = [expression for _, expression in self.columns] + ([self.where] if self.where else [])
        return set().union(*(fields_of(expression) for expression in expressions))


def parse_rule(stored: bytes) -> Rule:
    """Reads a physical rule. Raises ValueError that names the rule and what is not known."""
    rule = json.loads(stored)
    if rule.get("format") != FORMAT:
        raise ValueError(f"rule {rule.get('name')!r}: format {rule.get('format')!r} is not known; known is {FORMAT}")
    try:
        where = None if rule["where"] is None else parse_expression(rule["where"])
        select = rule["select"]
        star = isinstance(select, dict)
        columns = select.get("replace", []) if star else select
        parsed = tuple((name, parse_expression(expression)) for name, expression in columns)
        exclude = frozenset(select.get("exclude", [])) if star else frozenset()
        return Rule(rule["name"], rule["into"], where, parsed, star, exclude)
    except ValueError as error:
        raise ValueError(f"rule {rule['name']!r}: {error}") from error


@dataclass(slots=True)
class ReferenceResult:
    """What one batch gave: the attributes of the kernel's `Result`."""

    events: int = 0
    outputs: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    rules: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    fields: list[tuple[int, int, int]] = field(default_factory=list)
    written: list[tuple[int, int, int, int]] = field(default_factory=list)
    presence: list[tuple[int, int]] = field(default_factory=list)
    rejects: list[tuple[int, int, int, str, int]] = field(default_factory=list)
    failures: list[tuple[int, int, int, int, str, str]] = field(default_factory=list)


class ReferenceProgram:
    """A rule set; the attributes of the kernel's `Program`."""

    def __init__(self, rules: list[bytes], udfs: Functions | None = None) -> None:
        self.rules = [parse_rule(rule) for rule in rules]
        self.udfs = Udfs(udfs) if udfs else None
        self.fields = set().union(*(rule.fields() for rule in self.rules))
        self.paths = sorted({each.path for each in self.fields}, key=lambda path: (".".join(path), path))

    @property
    def rule_names(self) -> list[str]:
        """The rules' names, in the order given."""
        return [rule.name for rule in self.rules]

    @property
    def datasets(self) -> list[str]:
        """The datasets that the rules write, sorted."""
        return sorted({rule.into for rule in self.rules})

    @property
    def field_paths(self) -> list[str]:
        """Every path that a rule names, dotted, sorted."""
        return [".".join(path) for path in self.paths]

    def run(self, batch: bytes | list[bytes]) -> ReferenceResult:
        """Runs NDJSON, or one event an item."""
        return _Run(self).run(batch)


def lines(batch: bytes | list[bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    """(index, start, end, text) of each line or item that is not blank."""
    if isinstance(batch, list):
        numbered = [(index, 0, len(item), item) for index, item in enumerate(batch)]
    else:
        numbered, start = [], 0
        for index, line in enumerate(batch.split(b"\n")):
            numbered.append((index, start, start + len(line), line))
            start += len(line) + 1
    return (line for line in numbered if line[3].strip(b" \t\r\n"))


class _Run:
    """One batch on its way through a program."""

    def __init__(self, program: ReferenceProgram) -> None:
        self.program = program
        self.result = ReferenceResult()
        self.outputs: dict[str, list[bytes]] = {}
        self.counts: dict[str, Counter[int]] = {name: Counter() for name in ("matched", "where_errors", "failed", "not_finite")}
        self.written: dict[str, Counter[int]] = {name: Counter() for name in ("emitted", "nulls", "bytes")}
        self.well_formed = 0
        self.present: Counter[int] = Counter()
        self.coerced: Counter[int] = Counter()
        self.type_errors: Counter[int] = Counter()

    def run(self, batch: bytes | list[bytes]) -> ReferenceResult:
        """Runs the batch and adds up."""
        for index, start, end, text in lines(batch):
            self.result.events += 1
            try:
                event = parse(text)
                if event.kind != "object":
                    raise Malformed("not_an_object", event.start)
            except Malformed as refusal:
                self.result.rejects.append((index, start, end, refusal.reason, refusal.at))
                continue
            if self.well_formed % SAMPLED_ONE_IN == 0:
                self.sample(event)
            self.well_formed += 1
            values = self.read(event)
            for number in range(len(self.program.rules)):
                failure = self.apply(number, event, values)
                if failure:
                    self.result.failures.append((index, start, end, number, *failure))
        self.result.outputs = {name: b"".join(rows) for name, rows in self.outputs.items()}
        self.result.rows = {name: len(rows) for name, rows in self.outputs.items()}
        counted = list(self.counts.values())
        numbers = range(len(self.program.rules))
        rules = [(number, *(count[number] for count in counted)) for number in numbers]
        self.result.rules = [(*each,) for each in rules if any(each[1:])]  # type: ignore[misc]
        self.result.written = [
            (number, *(count[number] for count in self.written.values()))  # type: ignore[misc]
            for number in numbers
            if self.written["emitted"][number]
        ]
        paths = range(len(self.program.paths))
        sampled = -(-self.well_formed // SAMPLED_ONE_IN)
        self.result.presence = [(self.present[number], sampled - self.present[number]) for number in paths]
        fields = [(number, self.coerced[number], self.type_errors[number]) for number in paths]
        self.result.fields = [each for each in fields if any(each[1:])]
        return self.result

    def sample(self, event: Node) -> None:
        """Counts which paths have a value that is not null."""
        for number, path in enumerate(self.program.paths):
            node: Node | None = event
            for key in path:
                node = node.get(key) if node is not None else None
            self.present[number] += node is not None and node.kind != "null"

    def read(self, event: Node) -> dict[Field, Any]:
        """Reads every field that a rule names, and counts once a path."""
        values: dict[Field, Any] = {}
        coerced: set[tuple[str, ...]] = set()
        errors: set[tuple[str, ...]] = set()
        for each in self.program.fields:
            node: Node | None = event
            for key in each.path:
                node = node.get(key) if node is not None else None
            reading = read(node, each.kind)
            values[each] = reading.value
            if reading.coerced:
                coerced.add(each.path)
            if reading.type_error:
                errors.add(each.path)
        for number, path in enumerate(self.program.paths):
            self.coerced[number] += path in coerced
            self.type_errors[number] += path in errors
        return values

    def apply(self, number: int, event: Node, values: dict[Field, Any]) -> tuple[str, str] | None:
        """Runs one rule for one event; the column and the operation where it failed."""
        rule = self.program.rules[number]
        udfs = self.program.udfs
        for conditions in split(rule.where) if rule.where is not None else ():
            # What calls functions is looked at only where all else holds.
            evaluation = Evaluation(values, udfs)
            condition = evaluation.value(Call("and", BOOLEAN, tuple(conditions)))
            if evaluation.udf_failures:
                self.counts["failed"][number] += 1
                return "", evaluation.udf_failures[0]
            self.counts["where_errors"][number] += condition is FAILED
            if condition is not True:
                return None
        written: dict[str, str | None] = {}
        not_finite = nulls = 0
        for name, expression in rule.columns:
            evaluation = Evaluation(values, udfs)
            value = evaluation.value(expression)
            if evaluation.failures:
                self.counts["failed"][number] += 1
                return name, evaluation.failures[0]
            written[name] = None if value is None else write(value, expression.kind)
            not_finite += value is not None and written[name] is None
            nulls += value is None and not isinstance(expression, Literal)
        row = star_row(event, rule.exclude, written) if rule.star else plain_row(written)
        self.outputs.setdefault(rule.into, []).append(row + b"\n")
        self.counts["matched"][number] += 1
        self.counts["not_finite"][number] += not_finite
        self.written["emitted"][number] += 1
        self.written["nulls"][number] += nulls
        self.written["bytes"][number] += len(row) + 1
        return None


def plain_row(columns: dict[str, str | None]) -> bytes:
    """The row of a projection: NULL columns are left out."""
    return ("{" + ",".join(f"{write_text(name)}:{text}" for name, text in columns.items() if text is not None) + "}").encode()


def star_row(event: Node, exclude: frozenset[str], replace: dict[str, str | None]) -> bytes:
    """The event's own text without duplicate keys; excluded keys removed, replaced ones written where they stood."""
    members = event.last_members()
    keys = {member.key for member in members}
    if not (exclude & keys or replace):
        return one_line(collapsed(event))
    parts = []
    for member in members:
        written = replace.get(member.key)
        if member.key in replace and written is not None:
            parts.append(event.source[member.start : member.value.start] + written.encode())
        elif member.key not in replace and member.key not in exclude:
            parts.append(event.source[member.start : member.value.start] + collapsed(member.value))
    added = [f"{write_text(name)}:{text}".encode() for name, text in replace.items() if name not in keys and text is not None]
    return one_line(b"{" + b",".join(parts + added) + b"}")


def collapsed(node: Node) -> bytes:
    """The text of a value with only the last of duplicate keys, at every level. What is dropped is never a last member."""
    cuts = []
    pending = [node]
    while pending:
        each = pending.pop()
        pending += each.items
        kept = {id(member) for member in each.last_members()}
        for member, following in zip(each.members, each.members[1:] + each.members[-1:], strict=True):
            if id(member) in kept:
                pending.append(member.value)
            else:
                cuts.append((member.start, following.start))
    parts = []
    at = node.start
    for start, end in sorted(cuts):
        parts.append(node.source[at:start])
        at = end
    return b"".join([*parts, node.source[at : node.end]])
