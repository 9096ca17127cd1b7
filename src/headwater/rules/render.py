"""DuckDB text of a physical rule, for running it over history and as the outside witness of the kernel.

The table must be typed as the reading table of docs/formats/physical-rule.md says: a column for each top-level field, objects as
STRUCT, lists as LIST, JSON as DuckDB's JSON, TIMESTAMP as TIMESTAMP. Rules with `*` need a column ``line_number``. The texts are
self-contained: no macro or function has to be registered. That page lists where DuckDB differs from it; beside that, inside a
JSON field: a key that begins with `$` or `/`, a number with an exponent and more than 18 decimal places, and the text of a number
(DuckDB writes 1.50 as 1.5).
"""

from __future__ import annotations

from typing import Any

from headwater.rules.physical import Expression, PhysicalRule, Star
from headwater.rules.render_json import in_range, read_json

_INFIX = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "concat": "||", "and": "AND", "or": "OR"}
_INFIX |= {"distinct": "IS DISTINCT FROM", "not_distinct": "IS NOT DISTINCT FROM"}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "int_div": "//", "mod": "%"}
_TRUNCATED_TO_YEAR_0 = frozenset(("decade", "century", "millennium"))
_NEVER_NULL = frozenset(("is_null", "is_not_null", "distinct", "not_distinct"))


def duckdb_statement(rule: PhysicalRule, table: str) -> str:
    """A SELECT that gives the rule's rows; those whose SELECT fails are left out.

    A `*` rule gives ``line_number`` and the replaced fields. ``table`` is put in as it is.
    """
    columns = rule.select.replace if isinstance(rule.select, Star) else rule.select
    parts = [f"{render(expression)} AS {quoted(name)}" for name, expression in columns]
    if isinstance(rule.select, Star):
        parts.insert(0, "line_number")
    conditions = [render(rule.where)] if rule.where is not None else []
    if failure := _any(_failed(expression) for _name, expression in columns):
        conditions.append(f"NOT {failure}")
    where = "\nWHERE " + "\n  AND ".join(conditions) if conditions else ""
    return "SELECT " + ",\n  ".join(parts) + f"\nFROM {table}{where}"


def duckdb_failed_predicate(rule: PhysicalRule) -> str:
    """A condition that is TRUE on the rows that the rule matches and whose SELECT fails, else FALSE: what `failed` counts."""
    columns = rule.select.replace if isinstance(rule.select, Star) else rule.select
    failure = _any(_failed(expression) for _name, expression in columns)
    if failure is None or rule.where is None:
        return failure or "FALSE"
    return f"(coalesce({render(rule.where)}, FALSE) AND {failure})"


def duckdb_where_error_predicate(rule: PhysicalRule) -> str:
    """A condition that is TRUE on the rows whose WHERE is NULL because something failed, else FALSE: `where_errors`."""
    return (rule.where is not None and _failed_null(rule.where)) or "FALSE"


def quoted(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A text literal; a NUL character, which SQL text cannot hold, is put together."""
    if "\0" in text:
        return "(" + " || chr(0) || ".join(text_literal(part) for part in text.split("\0")) + ")"
    return "'" + text.replace("'", "''") + "'"


def render(expression: Expression) -> str:
    """The value of an expression; an operation that fails is NULL."""
    match expression:
        case ["field", [first, *rest], kind]:
            return _json_null(
                quoted(first) if not rest else f"({quoted(first)})" + "".join(f".{quoted(name)}" for name in rest), kind
            )
        case ["literal", kind, value]:
            return _literal(kind, value)
    _call, op, kind, args = expression
    return _operation(op, kind, args)


def _json_null(text: str, kind: Any) -> str:
    """Inside a JSON value DuckDB keeps null as a JSON null; to rules it is NULL."""
    return f"CASE WHEN json_type({text}) <> 'NULL' THEN {text} END" if kind == "JSON" else text


def _literal(kind: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if kind == "BIGINT":
        return f"CAST({value} AS BIGINT)"
    if kind == "DOUBLE":
        text = repr(float(value))
        return f"CAST({text if 'e' in text else text + 'e0'} AS DOUBLE)"
    if kind == "BOOLEAN":
        return "TRUE" if value else "FALSE"
    if kind == "TIMESTAMP":
        return f"make_timestamp(CAST({value} AS BIGINT))"
    return text_literal(value)


def _operation(op: str, kind: Any, args: list[Expression]) -> str:
    values = [render(arg) for arg in args]
    if op in _INFIX:
        return "(" + f" {_INFIX[op]} ".join(values) + ")"
    if op in _ARITHMETIC:
        text = f"({values[0]} {_ARITHMETIC[op]} {values[1]})"
        return f"TRY{text}" if kind == "BIGINT" else text
    match op:
        case "udf":
            return f"{quoted(args[0][2])}({', '.join(values[2:])})"
        case "not":
            return f"(NOT {values[0]})"
        case "neg":
            return f"TRY(-({values[0]}))" if kind == "BIGINT" else f"(-({values[0]}))"
        case "is_null" | "is_not_null":
            return f"({values[0]} IS {'NOT ' if op == 'is_not_null' else ''}NULL)"
        case "in":
            return f"({values[0]} IN ({', '.join(values[1:])}))"
        case "like":
            return f"({values[0]} LIKE {values[1]} ESCAPE {values[2]})"
        case "case":
            return _case(values)
        case "cast" | "try_cast":
            if _type(args[0]) == "JSON":
                return read_json(values[0], kind)
            text = f"TRY_CAST({values[0]} AS {kind})"
            return in_range(text) if kind == "TIMESTAMP" else text
        case "struct_get":
            return _json_null(f"({values[0]}).{quoted(args[1][2])}", kind)
        case "list_get":
            return _json_null(f"list_extract({values[0]}, {values[1]})", kind)
        case "regexp_extract":
            return f"regexp_extract({values[0]}, {values[1]}, {args[2][2]}, {values[3]})"
        case "abs" if kind == "BIGINT":
            return f"TRY(abs({values[0]}))"
        case "round":
            digits = f", TRY_CAST({values[1]} AS INTEGER)" if len(values) > 1 else ""
            return f"TRY(round({values[0]}{digits}))"
        case "md5_number_lower" if kind == "DOUBLE":
            return f"CAST(md5_number_lower({values[0]}) AS DOUBLE)"
        case "md5_number_lower":
            divided = f"CAST(md5_number_lower({values[0]}) AS HUGEINT) % CAST({values[1]} AS HUGEINT)"
            return f"CAST(TRY({divided}) AS BIGINT)"
        case "substring":
            return f"TRY(substring({', '.join(values)}))"
        case "epoch_ms" if kind == "TIMESTAMP":
            return f"CASE WHEN {values[0]} BETWEEN -62135596800000 AND 253402300799999 THEN epoch_ms({values[0]}) END"
        case "make_timestamp" if len(values) == 1:
            bounds = "-62135596800000000 AND 253402300799999999"
            return f"CASE WHEN {values[0]} BETWEEN {bounds} THEN make_timestamp({values[0]}) END"
        case "make_timestamp":
            return in_range(f"TRY(make_timestamp({', '.join(values)}))")
        case "date_trunc":
            text = f"date_trunc({', '.join(values)})"
            return in_range(text) if args[0][2] in _TRUNCATED_TO_YEAR_0 else text
        case "add_interval":
            return in_range(f"({values[0]} + {_interval(args[1], args[2])})")
        case "time_bucket":
            return in_range(f"time_bucket({_interval(args[0], args[1])}, {values[2]})")
    return f"{op}({', '.join(values)})"


def _interval(months: Expression, micros: Expression) -> str:
    return f"(to_months({months[2]}) + to_microseconds({micros[2]}))"


def _case(values: list[str]) -> str:
    branches = "".join(f" WHEN {values[at]} THEN {values[at + 1]}" for at in range(0, len(values) - 1, 2))
    return f"CASE{branches} ELSE {values[-1]} END"


def _type(expression: Expression) -> Any:
    return expression[1] if expression[0] == "literal" else expression[2]


def _any(conditions: Any) -> str | None:
    """Conditions, None for FALSE, joined with OR."""
    present = [condition for condition in conditions if condition]
    if len(present) < 2:
        return present[0] if present else None
    return "(" + " OR ".join(present) + ")"


def _can_fail(op: str, kind: Any, args: list[Expression]) -> bool:
    if op == "cast":
        source = _type(args[0])
        return source == "JSON" or (kind != "VARCHAR" and (source, kind) not in _SAFE_CASTS)
    if op == "date_trunc":
        return str(args[0][2]) in _TRUNCATED_TO_YEAR_0
    if op in ("epoch_ms", "make_timestamp", "add_interval", "time_bucket"):
        return bool(kind == "TIMESTAMP")
    if op in ("round", "md5_number_lower"):
        return len(args) > 1
    return op in ("int_div", "substring") or (kind == "BIGINT" and op in ("add", "sub", "mul", "mod", "neg", "abs"))


_SAFE_CASTS = frozenset(
    [("BIGINT", "DOUBLE"), ("BIGINT", "BOOLEAN"), ("DOUBLE", "BOOLEAN"), ("BOOLEAN", "BIGINT"), ("BOOLEAN", "DOUBLE")]
)


def _fails_itself(expression: Expression) -> str | None:
    """TRUE where this operation fails over arguments that are there: its value is NULL though none of them is."""
    _call, op, kind, args = expression
    if not _can_fail(op, kind, args):
        return None
    there = [f"{render(arg)} IS NOT NULL" for arg in args if arg[0] != "literal"]
    return "(" + " AND ".join([*there, f"{render(expression)} IS NULL"]) + ")"


def _failed(expression: Expression) -> str | None:
    """TRUE where any operation that is evaluated for this expression fails, else FALSE; None where that never happens."""
    if expression[0] != "call":
        return None
    _call, op, _kind, args = expression
    inner = [_failed(arg) for arg in args]
    if op in ("and", "or", "coalesce", "case"):
        return _lazily_failed(op, args, inner) if any(inner) else None
    return _any([*inner, _fails_itself(expression)])


def _lazily_failed(op: str, args: list[Expression], inner: list[str | None]) -> str:
    """Goes through the arguments as the operation does: a failure counts where the argument is reached."""
    branches = []
    for at, (arg, failure) in enumerate(zip(args, inner, strict=True)):
        last = at == len(args) - 1
        if op == "case" and at % 2 and not last:
            continue
        if failure:
            branches.append(f"WHEN {failure} THEN TRUE")
        if last:
            break
        if op == "case":
            branches.append(f"WHEN {render(arg)} THEN {inner[at + 1] or 'FALSE'}")
        elif op == "coalesce":
            branches.append(f"WHEN {render(arg)} IS NOT NULL THEN FALSE")
        else:
            branches.append(f"WHEN {render(arg)} = {'FALSE' if op == 'and' else 'TRUE'} THEN FALSE")
    return f"CASE {' '.join(branches)} ELSE FALSE END"


def _failed_null(expression: Expression) -> str | None:
    """TRUE where the value is NULL because an operation failed, else FALSE; None where that never happens."""
    if expression[0] != "call":
        return None
    _call, op, _kind, args = expression
    if op in _NEVER_NULL:
        return None
    inner = [_failed_null(arg) for arg in args]
    if op == "nullif":
        return inner[0]
    if op == "case":
        if not any(inner[1::2]) and not inner[-1]:
            return None
        taken = [text for at, arg in enumerate(args[:-1:2]) for text in (render(arg), inner[2 * at + 1] or "FALSE")]
        return _case([*taken, inner[-1] or "FALSE"])
    if op in ("and", "or", "coalesce", "greatest", "least"):
        failure = _any(inner)
        return f"({render(expression)} IS NULL AND {failure})" if failure else None
    return _any([*inner, _fails_itself(expression)])
