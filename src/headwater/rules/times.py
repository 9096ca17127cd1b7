"""How times are lowered: INTERVALs and what is calculated with them, and functions with a part or a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from headwater.core.types import BIGINT, DOUBLE, NULL, TIMESTAMP, VARCHAR, Scalar
from headwater.kernel.functions import timestamps
from headwater.kernel.functions.numbers import Failed
from headwater.rules.findings import closest_name
from headwater.rules.intervals import PART_NAMES, Interval
from headwater.rules.lowering import INTERVAL, Lowering, Value, call, literal, micros_of, null
from headwater.rules.syntax import Node

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "int_div": "//", "mod": "%"}
_DAY_SECONDS = timestamps.DAY // timestamps.SECOND
# What a function with special arguments lowers to, once the types of its arguments fit.
LowerCall = Callable[[Lowering, list[Value], Node], Value | None]


def interval(low: Lowering, node: Node) -> Value:
    """An INTERVAL literal."""
    return _span(node.value, node)


def _span(held: Interval, node: Node) -> Value:
    return Value(["interval", held], INTERVAL, node)


def negative(low: Lowering, value: Value, node: Node) -> Value | None:
    """`-` before an INTERVAL."""
    form, held = value.expression
    if form == "interval":
        return _span(Interval(-held.months, -held.micros), node)
    low.refuse(
        node, "type", f"`-` does not take the difference of two TIMESTAMPs: {low.text(node)}", "write it the other way round"
    )
    return None


def arithmetic(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """An operator with a TIMESTAMP or an INTERVAL on one side at least."""
    left, right = values
    op = node.value
    kinds = (left.type, right.type)
    if op in ("add", "sub") and NULL in kinds and TIMESTAMP in kinds:
        return null(node, TIMESTAMP)
    if op == "sub" and kinds == (TIMESTAMP, TIMESTAMP):
        return Value(["difference", _difference(left, right, node)], INTERVAL, node)
    if op == "add" and kinds == (INTERVAL, TIMESTAMP):
        left, right = right, left
    if op in ("add", "sub") and (left.type, right.type) == (TIMESTAMP, INTERVAL) and right.expression[0] == "interval":
        return _add(left, right.expression[1], 1 if op == "add" else -1, node)
    low.refuse(
        node,
        "type",
        f"`{_SYMBOLS[op]}` does not take {left.type} and {right.type}: {low.text(node)}",
        _advice(low, op, left, right),
    )
    return None


def _difference(left: Value, right: Value, node: Node) -> Any:
    micros = [call("epoch_us", BIGINT, [value], node) for value in (left, right)]
    return call("sub", BIGINT, micros, node).expression


def _add(value: Value, held: Interval, sign: int, node: Node) -> Value:
    months, micros = sign * held.months, sign * held.micros
    if value.is_literal:
        try:
            return literal(node, "TIMESTAMP", timestamps.add_interval(value.expression[2], months, micros))
        except Failed:
            pass
    return call("add_interval", TIMESTAMP, [value, literal(node, "BIGINT", months), literal(node, "BIGINT", micros)], node)


def _advice(low: Lowering, op: str, left: Value, right: Value) -> str:
    for value, other in ((left, right), (right, left)):
        text = low.text(value.node)[1:-1]
        if value.type == BIGINT and not value.is_literal and op in ("add", "sub"):
            return f"milliseconds since 1970, such as event_time, become a TIMESTAMP with epoch_ms({text})"
        if value.type == VARCHAR and value.is_literal and other.type == TIMESTAMP:
            return f"write TIMESTAMP {text}"
    if TIMESTAMP in (left.type, right.type):
        return "a TIMESTAMP takes + or - and an INTERVAL, such as INTERVAL 5 MINUTE, or - and another TIMESTAMP"
    return "write one INTERVAL, such as INTERVAL '1 day 2 hours'"


def lower_epoch(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`epoch`: of the difference of two TIMESTAMPs as DuckDB computes it, whole days and the rest each on its own."""
    if values[0].type != INTERVAL:
        return call("epoch", DOUBLE, values, node)
    micros = _micros_of_difference(low, values[0], node)
    if micros is None:
        return None

    def whole(op: str, left: Value, right: int) -> Value:
        return call(op, BIGINT, [left, literal(node, "BIGINT", right)], node)

    days = whole("mul", whole("int_div", micros, timestamps.DAY), _DAY_SECONDS)
    rest = call("cast", DOUBLE, [whole("mod", micros, timestamps.DAY)], node)
    seconds = call("div", DOUBLE, [rest, literal(node, "DOUBLE", float(timestamps.SECOND))], node)
    return call("add", DOUBLE, [call("cast", DOUBLE, [days], node), seconds], node)


def lower_epoch_ms(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`epoch_ms` of a TIMESTAMP, of milliseconds, or of a difference, where it drops the rest."""
    if values[0].type != INTERVAL:
        return call("epoch_ms", TIMESTAMP if values[0].type == BIGINT else BIGINT, values, node)
    micros = _micros_of_difference(low, values[0], node)
    return call("int_div", BIGINT, [micros, literal(node, "BIGINT", 1000)], node) if micros else None


def lower_epoch_us(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`epoch_us` of a TIMESTAMP or of a difference."""
    if values[0].type != INTERVAL:
        return call("epoch_us", BIGINT, values, node)
    return _micros_of_difference(low, values[0], node)


def _micros_of_difference(low: Lowering, value: Value, node: Node) -> Value | None:
    if value.expression[0] == "interval":
        low.refuse(value.node, "type", f"{low.text(value.node)} is a literal INTERVAL", "write the number")
        return None
    return Value(micros_of(value), BIGINT, node)


def lower_time_bucket(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`time_bucket`: the width is months or microseconds, not both, and more than none."""
    width, moment = values
    form, held = width.expression
    if form != "interval" or min(held) < 0 or (held.months > 0) == (held.micros > 0):
        hint = "such as INTERVAL 5 MINUTE or INTERVAL 1 MONTH"
        low.refuse(
            width.node,
            "literal",
            "the width of time_bucket is a literal INTERVAL above zero, of months or of a smaller unit",
            hint,
        )
        return None
    parts = [literal(width.node, "BIGINT", part) for part in held]
    return call("time_bucket", TIMESTAMP, [*parts, moment], node)


def lower_with_part(op: str, valid: Iterable[str]) -> LowerCall:
    """A function whose first argument names a part."""
    known = tuple(valid)

    def lower(low: Lowering, values: list[Value], node: Node) -> Value | None:
        name = _text_literal(low, values[0], f"the part of {op}", "such as 'hour'")
        if name is None:
            return None
        if op == "date_part" and name.lower() == "epoch":
            return lower_epoch(low, values[1:], node)
        part = PART_NAMES.get(name.lower())
        if part not in known:
            names = [one for one, meant in PART_NAMES.items() if meant in known]
            close = closest_name(name, names)
            hint = f"did you mean `{close}`?" if close else f"the parts are {', '.join(known)}"
            low.refuse(values[0].node, "literal", f"{low.text(values[0].node)} is no part that {op} takes", hint)
            return None
        result = TIMESTAMP if op == "date_trunc" else BIGINT
        return call(op, result, [literal(node, "VARCHAR", part), *values[1:]], node)

    return lower


def lower_part(part: str) -> LowerCall:
    """A function that is `date_part` of one part."""
    return lambda low, values, node: call("date_part", BIGINT, [literal(node, "VARCHAR", part), *values], node)


def lower_format(text: str) -> LowerCall:
    """A function that is `strftime` with one format."""
    return lambda low, values, node: call("strftime", VARCHAR, [*values, literal(node, "VARCHAR", text)], node)


def lower_strftime(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`strftime`, its arguments in either order; the format is checked."""
    moment, written = values if values[0].type == TIMESTAMP else reversed(values)
    text = _text_literal(low, written, "the format of strftime", "such as '%Y-%m-%d'")
    if text is None:
        return None
    try:
        timestamps.time_format(text)
    except ValueError as error:
        low.refuse(written.node, "literal", f"strftime cannot write this: {error}", None)
        return None
    return call("strftime", VARCHAR, [moment, Value(written.expression, VARCHAR, written.node)], node)


def _text_literal(low: Lowering, value: Value, what: str, example: str) -> str | None:
    if value.is_literal and value.type == Scalar("VARCHAR"):
        return str(value.expression[2])
    low.refuse(value.node, "literal", f"{what} is a text literal", example)
    return None
