"""Calls of functions of one's own in Python."""

from __future__ import annotations

from headwater.core.types import BIGINT, DOUBLE, TIMESTAMP, VARCHAR, DataType
from headwater.core.udf import Signature
from headwater.rules.conversion import castable
from headwater.rules.lowering import Lowering, Value, call, literal, null
from headwater.rules.syntax import Node


def lower_udf(low: Lowering, function: Signature, node: Node) -> Value | None:
    """Lowers a call: `udf` of the name, of a mark for each argument (n: it takes NULL, s: it does not), and of the arguments."""
    values = low.all(node.args)
    if len(node.args) != len(function.parameters):
        given = "1 argument" if len(node.args) == 1 else f"{len(node.args)} arguments"
        hint = f"it is {function.form()}, at {function.file}:{function.line}"
        low.refuse(node, "arguments", f"{function.name} does not take {given}", hint)
        return None
    if values is None:
        return None
    low.udfs_called = True
    given_values = []
    for position, (value, parameter) in enumerate(zip(values, function.parameters, strict=True), 1):
        typed = low.timestamp(value) if parameter.type == TIMESTAMP else value
        if typed is None:
            return None
        if typed.is_null and not parameter.null:
            return null(node, function.result)
        if not _fits(typed, parameter.type):
            _misfit(low, function, position, typed, parameter.type)
            return None
        given_values.append(typed if typed.is_null else low.convert(typed, parameter.type))
    marks = "".join("n" if parameter.null else "s" for parameter in function.parameters)
    head = [literal(node, "VARCHAR", function.name), literal(node, "VARCHAR", marks)]
    return call("udf", function.result, [*head, *given_values], node)


def _fits(value: Value, wanted: DataType) -> bool:
    return value.is_null or value.type == wanted or (value.type == BIGINT and wanted == DOUBLE)


def _misfit(low: Lowering, function: Signature, position: int, value: Value, wanted: DataType) -> None:
    text = low.text(value.node)[1:-1]
    hint = f"it is {function.form()}, at {function.file}:{function.line}"
    if wanted == TIMESTAMP and value.type == BIGINT:
        hint = f"milliseconds since 1970, such as event_time, become a TIMESTAMP with epoch_ms({text})"
    elif castable(value.type, wanted) and not (value.is_literal and value.type == VARCHAR):
        hint = f"write CAST({text} AS {wanted})"
    if value.why:
        hint = f"{value.why}; {hint}"
    message = f"argument {position} of {function.name} is {wanted}, but {low.text(value.node)} is {value.type}"
    low.refuse(value.node, "type", message, hint)
