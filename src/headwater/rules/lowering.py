"""Lowering: an expression as written becomes typed operations of the physical rule, every conversion explicit.

Every method gives a Value, or None where a finding was noted: what depends on it then says nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, NULL, TIMESTAMP, VARCHAR, DataType, ListOf, Scalar, StructOf
from headwater.core.types import type_to_json as stored
from headwater.core.udf import Signature
from headwater.rules.conversion import COMPARABLE, castable, castable_targets, common_type, timestamp_literal
from headwater.rules.fields import Scope, UnknownFieldError
from headwater.rules.findings import Findings, SourceFile, did_you_mean
from headwater.rules.physical import Expression
from headwater.rules.refused import FUNCTIONS_INSTEAD
from headwater.rules.syntax import Node

# The type of a span of time. It is none of a field or a column: what holds one is lowered to BIGINT µs.
INTERVAL = Scalar("INTERVAL")
# What `md5_number_lower` gives. It is none of a field or a column: `%`, `/` and CAST make a number of rules of it.
UBIGINT = Scalar("UBIGINT")
NULL_LITERAL: Expression = ["literal", "NULL", None]


class Value:
    """A lowered expression, its type, and the place it came from. ``why`` tells why the type is JSON, where that surprises."""

    __slots__ = ("expression", "node", "type", "why")

    def __init__(self, expression: Expression, kind: DataType, node: Node, why: str | None = None) -> None:
        self.expression = expression
        self.type = kind
        self.node = node
        self.why = why

    @property
    def is_null(self) -> bool:
        """Whether this is the NULL literal, of whatever type."""
        return self.expression[0] == "literal" and self.expression[2] is None

    @property
    def is_literal(self) -> bool:
        """Whether this is a literal, NULL included."""
        return bool(self.expression[0] == "literal")


def micros_of(span: Value) -> Expression:
    """The microseconds that an INTERVAL counts as where it is compared: ["interval", Interval] or ["difference", expression]."""
    form, held = span.expression
    return ["literal", "BIGINT", held.compared()] if form == "interval" else held


def call(op: str, kind: DataType, args: list[Value], node: Node) -> Value:
    """An operation over arguments of exactly the types that it takes."""
    return Value(["call", op, stored(kind), [arg.expression for arg in args]], kind, node)


def null(node: Node, kind: DataType) -> Value:
    """NULL of a type: what a strict operation with a NULL literal is."""
    return Value(NULL_LITERAL, kind, node)


# How one kind of node is lowered.
Lower: TypeAlias = "Callable[[Lowering, Node], Value | None]"


class Lowering:
    """Lowers the expressions of one rule."""

    def __init__(
        self, scope: Scope, file: SourceFile, findings: Findings, table: Mapping[str, Lower], udfs: Mapping[str, Signature]
    ) -> None:
        self.scope = scope
        self.file = file
        self.findings = findings
        self.table = table
        self.udfs = udfs
        self.udfs_called = False

    def lower(self, node: Node) -> Value | None:
        """Lowers any expression that is a value of an event: not an INTERVAL and not a UBIGINT."""
        value = self.span(node)
        if value is not None and value.type == INTERVAL:
            hint = "add it to a TIMESTAMP, or compare the difference of two with it"
            if value.expression[0] != "interval":
                hint = f"compare it with an INTERVAL, or write epoch_ms({self.text(node)[1:-1]}) for milliseconds"
            self.refuse(node, "type", f"an INTERVAL cannot stand here: {self.text(node)}", hint)
            return None
        if value is not None and value.type == UBIGINT:
            self._refuse_unsigned(node)
            return None
        return value

    def _refuse_unsigned(self, node: Node) -> None:
        text = self.text(node)[1:-1]
        hint = f"write {text} % 100 for a number below 100, or {text} / 18446744073709551616.0 for one below 1"
        self.refuse(node, "type", f"a UBIGINT cannot stand here: {self.text(node)}", hint)

    def span(self, node: Node) -> Value | None:
        """Lowers any expression, an INTERVAL and a UBIGINT too. The former is no physical one: `micros_of` says what it is."""
        return self.table[node.kind](self, node)

    def all_spans(self, nodes: list[Node]) -> list[Value] | None:
        """As `all`, INTERVALs and UBIGINTs too."""
        values = [self.span(node) for node in nodes]
        good = [value for value in values if value is not None]
        return good if len(good) == len(values) else None

    def all(self, nodes: list[Node]) -> list[Value] | None:
        """Lowers each; None if any has findings, after all were looked at."""
        values = [self.lower(node) for node in nodes]
        good = [value for value in values if value is not None]
        return good if len(good) == len(values) else None

    def refuse(self, node: Node, code: str, message: str, hint: str | None = None) -> None:
        """Notes an error about a part of the rule."""
        self.findings.add(self.file, node.start, node.end, code, message, hint)

    def text(self, node: Node) -> str:
        """The part as written, for findings."""
        written = self.file.text[node.start : node.end]
        one_line = " ".join(written[:200].split())
        return f"`{one_line}`" if len(one_line) <= 60 else f"`{one_line[:60]}…`"

    def field(self, node: Node, names: list[tuple[str, Node]]) -> Value | None:
        """A field by its path; what follows a list in the path stays for the caller, who sees it by the type."""
        path = tuple(name for name, _node in names)
        try:
            kind, taken, why = self.scope.resolve(path)
        except UnknownFieldError as unknown:
            last = names[min(unknown.taken, len(names) - 1)][1]
            self.findings.add(
                self.file, node.start, last.end, "unknown_field", unknown.message, self._meant(node, names, unknown)
            )
            return None
        field = Value(["field", list(path[:taken]), stored(kind)], kind, names[taken - 1][1], why)
        for name, step in names[taken:]:
            inner = self.inner(field, name, step)
            if inner is None:
                return None
            field = inner
        return field

    def _meant(self, node: Node, names: list[tuple[str, Node]], unknown: UnknownFieldError) -> str | None:
        """What was likely meant by a name that is no field."""
        name = names[0][0]
        if len(names) == 1 and self.file.text[node.start : node.start + 1] == '"':
            meant = "'" + name.replace("'", "''") + "'"
            return f"a text has single quotes: {meant}; {unknown.hint}" if unknown.hint else f"a text has single quotes: {meant}"
        return (FUNCTIONS_INSTEAD.get(name.lower()) if len(names) == 1 else None) or unknown.hint

    def inner(self, value: Value, name: str, node: Node) -> Value | None:
        """A field inside a computed STRUCT."""
        if isinstance(value.type, StructOf):
            kind = value.type.field(name)
            if kind is not None and value.is_null:
                return null(node, kind)
            if kind is not None:
                literal = Value(["literal", "VARCHAR", name], VARCHAR, node)
                return call("struct_get", kind, [value, literal], node)
            known = [one for one, _kind in value.type.fields]
            hint = did_you_mean(name, known) or f"its fields are {', '.join(f'`{one}`' for one in known)}"
            self.refuse(node, "unknown_field", f"{self.text(value.node)} has no field `{name}`", hint)
        elif isinstance(value.type, ListOf):
            hint = f"take an item first: {self.text(value.node)[1:-1]}[1]"
            self.refuse(node, "type", f"{self.text(value.node)} is {value.type}, which has no fields", hint)
        else:
            advice = "write CAST(… AS STRUCT(name type)) first" if value.type == JSON else None
            self.refuse(node, "type", f"{self.text(value.node)} is {value.type}, which has no fields", advice)
        return None

    def convert(self, value: Value, kind: DataType) -> Value:
        """A conversion that needs no CAST in the text: NULL to any type, BIGINT to DOUBLE, anything plain to VARCHAR."""
        if value.type == kind:
            return value
        if value.is_null:
            return null(value.node, kind)
        if value.is_literal and value.type == BIGINT and kind == DOUBLE:
            return Value(["literal", "DOUBLE", float(value.expression[2])], DOUBLE, value.node)
        return call("cast", kind, [value], value.node)

    def common(self, values: list[Value], node: Node, what: str) -> tuple[DataType, list[Value]] | None:
        """Converts all to their common type; refuses where there is none."""
        kind = common_type([value.type for value in values])
        if kind is not None:
            return kind, [self.convert(value, kind) for value in values]
        values = [value for value in values if not value.is_null]
        other = next(value for value in values if common_type([values[0].type, value.type]) is None)
        self.mismatch(values[0], other, node, what)
        return None

    def mismatch(self, left: Value, right: Value, node: Node, what: str) -> None:
        """Notes that two types do not go together, with the CAST that would help."""
        message = (
            f"{what} {left.type} and {right.type}: {self.text(left.node)} is {left.type}, {self.text(right.node)} is {right.type}"
        )
        self.refuse(node, "type", message, self.cast_hint(left, right, compares="compare" in what))

    def cast_hint(self, left: Value, right: Value, compares: bool) -> str | None:
        """How one of two values may be cast to the type of the other."""
        for one, other in ((left, right), (right, left)):
            if one.type == JSON and other.type != JSON:
                why = f"{one.why}; " if one.why else ""
                return f"{why}write CAST({self.text(one.node)[1:-1]} AS {other.type})"
            if one.type == TIMESTAMP and other.type == BIGINT and not other.is_literal:
                text = self.text(other.node)[1:-1]
                return f"milliseconds since 1970, such as event_time, become a TIMESTAMP with epoch_ms({text})"
            if one.type == TIMESTAMP and compares:
                return "compare it with a text such as '2026-01-31T12:00:00Z'"
            if one.type == VARCHAR and other.type != VARCHAR and (one.is_literal or not compares):
                quotes = (
                    one.is_literal and re.fullmatch(r"-?\d+(\.\d+)?", str(one.expression[2])) and other.type in (BIGINT, DOUBLE)
                )
                return "write the number without quotes" if quotes else f"write CAST({self.text(other.node)[1:-1]} AS VARCHAR)"
        if left.is_literal:
            left, right = right, left
        for one, other in ((left, right), (right, left)):
            if castable(one.type, other.type):
                return f"write CAST({self.text(one.node)[1:-1]} AS {other.type}), or TRY_CAST for NULL where that fails"
        return castable_targets(left.type)

    def comparable(self, values: list[Value], node: Node, what: str = "cannot compare") -> list[Value] | None:
        """Makes values comparable: a text literal beside a TIMESTAMP is read as one, all get a common type."""
        if any(value.type == INTERVAL for value in values):
            return self._comparable_spans(values, node, what)
        if any(value.type == TIMESTAMP for value in values):
            typed = [self.timestamp(value) for value in values]
            values = [value for value in typed if value is not None]
            if len(values) < len(typed):
                return None
        for value in values:
            if value.type == UBIGINT:
                self._refuse_unsigned(value.node)
                return None
            if value.type not in (*COMPARABLE, NULL):
                others = [other for other in values if other.type in COMPARABLE]
                hint = self.cast_hint(value, others[0], True) if others and value.type == JSON else "compare one of its parts"
                if value.type == JSON and not others:
                    hint = (
                        f"{value.why + '; ' if value.why else ''}write CAST({self.text(value.node)[1:-1]} AS type) to compare it"
                    )
                self.refuse(value.node, "type", f"{what} {value.type}: {self.text(value.node)}", hint)
                return None
        found = self.common(values, node, what)
        return found[1] if found else None

    def _comparable_spans(self, values: list[Value], node: Node, what: str) -> list[Value] | None:
        """INTERVALs by their microseconds, in which a month has 30 days."""
        span = next(value for value in values if value.type == INTERVAL)
        for value in values:
            if value.type not in (INTERVAL, NULL):
                kinds = f"{self.text(span.node)} is INTERVAL, {self.text(value.node)} is {value.type}"
                hint = "compare it with an INTERVAL, such as INTERVAL 5 MINUTE"
                if span.expression[0] != "interval":
                    hint += f", or write epoch_ms({self.text(span.node)[1:-1]}) for milliseconds"
                self.refuse(node, "type", f"{what} INTERVAL and {value.type}: {kinds}", hint)
                return None
        return [value if value.is_null else Value(micros_of(value), BIGINT, value.node) for value in values]

    def timestamp(self, value: Value) -> Value | None:
        """A text literal as a TIMESTAMP; anything else as it is."""
        if not value.is_literal or value.type != VARCHAR or value.is_null:
            return value
        microseconds = timestamp_literal(value.expression[2])
        if microseconds is None:
            message = f"{self.text(value.node)} is no TIMESTAMP"
            self.refuse(value.node, "literal", message, "write ISO 8601: '2026-01-31', '2026-01-31T12:00:00Z'")
            return None
        return Value(["literal", "TIMESTAMP", microseconds], TIMESTAMP, value.node)

    def condition(self, node: Node, what: str) -> Value | None:
        """A BOOLEAN; NULL counts as one."""
        value = self.lower(node)
        if value is None:
            return None
        if value.type not in (BOOLEAN, NULL):
            text = self.text(node)[1:-1]
            hint = f"write CAST({text} AS BOOLEAN)" if value.type == JSON else "compare it with a value"
            if value.why:
                hint = f"{value.why}; {hint}"
            self.refuse(node, "type", f"{what} is BOOLEAN, but {self.text(node)} is {value.type}", hint)
            return None
        return value


def literal(node: Node, kind: str, value: Any) -> Value:
    """A literal of a scalar type."""
    return Value(["literal", kind, value], Scalar(kind), node)
