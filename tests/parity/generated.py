"""Hypothesis strategies: typed physical rules that use every operation, and events that fit them badly."""

from __future__ import annotations

from typing import Any

from case_files import physical
from hypothesis import strategies as st

SCALARS = ["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP"]
STRUCT = {"struct": [["x", "BIGINT"], ["y", "VARCHAR"], ["z", {"list": "DOUBLE"}]]}
NESTED = [
    "JSON",
    {"list": "BIGINT"},
    {"list": "VARCHAR"},
    {"list": "JSON"},
    STRUCT,
    {"list": {"struct": [["x", "TIMESTAMP"], ["k", "JSON"]]}},
]
PATHS = [["a"], ["b"], ["p"], ["p", "x"], ["p", "y"], ["p", "q", "z"], ["é"], ["ab"]]
DATASETS = ["out", "other"]

BIGINTS = [0, 1, -1, 2, 7, 10, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 3_037_000_500]
DOUBLES = [0.0, -0.0, 1.0, 0.5, 1.5, 2.5, 1e15, 1e16, 1e300, -1e300, 5e-324, 0.1, 9.3e18]
TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "abc",
    "é",
    "ß",
    "🎬",
    " a ",
    "%",
    "a%b_c",
    "12",
    " 7 ",
    "1e3",
    "2.5",
    "-2.5",
    "0x1F",
    "1_0",
    "x",
    "true",
    "no",
    "nan",
]
TEXTS += [
    "9223372036854775807",
    "9223372036854775808",
    "1e400",
    "2026-01-02",
    "2026-01-02 03:04:05.5+02",
    "2026-02-30",
    "10000-01-01",
    'q"\\\n\0',
]
TIMES = [0, -1, 1_500_000, 1_767_323_045_123_456, 253_402_300_799_999_999, -62_135_596_800_000_000]
PATTERNS = [
    ("%", ""),
    ("a%", ""),
    ("%b%", ""),
    ("_", ""),
    ("a_c", ""),
    ("%a%c", ""),
    ("$%%", "$"),
    ("", ""),
    ("é%", ""),
    ("%%_%", ""),
]
LITERALS: dict[str, list[Any]] = {
    "BIGINT": BIGINTS, "DOUBLE": DOUBLES, "BOOLEAN": [True, False], "VARCHAR": TEXTS, "TIMESTAMP": TIMES,
}  # fmt: skip
CASTS = {
    "BIGINT": ["DOUBLE", "BOOLEAN", "VARCHAR", "JSON", "BIGINT"],
    "DOUBLE": ["BIGINT", "BOOLEAN", "VARCHAR", "JSON"],
    "BOOLEAN": ["BIGINT", "DOUBLE", "VARCHAR", "JSON"],
    "VARCHAR": ["BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "JSON"],
    "TIMESTAMP": ["VARCHAR", "JSON"],
}


def call(op: str, kind: Any, *arguments: Any) -> list[Any]:
    return ["call", op, kind, list(arguments)]


@st.composite
def expressions(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """An expression of a type."""
    pick = draw(st.integers(0, 9))
    if depth == 0 or pick < 2:
        if isinstance(kind, str) and kind in LITERALS and draw(st.integers(0, 2)) == 0:
            return ["literal", kind, draw(st.sampled_from(LITERALS[kind]))]
        return ["field", draw(st.sampled_from(PATHS)), kind]
    if pick < 5 or not isinstance(kind, str) or kind not in OPERATIONS:
        return draw(any_type(kind, depth - 1))
    return draw(OPERATIONS[kind](depth - 1))


@st.composite
def any_type(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """The operations that exist for every type."""
    scalar = isinstance(kind, str) and kind in SCALARS
    op = draw(st.sampled_from(["case", "coalesce", "list_get", "struct_get", "cast", "try_cast"] + ["nullif"] * scalar))
    one = expressions(kind, depth)
    if op == "case":
        branches = [part for _ in range(draw(st.integers(1, 2))) for part in (draw(expressions("BOOLEAN", depth)), draw(one))]
        return call("case", kind, *branches, draw(one | st.just(["literal", "NULL", None])))
    if op == "coalesce":
        return call("coalesce", kind, *draw(st.lists(one, min_size=1, max_size=3)))
    if op == "nullif":
        return call("nullif", kind, draw(one), draw(one))
    if op == "list_get":
        return call("list_get", kind, draw(expressions({"list": kind}, depth)), draw(expressions("BIGINT", depth)))
    if op == "struct_get":
        name = draw(st.sampled_from(["x", "y"]))
        return call(
            "struct_get", kind, draw(expressions({"struct": [[name, kind], ["k", "JSON"]]}, depth)), ["literal", "VARCHAR", name]
        )
    if kind == "JSON":
        return draw(one)
    return call(op, kind, draw(expressions(draw(st.sampled_from(CASTS[kind])) if scalar else "JSON", depth)))


@st.composite
def booleans(draw: st.DrawFn, depth: int) -> Any:
    ops = ["and", "or", "not", "compare", "compare", "distinct", "is_null", "in", "like", "part", "cast"]
    op = draw(st.sampled_from(ops))
    kind = draw(st.sampled_from(SCALARS))
    one, text, boolean = expressions(kind, depth), expressions("VARCHAR", depth), expressions("BOOLEAN", depth)
    match op:
        case "and" | "or":
            return call(op, "BOOLEAN", *draw(st.lists(boolean, min_size=2, max_size=3)))
        case "not":
            return call("not", "BOOLEAN", draw(boolean))
        case "compare":
            return call(draw(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])), "BOOLEAN", draw(one), draw(one))
        case "distinct":
            return call(draw(st.sampled_from(["distinct", "not_distinct"])), "BOOLEAN", draw(one), draw(one))
        case "is_null":
            inner = draw(expressions(draw(st.sampled_from([*SCALARS, *NESTED])), depth))
            return call(draw(st.sampled_from(["is_null", "is_not_null"])), "BOOLEAN", inner)
        case "in":
            values = draw(st.lists(st.sampled_from(LITERALS[kind]), min_size=1, max_size=3))
            return call("in", "BOOLEAN", draw(one), *(["literal", kind, value] for value in values))
        case "like":
            return call(
                "like", "BOOLEAN", draw(text), *(["literal", "VARCHAR", part] for part in draw(st.sampled_from(PATTERNS)))
            )
        case "part":
            return call(draw(st.sampled_from(["starts_with", "contains"])), "BOOLEAN", draw(text), draw(text))
    return call("cast", "BOOLEAN", draw(expressions(draw(st.sampled_from(CASTS["BOOLEAN"])), depth)))


@st.composite
def bigints(draw: st.DrawFn, depth: int) -> Any:
    op = draw(st.sampled_from(["add", "sub", "mul", "int_div", "mod", "neg", "length", "cast"]))
    one = expressions("BIGINT", depth)
    if op == "neg":
        return call("neg", "BIGINT", draw(one))
    if op == "length":
        return call("length", "BIGINT", draw(expressions(draw(st.sampled_from(["VARCHAR", {"list": "JSON"}])), depth)))
    if op == "cast":
        return call("cast", "BIGINT", draw(expressions(draw(st.sampled_from(CASTS["BIGINT"])), depth)))
    return call(op, "BIGINT", draw(one), draw(one))


@st.composite
def doubles(draw: st.DrawFn, depth: int) -> Any:
    op = draw(st.sampled_from(["add", "sub", "mul", "div", "mod", "neg", "cast"]))
    one = expressions("DOUBLE", depth)
    if op == "neg":
        return call("neg", "DOUBLE", draw(one))
    if op == "cast":
        return call("cast", "DOUBLE", draw(expressions(draw(st.sampled_from(CASTS["DOUBLE"])), depth)))
    return call(op, "DOUBLE", draw(one), draw(one))


@st.composite
def varchars(draw: st.DrawFn, depth: int) -> Any:
    op = draw(st.sampled_from(["concat", "lower", "upper", "trim", "ltrim", "rtrim", "substring", "replace", "cast"]))
    one, number = expressions("VARCHAR", depth), expressions("BIGINT", depth)
    match op:
        case "concat":
            return call("concat", "VARCHAR", *draw(st.lists(one, min_size=2, max_size=3)))
        case "substring":
            return call("substring", "VARCHAR", draw(one), *draw(st.lists(number, min_size=1, max_size=2)))
        case "replace":
            return call("replace", "VARCHAR", draw(one), draw(one), draw(one))
        case "trim" | "ltrim" | "rtrim":
            return call(op, "VARCHAR", *draw(st.lists(one, min_size=1, max_size=2)))
        case "cast":
            return call("cast", "VARCHAR", draw(expressions(draw(st.sampled_from(CASTS["VARCHAR"])), depth)))
    return call(op, "VARCHAR", draw(one))


def timestamps(depth: int) -> Any:
    return (
        st.sampled_from(CASTS["TIMESTAMP"])
        .flatmap(lambda kind: expressions(kind, depth))
        .map(lambda inner: call("cast", "TIMESTAMP", inner))
    )


OPERATIONS = {"BOOLEAN": booleans, "BIGINT": bigints, "DOUBLE": doubles, "VARCHAR": varchars, "TIMESTAMP": timestamps}


@st.composite
def rules(draw: st.DrawFn, number: int) -> bytes:
    """A physical rule, stored."""
    where = draw(st.none() | expressions("BOOLEAN", 3))
    kinds = st.sampled_from([*SCALARS, *SCALARS, *NESTED])
    columns = [[f"c{index}", draw(expressions(kind, 3))] for index, kind in enumerate(draw(st.lists(kinds, max_size=4)))]
    if draw(st.integers(0, 3)) > 0:
        return physical(f"r{number}", draw(st.sampled_from(DATASETS)), where, columns)
    names = draw(st.lists(st.sampled_from(["a", "b", "p", "é", "new"]), max_size=4, unique=True))
    replaced = [[name, expression] for name, (_, expression) in zip(names, columns, strict=False)]
    exclude = [name for name in names if name not in dict(replaced)]
    return physical(f"r{number}", "whole", where, {"star": True, "exclude": exclude, "replace": replaced})


programs = st.integers(1, 4).flatmap(lambda count: st.tuples(*(rules(number) for number in range(count)))).map(list)

KEYS = [
    '"a"',
    '"b"',
    '"p"',
    '"p"',
    '"x"',
    '"y"',
    '"q"',
    '"z"',
    '"k"',
    '"é"',
    '"ab"',
    '"\\u0061"',
    '"\\u00e9"',
    '"A"',
    '""',
    '"\\ud800"',
    '"new"',
]
SPACES = ["", "", "", "", " ", "\t", " \r "]
LEXEMES = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "7",
    "-12",
    "1.0",
    "1.50",
    "1e3",
    "1E-7",
    "-0.0",
    "1e400",
    "9223372036854775807",
]
LEXEMES += [
    "9223372036854775808",
    "-9223372036854775808",
    "15e-1",
    "12345678901234567890.5",
    "1767323045123",
    '"007"',
    '"+1"',
    '"TRUE"',
    '"1.5"',
]
LEXEMES += [
    '"\\ud800"',
    '"\\ud83c\\udfac"',
    '"\\u0000"',
    '"2026-01-02T03:04:05.1234567+02:00"',
    '"2026-01-02"',
    '"a\\u0062c"',
    '"\\n\\"\\\\\\/"',
    "[]",
    "{}",
]
LEXEMES += [
    '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\\u0000") + '"' for text in TEXTS
]


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=6))
    space = st.sampled_from(SPACES)
    return (
        "{" + ",".join(draw(space) + key + draw(space) + ":" + draw(space) + value + draw(space) for key, value in members) + "}"
    )


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=4).map(lambda items: "[" + ", ".join(items) + "]")


json_values = st.recursive(st.sampled_from(LEXEMES), lambda values: objects(values) | lists(values), max_leaves=12)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """An event's line; one in a few with a byte changed, lost or added."""
    line = draw(objects(json_values) if draw(st.integers(0, 9)) else json_values).encode()
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(line)))
        lost = draw(st.integers(0, 2))
        line = (
            line[:at]
            + draw(st.sampled_from([b"", b"", b"0", b'"', b"\\", b"{", b"]", b",", b"\x00", b"\xff", b"\xed\xa0\x80", b"e"]))
            + line[at + lost :]
        )
    return line


batches = st.lists(lines(), min_size=1, max_size=8)
