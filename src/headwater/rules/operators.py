"""What each kind of node lowers to."""

from __future__ import annotations

from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, NULL, TIMESTAMP, VARCHAR, DataType, ListOf
from headwater.rules import calls, times
from headwater.rules.conversion import castable, castable_targets
from headwater.rules.lowering import INTERVAL, UBIGINT, Lower, Lowering, Value, call, literal, null
from headwater.rules.syntax import Node

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "int_div": "//", "mod": "%"}


def _name(low: Lowering, node: Node) -> Value | None:
    return low.field(node, [(node.value, node)])


def _get(low: Lowering, node: Node) -> Value | None:
    names: list[tuple[str, Node]] = []
    at = node
    while at.kind == "get":
        names.append((at.value, at))
        at = at.args[0]
    names.reverse()
    if at.kind == "name":
        return low.field(at, [(at.value, at), *names])
    value = low.lower(at)
    for name, step in names:
        if value is None:
            return None
        value = low.inner(value, name, step)
    return value


def _item(low: Lowering, node: Node) -> Value | None:
    values = low.all(node.args)
    if values is None:
        return None
    base, index = values
    if not isinstance(base.type, ListOf):
        text = low.text(base.node)[1:-1]
        hint = (
            f"write CAST({text} AS JSON[]) first"
            if base.type == JSON
            else "a field of a STRUCT is taken by its name: a.b or a['b']"
        )
        low.refuse(node, "type", f"{low.text(base.node)} is {base.type}, not a list", hint)
        return None
    if index.type not in (BIGINT, NULL):
        low.refuse(index.node, "type", f"the position in a list is BIGINT, not {index.type}", "1 is the first item, -1 the last")
        return None
    if base.is_null or index.is_null:
        return null(node, base.type.item)
    return call("list_get", base.type.item, [base, index], node)


def _literal(low: Lowering, node: Node) -> Value | None:
    kind, value = node.value
    return literal(node, kind, value)


def _and_or(low: Lowering, node: Node) -> Value | None:
    parts = [low.condition(arg, f"an operand of {node.kind.upper()}") for arg in node.args]
    values = [part for part in parts if part is not None]
    return call(node.kind, BOOLEAN, values, node) if len(values) == len(parts) else None


def _not(low: Lowering, node: Node) -> Value | None:
    value = low.condition(node.args[0], "the operand of NOT")
    return negated(value, node) if value else None


def negated(value: Value, node: Node) -> Value:
    """NOT, folded for a NULL literal."""
    return null(node, BOOLEAN) if value.is_null else call("not", BOOLEAN, [value], node)


def _negative(low: Lowering, node: Node) -> Value | None:
    value = low.span(node.args[0])
    if value is not None and value.type == INTERVAL:
        return times.negative(low, value, node)
    if value is None:
        return None
    if value.type not in (BIGINT, DOUBLE, NULL):
        hint = _to_number(low, value, (BIGINT, DOUBLE))
        low.refuse(value.node, "type", f"`-` takes BIGINT or DOUBLE, but {low.text(value.node)} is {value.type}", hint)
        return None
    return null(node, value.type) if value.is_null else call("neg", value.type, [value], node)


def _to_number(low: Lowering, value: Value, wanted: tuple[DataType, ...]) -> str | None:
    text = low.text(value.node)[1:-1]
    why = f"{value.why}; " if value.why else ""
    casts = " or ".join(f"CAST({text} AS {kind})" for kind in wanted)
    return f"{why}write {casts}" if castable(value.type, BIGINT) else None


def _compare(low: Lowering, node: Node) -> Value | None:
    values = low.all_spans(node.args)
    return compare(low, node.value, values, node) if values else None


def compare(low: Lowering, op: str, values: list[Value], node: Node) -> Value | None:
    """A comparison of two values, their types made equal; with a NULL literal it folds."""
    typed = low.comparable(values, node)
    if typed is None:
        return None
    left, right = typed
    if op in ("distinct", "not_distinct"):
        if left.is_null or right.is_null:
            return call("is_not_null" if op == "distinct" else "is_null", BOOLEAN, [right if left.is_null else left], node)
    elif left.is_null or right.is_null:
        return null(node, BOOLEAN)
    return call(op, BOOLEAN, [left, right], node)


def _is_null(low: Lowering, node: Node) -> Value | None:
    value = low.lower(node.args[0])
    if value is None:
        return None
    if value.is_literal:
        return literal(node, "BOOLEAN", value.is_null is not node.value)
    return call("is_not_null" if node.value else "is_null", BOOLEAN, [value], node)


def _in(low: Lowering, node: Node) -> Value | None:
    values = low.all_spans(node.args)
    typed = low.comparable(values, node) if values else None
    if typed is None:
        return None
    value, items = typed[0], typed[1:]
    if value.is_null:
        return null(node, BOOLEAN)
    if len(items) > 1 and all(item.is_literal and not item.is_null for item in items):
        found = call("in", BOOLEAN, typed, node)
    else:
        parts = [null(node, BOOLEAN) if item.is_null else call("eq", BOOLEAN, [value, item], node) for item in items]
        found = parts[0] if len(parts) == 1 else call("or", BOOLEAN, parts, node)
    return negated(found, node) if node.value else found


def _between(low: Lowering, node: Node) -> Value | None:
    values = low.all_spans(node.args)
    typed = low.comparable(values, node) if values else None
    if typed is None:
        return None
    value, least, most = typed
    bounds = [compare(low, "ge", [value, least], node), compare(low, "le", [value, most], node)]
    found = call("and", BOOLEAN, [bound for bound in bounds if bound], node)
    return negated(found, node) if node.value else found


def _like(low: Lowering, node: Node) -> Value | None:
    values = low.all(node.args)
    if values is None:
        return None
    for value, what in zip(values, ("LIKE compares", "the pattern of LIKE is", "the escape of LIKE is"), strict=False):
        if value.type not in (VARCHAR, NULL):
            text = low.text(value.node)[1:-1]
            hint = f"write CAST({text} AS VARCHAR)" if castable(value.type, VARCHAR) else None
            low.refuse(value.node, "type", f"{what} VARCHAR, but {low.text(value.node)} is {value.type}", hint)
            return None
    for value in values[1:]:
        if not value.is_literal:
            low.refuse(
                value.node,
                "literal",
                "the pattern and escape of LIKE are text literals",
                "use contains(a, b) or starts_with(a, b)",
            )
            return None
    if any(value.is_null for value in values):
        return null(node, BOOLEAN)
    escape = values[2].expression[2] if len(values) > 2 else ""
    pattern = values[1].expression[2]
    if len(escape.encode()) > 1:
        low.refuse(values[2].node, "literal", "the escape of LIKE is one ASCII character", "such as ESCAPE '!'")
        return None
    if escape and (len(pattern) - len(pattern.rstrip(escape))) % 2:
        low.refuse(
            values[1].node,
            "literal",
            "the pattern ends with the escape character",
            f"write {escape}{escape} for the character itself",
        )
        return None
    found = call("like", BOOLEAN, [values[0], values[1], literal(node, "VARCHAR", escape)], node)
    return negated(found, node) if node.value else found


def _arithmetic(low: Lowering, node: Node) -> Value | None:
    values = low.all_spans(node.args)
    if values is None:
        return None
    if any(value.type in (TIMESTAMP, INTERVAL) for value in values):
        return times.arithmetic(low, values, node)
    op, symbol = node.value, _SYMBOLS[node.value]
    if any(value.type == UBIGINT for value in values):
        return _unsigned(low, op, values, node)
    wanted: tuple[DataType, ...] = (BIGINT,) if op == "int_div" else (BIGINT, DOUBLE)
    for value in values:
        if value.type not in (*wanted, NULL):
            names = " or ".join(map(str, wanted))
            joins = op == "add" and all(one.type == VARCHAR for one in values)
            hint = "write a || b to join texts" if joins else _to_number(low, value, wanted)
            low.refuse(value.node, "type", f"`{symbol}` takes {names}, but {low.text(value.node)} is {value.type}", hint)
            return None
    kind: DataType = DOUBLE if op == "div" or any(value.type == DOUBLE for value in values) else BIGINT
    if any(value.is_null for value in values):
        return null(node, kind)
    return call(op, kind, [low.convert(value, kind) for value in values], node)


def _unsigned(low: Lowering, op: str, values: list[Value], node: Node) -> Value | None:
    """`md5_number_lower(x) % n` and `/ n`: all that can be calculated with a UBIGINT."""
    number, other = values
    takes = {"mod": (BIGINT, NULL), "div": (BIGINT, DOUBLE, NULL)}.get(op, ())
    if number.type != UBIGINT or other.type not in takes:
        text = low.text(values[0].node if number.type == UBIGINT else other.node)[1:-1]
        hint = f"write {text} % 100, {text} / 18446744073709551616.0 or CAST({text} AS DOUBLE)"
        low.refuse(node, "type", f"a UBIGINT takes `%` with a BIGINT and `/` with a number behind it: {low.text(node)}", hint)
        return None
    if other.is_null:
        return null(node, BIGINT if op == "mod" else DOUBLE)
    if op == "mod":
        given = number.expression[3][0]
        return Value(["call", "md5_number_lower", "BIGINT", [given, other.expression]], BIGINT, node)
    real = Value(number.expression, DOUBLE, number.node)
    return call("div", DOUBLE, [real, low.convert(other, DOUBLE)], node)


def _concat(low: Lowering, node: Node) -> Value | None:
    values = low.all(node.args)
    if values is None:
        return None
    for value in values:
        if value.type not in (VARCHAR, BIGINT, DOUBLE, BOOLEAN, NULL):
            text = low.text(value.node)[1:-1]
            hint = f"write CAST({text} AS VARCHAR)" if castable(value.type, VARCHAR) else None
            low.refuse(
                value.node,
                "type",
                f"`||` takes VARCHAR, BIGINT, DOUBLE or BOOLEAN, but {low.text(value.node)} is {value.type}",
                hint,
            )
            return None
    if any(value.is_null for value in values):
        return null(node, VARCHAR)
    return call("concat", VARCHAR, [low.convert(value, VARCHAR) for value in values], node)


def _case(low: Lowering, node: Node) -> Value | None:
    has_subject, has_else = node.value
    args = node.args[1:] if has_subject else node.args
    subject = low.lower(node.args[0]) if has_subject else None
    conditions: list[Value | None] = []
    for when in args[: len(args) - has_else : 2]:
        if not has_subject:
            conditions.append(low.condition(when, "the condition of WHEN"))
            continue
        value = low.lower(when)
        conditions.append(compare(low, "eq", [subject, value], when) if subject and value else None)
    results: list[Value | None] = [low.lower(then) for then in args[1 : len(args) - has_else : 2]]
    results.append(low.lower(args[-1]) if has_else else null(node, NULL))
    good = [value for value in results if value is not None]
    if len(good) < len(results) or (has_subject and subject is None):
        return None
    found = low.common(good, node, "CASE has one type, not")
    if found is None or any(condition is None for condition in conditions):
        return None
    kind, typed = found
    if kind == NULL:
        return null(node, NULL)
    branches: list[Value] = []
    for condition, value in zip(conditions, typed, strict=False):
        if condition is not None and not condition.is_null:
            branches += [condition, value]
    return call("case", kind, [*branches, typed[-1]], node) if branches else Value(typed[-1].expression, kind, node)


def _cast(low: Lowering, node: Node) -> Value | None:
    target, lenient = node.value
    value = low.span(node.args[0])
    if value is None:
        return None
    if value.type == UBIGINT and target == DOUBLE:
        return Value(value.expression, DOUBLE, node)
    if not castable(value.type, target):
        hint = castable_targets(value.type)
        if value.type == BIGINT and str(target) == "TIMESTAMP":
            hint = f"milliseconds since 1970, such as event_time, become a TIMESTAMP with epoch_ms({low.text(value.node)[1:-1]})"
        if value.type == UBIGINT:
            hint = "UBIGINT can be cast to DOUBLE; `% 100` makes a BIGINT below 100 of it"
        low.refuse(node, "type", f"{value.type} cannot be cast to {target}", hint)
        return None
    if value.type == target:
        return Value(value.expression, target, node)
    if value.is_null:
        return null(node, target)
    return call("try_cast" if lenient else "cast", target, [value], node)


def _slice(low: Lowering, node: Node) -> Value | None:
    values = low.all(node.args)
    if values is None:
        return None
    base, bounds = values[0], iter(values[1:])
    if not isinstance(base.type, ListOf):
        text = low.text(base.node)[1:-1]
        hint = f"write substring({text}, start, length)" if base.type == VARCHAR else f"write CAST({text} AS JSON[]) first"
        if base.type not in (VARCHAR, JSON):
            hint = "a slice is taken of a list"
        low.refuse(node, "type", f"{low.text(base.node)} is {base.type}, not a list", hint)
        return None
    positions = [
        next(bounds) if given else literal(node, "BIGINT", open_end)
        for given, open_end in zip(node.value, (1, 2**63 - 1), strict=True)
    ]
    for position in positions:
        if position.type not in (BIGINT, NULL):
            hint = "1 is the first item, -1 the last"
            low.refuse(position.node, "type", f"the position in a list is BIGINT, not {position.type}", hint)
            return None
    if any(value.is_null for value in (base, *positions)):
        return null(node, base.type)
    return call("list_slice", base.type, [base, *positions], node)


LOWER: dict[str, Lower] = {
    "name": _name,
    "get": _get,
    "item": _item,
    "slice": _slice,
    "literal": _literal,
    "interval": times.interval,
    "and": _and_or,
    "or": _and_or,
    "not": _not,
    "negative": _negative,
    "compare": _compare,
    "is_null": _is_null,
    "in": _in,
    "between": _between,
    "like": _like,
    "arithmetic": _arithmetic,
    "concat": _concat,
    "case": _case,
    "cast": _cast,
    "call": calls.lower_call,
}
