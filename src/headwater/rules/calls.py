"""Function calls: which function is meant, and whether its arguments fit."""

from __future__ import annotations

from headwater.core.types import BIGINT, DOUBLE, NULL, VARCHAR, DataType, ListOf, Scalar
from headwater.rules.conversion import castable
from headwater.rules.findings import closest_name
from headwater.rules.functions import FUNCTIONS, Function, Signature
from headwater.rules.functions.declaration import ANY_LIST, COMMON, LITERALS
from headwater.rules.lowering import Lowering, Value, call, null
from headwater.rules.refused import AGGREGATES, AGGREGATES_HINT, FUNCTIONS_INSTEAD
from headwater.rules.syntax import Node
from headwater.rules.udf_calls import lower_udf

_INSTEAD = {other: function.name for function in FUNCTIONS.values() for other in function.instead_of}


def lower_call(low: Lowering, node: Node) -> Value | None:
    """Lowers a call of a declared function."""
    name = node.value.lower()
    function = FUNCTIONS.get("date_part" if name == "extract" else name)
    takes_spans = function is not None and any("INTERVAL" in one.parameters for one in function.signatures)
    if function is None and name in low.udfs:
        return lower_udf(low, low.udfs[name], node)
    values = low.all_spans(node.args) if takes_spans else low.all(node.args)
    if function is None:
        _unknown(low, node)
        return None
    fitting = [one for one in function.signatures if _takes(one, len(node.args))]
    if not fitting:
        low.refuse(
            node,
            "arguments",
            f"{function.name} does not take {_arguments(len(node.args))}",
            f"it is {' or '.join(function.forms())}",
        )
        return None
    if values is None:
        return None
    if function.signatures[0].result == COMMON:
        return _null_function(low, function, values, node)
    for signature in fitting:
        if all(_fits(value.type, wanted) for value, wanted in zip(values, _parameters(signature, len(values)), strict=True)):
            wanted = _parameters(signature, len(values))
            if any(value.is_null and kind not in LITERALS for value, kind in zip(values, wanted, strict=True)):
                return null(node, _result(signature))
            if function.lower:
                return function.lower(low, values, node)
            given = [
                low.convert(value, DOUBLE) if kind == "DOUBLE" else value for value, kind in zip(values, wanted, strict=True)
            ]
            return call(function.name, _result(signature), given, node)
    _misfit(low, function, fitting[-1] if values[0].type == DOUBLE or isinstance(values[0].type, ListOf) else fitting[0], values)
    return None


def _takes(signature: Signature, count: int) -> bool:
    most = len(signature.parameters)
    return most - signature.optional <= count and (signature.variadic or count <= most)


def _parameters(signature: Signature, count: int) -> list[str]:
    repeated = [signature.parameters[-1]] * (count - len(signature.parameters))
    return [*signature.parameters, *repeated][:count]


def _fits(kind: DataType, wanted: str) -> bool:
    if wanted == ANY_LIST:
        return kind == NULL or isinstance(kind, ListOf)
    if wanted in LITERALS:
        wanted = "VARCHAR"
    return wanted == COMMON or kind in (NULL, Scalar(wanted)) or (kind == BIGINT and wanted == "DOUBLE")


def _result(signature: Signature) -> DataType:
    return ListOf(VARCHAR) if signature.result == "VARCHAR[]" else Scalar(signature.result)


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"


def _unknown(low: Lowering, node: Node) -> None:
    name = node.value.lower()
    place = Node("name", node.start, node.start + len(node.value), [])
    if name in AGGREGATES:
        low.refuse(place, "outside_subset", f"the aggregate or window function {name} cannot be used in rules", AGGREGATES_HINT)
        return
    close = _INSTEAD.get(name) or closest_name(name, [*FUNCTIONS, *low.udfs], at_least=0.7)
    hint = f"did you mean `{close}`?" if close else "docs/sql.md lists the functions"
    hint = FUNCTIONS_INSTEAD.get(name, hint)
    low.refuse(place, "unknown_function", f"no function `{node.value}`", hint)


def _misfit(low: Lowering, function: Function, signature: Signature, values: list[Value]) -> None:
    for position, (value, wanted) in enumerate(zip(values, _parameters(signature, len(values)), strict=True), 1):
        if _fits(value.type, wanted):
            continue
        text = low.text(value.node)[1:-1]
        fits = wanted not in (ANY_LIST, *LITERALS) and castable(value.type, Scalar(wanted))
        hint = f"write CAST({text} AS {wanted})" if fits else f"it is {' or '.join(function.forms())}"
        if wanted == "TIMESTAMP" and value.type == BIGINT:
            hint = f"milliseconds since 1970, such as event_time, become a TIMESTAMP with epoch_ms({text})"
        elif wanted == "TIMESTAMP" and value.type == VARCHAR and value.is_literal:
            hint = f"write TIMESTAMP {text}"
        if value.why:
            hint = f"{value.why}; {hint}"
        message = f"argument {position} of {function.name} is {wanted}, but {low.text(value.node)} is {value.type}"
        low.refuse(value.node, "type", message, hint)


def _null_function(low: Lowering, function: Function, values: list[Value], node: Node) -> Value | None:
    if function.name == "nullif":
        typed = low.comparable(values, node, "nullif cannot compare")
        if typed is None:
            return None
        return typed[0] if typed[0].is_null or typed[1].is_null else call("nullif", typed[0].type, typed, node)
    if function.name in ("greatest", "least"):
        compared = low.comparable(values, node, f"{function.name} cannot compare")
        if compared is None:
            return None
        values = compared
    found = low.common(values, node, f"{function.name} has one type, not")
    if found is None:
        return None
    kind, typed = found
    present = [value for value in typed if not value.is_null]
    if len(present) < 2:
        return Value(present[0].expression, kind, node) if present else null(node, kind)
    return call(function.name, kind, present, node)
