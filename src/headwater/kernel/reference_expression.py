"""Expressions of physical rules: their stored form, and their evaluation for one event, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.core.types import BIGINT, DOUBLE, JSON, TIMESTAMP, DataType, Scalar, type_from_json
from headwater.kernel.functions import casts, hashes, lists, numbers, patterns, texts, timestamps
from headwater.kernel.functions.numbers import Failed
from headwater.kernel.reference_read import read
from headwater.kernel.reference_udf import Udfs
from headwater.kernel.udf.functions import Failure


@dataclass(frozen=True, slots=True)
class Field:
    """The event's field at a path, read as a type."""

    path: tuple[str, ...]
    kind: DataType


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; None is NULL."""

    kind: DataType
    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on expressions; `kind` is the type of its result."""

    op: str
    kind: DataType
    arguments: tuple[Expression, ...]


Expression = Field | Literal | Call


class FailedNull:
    """NULL because an operation failed. There is one, `FAILED`."""


FAILED = FailedNull()


def parse_expression(stored: Any) -> Expression:
    """Reads the stored form. Raises ValueError that names what is not known."""
    match stored:
        case ["field", [*path], kind]:
            return Field(tuple(path), type_from_json(kind))
        case ["literal", kind, value]:
            is_double = kind == "DOUBLE" and value is not None
            return Literal(type_from_json(kind), float(value) if is_double else value)
        case ["call", str(op), kind, [*arguments]]:
            if op not in LAZY and op not in STRICT and op != "udf":
                raise ValueError(f"no operation {op!r}; known are {', '.join(sorted(LAZY | STRICT))}")
            call = Call(op, type_from_json(kind), tuple(parse_expression(argument) for argument in arguments))
            if op == "like":
                texts.like_pattern(*(argument.value for argument in call.arguments[1:] if isinstance(argument, Literal)))
            if op == "strftime" and isinstance(call.arguments[1], Literal):
                timestamps.time_format(call.arguments[1].value)
            return call
    raise ValueError(f"not an expression: {stored!r}")


def fields_of(expression: Expression) -> set[Field]:
    """Every field that an expression reads."""
    if isinstance(expression, Field):
        return {expression}
    if isinstance(expression, Call):
        return set().union(*(fields_of(argument) for argument in expression.arguments))
    return set()


class Evaluation:
    """Evaluates expressions for one event. `failures` names the operations that failed, in order; `udf_failures` functions."""

    def __init__(self, fields: Mapping[Field, Any], udfs: Udfs | None = None) -> None:
        self.fields = fields
        self.udfs = udfs
        self.failures: list[str] = []
        self.udf_failures: list[str] = []

    def value(self, expression: Expression) -> Any:
        """The value; None is NULL, FAILED is failed NULL."""
        if isinstance(expression, Field):
            return self.fields[expression]
        if isinstance(expression, Literal):
            return expression.value
        if expression.op == "udf":
            return self.udf(expression)
        lazy = LAZY.get(expression.op)
        return lazy(self, expression) if lazy else self.strict(expression)

    def udf(self, call: Call) -> Any:
        """NULL or failed NULL where an argument is that which the function does not take; every argument is evaluated."""
        name, marks = (argument.value for argument in call.arguments[:2] if isinstance(argument, Literal))
        values = [self.value(argument) for argument in call.arguments[2:]]
        strict = [value for value, mark in zip(values, marks, strict=True) if mark == "s"]
        if any(value is FAILED for value in strict):
            return FAILED
        if any(value is None for value in strict):
            return None
        if self.udfs is None:
            raise ValueError(f"no functions are given, and {name} is called")
        found = self.udfs.call(name, [None if value is FAILED else value for value in values])
        if not isinstance(found, Failure):
            return found
        self.failures.append(found.reason)
        self.udf_failures.append(found.reason)
        return FAILED

    def plain(self, expression: Expression) -> Any:
        """The value, where failed NULL is NULL."""
        value = self.value(expression)
        return None if value is FAILED else value

    def strict(self, call: Call) -> Any:
        """NULL where any argument is NULL, failed NULL where any is that or the operation fails. Every argument is evaluated."""
        values = [self.value(argument) for argument in call.arguments]
        if any(value is FAILED for value in values):
            return FAILED
        if any(value is None for value in values):
            return None
        try:
            return STRICT[call.op](call, *values)
        except Failed:
            if call.op == "try_cast":
                return None
            self.failures.append(call.op)
            return FAILED

    def connective(self, call: Call) -> Any:
        """`and`, `or`: the deciding value ends it; NULL is failed where any operand that is NULL had failed."""
        deciding = call.op == "or"
        null: Any = not deciding
        for argument in call.arguments:
            value = self.value(argument)
            if value is deciding:
                return deciding
            if value is FAILED or (value is None and null is not FAILED):
                null = value
        return null

    def case(self, call: Call) -> Any:
        """The value of the first branch whose condition is TRUE, else the last argument."""
        *branches, otherwise = call.arguments
        for condition, value in zip(branches[::2], branches[1::2], strict=True):
            if self.value(condition) is True:
                return self.value(value)
        return self.value(otherwise)

    def coalesce(self, call: Call) -> Any:
        """The first that is not NULL."""
        null = None
        for argument in call.arguments:
            value = self.value(argument)
            if value is not None and value is not FAILED:
                return value
            null = null or value
        return null

    def nullif(self, call: Call) -> Any:
        """NULL where both are equal, else the first."""
        first, second = (self.value(argument) for argument in call.arguments)
        if first is None or first is FAILED or second is None or second is FAILED:
            return first
        return None if order(call.arguments[0].kind, first, second) == 0 else first

    def distinct(self, call: Call) -> bool:
        """`distinct` and `not_distinct`: NULL equals NULL."""
        first, second = (self.plain(argument) for argument in call.arguments)
        if first is None or second is None:
            differs = first is not second
        else:
            differs = order(kind_of(call.arguments), first, second) != 0
        return differs == (call.op == "distinct")

    def is_null(self, call: Call) -> bool:
        """`is_null` and `is_not_null`."""
        return (self.plain(call.arguments[0]) is None) == (call.op == "is_null")

    def extreme(self, call: Call) -> Any:
        """`greatest` and `least`: NULL is passed over; of equal values the first."""
        best = None
        for argument in call.arguments:
            value = self.value(argument)
            if value is None or value is FAILED:
                best = best if best is not None else value
            elif best is None or best is FAILED or order(call.kind, value, best) == (1 if call.op == "greatest" else -1):
                best = value
        return best

    def is_in(self, call: Call) -> Any:
        """`in`: whether the value is one of the literals."""
        value = self.value(call.arguments[0])
        if value is None or value is FAILED:
            return value
        return any(order(call.arguments[0].kind, value, self.value(one)) == 0 for one in call.arguments[1:])


def kind_of(arguments: tuple[Expression, ...]) -> DataType:
    """The type that two operands are compared as."""
    return next((argument.kind for argument in arguments if argument.kind != Scalar("NULL")), Scalar("NULL"))


def order(kind: DataType, a: Any, b: Any) -> int:
    """Below 0, 0 or above 0. NaN equals NaN and is the greatest; text compares by code point, which is the order of its UTF-8."""
    if kind == DOUBLE and (math.isnan(a) or math.isnan(b)):
        return int(math.isnan(a)) - int(math.isnan(b))
    return int(a > b) - int(a < b)


def compare(test: Callable[[int], bool]) -> Callable[..., bool]:
    """A comparison of two values of one type."""
    return lambda call, a, b: test(order(call.arguments[0].kind, a, b))


def by_type(bigint: Callable[..., Any], double: Callable[..., Any]) -> Callable[..., Any]:
    """An operation of BIGINT and of DOUBLE."""
    return lambda call, *values: (bigint if call.kind == BIGINT else double)(*values)


def text(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of values alone."""
    return lambda call, *values: function(*values)


def cast(call: Call, value: Any) -> Any:
    """`cast` and `try_cast`. Raises Failed."""
    source, target = call.arguments[0].kind, call.kind
    if source == target:
        return value
    if source == JSON:
        found = read(value, target).value
        if found is None:
            raise Failed
        return found
    return casts.SCALAR_CASTS[str(source), str(target)](value)


def epoch_ms(call: Call, value: int) -> int:
    """A TIMESTAMP as milliseconds, or the other way round. Raises Failed."""
    return timestamps.from_epoch_ms(value) if call.kind == TIMESTAMP else timestamps.epoch_ms(value)


def make_timestamp(call: Call, first: int, *others: Any) -> int:
    """A TIMESTAMP from microseconds, or from its parts. Raises Failed."""
    return timestamps.make_timestamp(first, *others) if others else casts.timestamp(first)


def list_contains(call: Call, items: list[Any], wanted: Any) -> bool:
    """Whether an item equals the value."""
    return any(item is not None and order(call.arguments[1].kind, item, wanted) == 0 for item in items)


LAZY: dict[str, Callable[[Evaluation, Call], Any]] = {
    "and": Evaluation.connective,
    "or": Evaluation.connective,
    "case": Evaluation.case,
    "coalesce": Evaluation.coalesce,
    "nullif": Evaluation.nullif,
    "distinct": Evaluation.distinct,
    "not_distinct": Evaluation.distinct,
    "is_null": Evaluation.is_null,
    "is_not_null": Evaluation.is_null,
    "in": Evaluation.is_in,
    "greatest": Evaluation.extreme,
    "least": Evaluation.extreme,
}

STRICT: dict[str, Callable[..., Any]] = {
    "not": text(lambda value: not value),
    "eq": compare(lambda found: found == 0),
    "ne": compare(lambda found: found != 0),
    "lt": compare(lambda found: found < 0),
    "le": compare(lambda found: found <= 0),
    "gt": compare(lambda found: found > 0),
    "ge": compare(lambda found: found >= 0),
    "like": text(texts.like),
    "add": by_type(numbers.bigint_add, numbers.double_add),
    "sub": by_type(numbers.bigint_sub, numbers.double_sub),
    "mul": by_type(numbers.bigint_mul, numbers.double_mul),
    "div": text(numbers.double_div),
    "int_div": text(numbers.int_div),
    "mod": by_type(numbers.bigint_mod, numbers.double_mod),
    "neg": by_type(numbers.bigint_neg, numbers.double_neg),
    "concat": text(texts.concat),
    "cast": cast,
    "try_cast": cast,
    "lower": text(texts.lower),
    "upper": text(texts.upper),
    "trim": text(texts.trim),
    "ltrim": text(texts.ltrim),
    "rtrim": text(texts.rtrim),
    "length": text(len),
    "substring": text(texts.substring),
    "replace": text(texts.replace),
    "starts_with": text(texts.starts_with),
    "contains": text(texts.contains),
    "struct_get": text(lambda struct, name: struct.get(name)),
    "epoch": text(timestamps.epoch),
    "epoch_ms": epoch_ms,
    "epoch_us": text(int),
    "make_timestamp": make_timestamp,
    "date_part": text(timestamps.date_part),
    "date_trunc": text(timestamps.date_trunc),
    "date_diff": text(timestamps.date_diff),
    "date_sub": text(timestamps.date_sub),
    "add_interval": text(timestamps.add_interval),
    "time_bucket": text(timestamps.time_bucket),
    "strftime": text(timestamps.strftime),
    "regexp_matches": text(patterns.matches),
    "regexp_full_match": text(patterns.full_match),
    "regexp_extract": text(patterns.extract),
    "regexp_replace": text(patterns.replace),
    "split_part": text(texts.split_part),
    "string_split": text(texts.split),
    "md5": text(hashes.md5),
    "md5_number_lower": text(hashes.md5_number_lower),
    "abs": by_type(numbers.bigint_abs, numbers.double_abs),
    "round": by_type(numbers.bigint_round, numbers.double_round),
    "floor": text(numbers.double_floor),
    "ceil": text(numbers.double_ceil),
    "list_get": text(lists.get),
    "list_contains": list_contains,
    "list_slice": text(lists.part),
}
