"""Hypothesis strategies: typed physical rules that use every operation, and events that fit them badly."""

from __future__ import annotations

from typing import Any

from case_files import physical
from hypothesis import strategies as st

from headwater.kernel.functions import timestamps

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
# 2024-02-29 23:59:59.9995, 2026-01-31, 1899-12-31 23:59:59.999999, 0005-03-31, 9999-11-30 12:00, 2000-01-03
TIMES += [1_709_251_199_999_500, 1_769_817_600_000_000, -2_208_988_800_000_001, -62_001_676_800_000_000,
    253_399_579_200_000_000, 946_857_600_000_000]  # fmt: skip
MILLISECONDS = [
    1_767_323_045_123,
    -62_135_596_800_000,
    -62_135_596_800_001,
    253_402_300_799_999,
    253_402_300_800_000,
    -1,
    9_223_372_036_854_775,
]
MICROSECONDS = [1_767_323_045_123_456, -62_135_596_800_000_001, 253_402_300_799_999_999, 253_402_300_800_000_000]
# (months, µs) that are added, and that buckets are wide.
INTERVALS = [
    (0, 300_000_000),
    (0, -1),
    (1, 0),
    (-1, 0),
    (12, 0),
    (-24_000, 86_400_000_000),
    (7, -2_678_400_000_000),
    (119_988, 0),
]
WIDTHS = [(0, 1), (0, 300_000_000), (0, 604_800_000_000), (0, 86_399_999_999), (1, 0), (5, 0), (1200, 0)]
FORMATS = [
    "%Y-%m-%d",
    "%c.%f",
    "%a %A %b %B %p",
    "%-d.%-m.%-y %-I:%-M:%-S %-H %-j",
    "%G-W%V-%u %g",
    "%U|%W|%w %j %I %x %X %T %z%Z%%",
    "é",
]
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
REGEXPS = ["", "a", "[a-c]+", "^.$", "(a)(b)?", "(?i)É", r"\d+", r"(\w)|(.)", r"\s", r"\b", "x*", "(.*?)b", "[^a]", "🎬|é"]
REPLACEMENTS = ["", "-", r"<\0>", "é\\\\", "\n"]
SEPARATORS = ["", "a", "b", ".", " ", "aa", "é", "🎬", '"']
LITERALS: dict[str, list[Any]] = {
    "BIGINT": [*BIGINTS, *MILLISECONDS, *MICROSECONDS],
    "DOUBLE": DOUBLES, "BOOLEAN": [True, False], "VARCHAR": TEXTS, "TIMESTAMP": TIMES,
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


def text(value: str) -> list[Any]:
    return ["literal", "VARCHAR", value]


@st.composite
def lists_of(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """A list made by a function, or one of the event."""
    made = expressions({"list": kind}, depth)
    if kind == "VARCHAR" and draw(st.booleans()):
        made = st.just(
            call("string_split", {"list": kind}, draw(expressions(kind, depth)), text(draw(st.sampled_from(SEPARATORS))))
        )
    if draw(st.booleans()):
        bounds = [draw(small | expressions("BIGINT", depth)) for _ in range(2)]
        return call("list_slice", {"list": kind}, draw(made), *bounds)
    return draw(made)


@st.composite
def regexps(draw: st.DrawFn, op: str, depth: int) -> Any:
    """A call with a regular expression."""
    options = draw(st.sampled_from(["", "", "i", "s", "l", "ils"]))
    arguments = [draw(expressions("VARCHAR", depth)), text(draw(st.sampled_from(REGEXPS)))]
    if op == "regexp_extract":
        arguments.append(["literal", "BIGINT", draw(st.integers(0, 3))])
    elif op == "regexp_replace":
        arguments.append(text(draw(st.sampled_from(REPLACEMENTS))))
        options = draw(st.sampled_from(["", "g"])) + options
    return call(op, "VARCHAR" if len(arguments) == 3 else "BOOLEAN", *arguments, text(options))


small = st.integers(-5, 5).map(lambda number: ["literal", "BIGINT", number])


@st.composite
def expressions(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """An expression of a type."""
    pick = draw(st.integers(0, 9))
    if depth == 0 or pick < 2:
        if isinstance(kind, str) and kind in LITERALS and draw(st.integers(0, 2)) == 0:
            return ["literal", kind, draw(st.sampled_from(LITERALS[kind]))]
        return ["field", draw(st.sampled_from(PATHS)), kind]
    if isinstance(kind, dict) and "list" in kind and pick < 6:
        return draw(lists_of(kind["list"], depth - 1))
    if pick < 5 or not isinstance(kind, str) or kind not in OPERATIONS:
        return draw(any_type(kind, depth - 1))
    return draw(OPERATIONS[kind](depth - 1))


@st.composite
def any_type(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """The operations that exist for every type."""
    scalar = isinstance(kind, str) and kind in SCALARS
    op = draw(
        st.sampled_from(
            ["case", "coalesce", "list_get", "struct_get", "cast", "try_cast"] + ["nullif", "greatest", "least"] * scalar
        )
    )
    one = expressions(kind, depth)
    if op == "case":
        branches = [part for _ in range(draw(st.integers(1, 2))) for part in (draw(expressions("BOOLEAN", depth)), draw(one))]
        return call("case", kind, *branches, draw(one | st.just(["literal", "NULL", None])))
    if op in ("coalesce", "greatest", "least"):
        return call(op, kind, *draw(st.lists(one, min_size=1, max_size=3)))
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
    ops = [
        "and",
        "or",
        "not",
        "compare",
        "compare",
        "distinct",
        "is_null",
        "in",
        "like",
        "part",
        "cast",
        "regexp_matches",
        "regexp_full_match",
        "list_contains",
    ]
    op = draw(st.sampled_from(ops))
    kind = draw(st.sampled_from(SCALARS))
    one, words, boolean = expressions(kind, depth), expressions("VARCHAR", depth), expressions("BOOLEAN", depth)
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
                "like", "BOOLEAN", draw(words), *(["literal", "VARCHAR", part] for part in draw(st.sampled_from(PATTERNS)))
            )
        case "regexp_matches" | "regexp_full_match":
            return draw(regexps(op, depth))
        case "list_contains":
            return call("list_contains", "BOOLEAN", draw(lists_of(kind, depth)), draw(one))
        case "part":
            return call(draw(st.sampled_from(["starts_with", "contains"])), "BOOLEAN", draw(words), draw(words))
    return call("cast", "BOOLEAN", draw(expressions(draw(st.sampled_from(CASTS["BOOLEAN"])), depth)))


@st.composite
def bigints(draw: st.DrawFn, depth: int) -> Any:
    ops = [
        "add",
        "sub",
        "mul",
        "int_div",
        "mod",
        "neg",
        "length",
        "cast",
        "epoch",
        "date_part",
        "date_part",
        "date_diff",
        "date_sub",
        "abs",
        "round",
        "md5_number_lower",
    ]
    op = draw(st.sampled_from(ops))
    if op in ("epoch", "date_part", "date_diff", "date_sub"):
        return draw(bigints_of_times(op, depth))
    one = expressions("BIGINT", depth)
    if op in ("neg", "abs"):
        return call(op, "BIGINT", draw(one))
    if op == "round":
        return call(op, "BIGINT", draw(one), *draw(st.lists(st.one_of(small, one), max_size=1)))
    if op == "md5_number_lower":
        return call(op, "BIGINT", draw(expressions("VARCHAR", depth)), draw(one))
    if op == "length":
        made = expressions("VARCHAR", depth) | lists_of("JSON", depth) | lists_of("VARCHAR", depth)
        return call("length", "BIGINT", draw(made))
    if op == "cast":
        return call("cast", "BIGINT", draw(expressions(draw(st.sampled_from(CASTS["BIGINT"])), depth)))
    return call(op, "BIGINT", draw(one), draw(one))


@st.composite
def bigints_of_times(draw: st.DrawFn, op: str, depth: int) -> Any:
    time = expressions("TIMESTAMP", depth)
    if op == "epoch":
        return call(draw(st.sampled_from(["epoch_ms", "epoch_us"])), "BIGINT", draw(time))
    if op == "date_part":
        return call(op, "BIGINT", text_of(draw(st.sampled_from([*timestamps.PARTS]))), draw(time))
    part = draw(st.sampled_from(timestamps.TRUNCATIONS))
    return call(op if part != "isoyear" else "date_diff", "BIGINT", text_of(part), draw(time), draw(time))


@st.composite
def doubles(draw: st.DrawFn, depth: int) -> Any:
    op = draw(
        st.sampled_from(
            ["add", "sub", "mul", "div", "mod", "neg", "cast", "epoch", "abs", "floor", "ceil", "round", "md5_number_lower"]
        )
    )
    one = expressions("DOUBLE", depth)
    if op in ("neg", "abs", "floor", "ceil"):
        return call(op, "DOUBLE", draw(one))
    if op == "round":
        return call(op, "DOUBLE", draw(one), *draw(st.lists(st.one_of(small, expressions("BIGINT", depth)), max_size=1)))
    if op == "md5_number_lower":
        return call(op, "DOUBLE", draw(expressions("VARCHAR", depth)))
    if op == "cast":
        return call("cast", "DOUBLE", draw(expressions(draw(st.sampled_from(CASTS["DOUBLE"])), depth)))
    if op == "epoch":
        return call("epoch", "DOUBLE", draw(expressions("TIMESTAMP", depth)))
    return call(op, "DOUBLE", draw(one), draw(one))


@st.composite
def varchars(draw: st.DrawFn, depth: int) -> Any:
    ops = ["strftime", "concat", "lower", "upper", "trim", "ltrim", "rtrim", "substring", "replace", "cast", "md5", "split_part"]
    op = draw(st.sampled_from([*ops, "regexp_extract", "regexp_replace"]))
    one, number = expressions("VARCHAR", depth), expressions("BIGINT", depth)
    match op:
        case "strftime":
            return call(op, "VARCHAR", draw(expressions("TIMESTAMP", depth)), text_of(draw(st.sampled_from(FORMATS))))
        case "concat":
            return call("concat", "VARCHAR", *draw(st.lists(one, min_size=2, max_size=3)))
        case "substring":
            return call("substring", "VARCHAR", draw(one), *draw(st.lists(number, min_size=1, max_size=2)))
        case "regexp_extract" | "regexp_replace":
            return draw(regexps(op, depth))
        case "split_part":
            separator = st.sampled_from(SEPARATORS).map(text) | one
            return call("split_part", "VARCHAR", draw(one), draw(separator), draw(small | number))
        case "replace":
            return call("replace", "VARCHAR", draw(one), draw(one), draw(one))
        case "trim" | "ltrim" | "rtrim":
            return call(op, "VARCHAR", *draw(st.lists(one, min_size=1, max_size=2)))
        case "cast":
            return call("cast", "VARCHAR", draw(expressions(draw(st.sampled_from(CASTS["VARCHAR"])), depth)))
    return call(op, "VARCHAR", draw(one))


def text_of(text: str) -> list[Any]:
    return ["literal", "VARCHAR", text]


def whole(number: int) -> list[Any]:
    return ["literal", "BIGINT", number]


@st.composite
def times(draw: st.DrawFn, depth: int) -> Any:
    op = draw(st.sampled_from(["cast", "epoch_ms", "make_timestamp", "parts", "date_trunc", "add_interval", "time_bucket"]))
    time, number = expressions("TIMESTAMP", depth), expressions("BIGINT", depth)
    match op:
        case "epoch_ms":
            return call(op, "TIMESTAMP", draw(st.sampled_from(MILLISECONDS).map(whole) | number))
        case "make_timestamp":
            return call(op, "TIMESTAMP", draw(st.sampled_from(MICROSECONDS).map(whole) | number))
        case "parts":
            limits = [(1, 9999), (1, 12), (1, 31), (0, 23), (0, 59)]
            parts = [draw(st.integers(*limit).map(whole) | st.integers(*limit).map(whole) | number) for limit in limits]
            seconds = st.sampled_from([0.0, 59.9999995, 60.0, 5.0000005, -0.5]) | st.floats(0, 60)
            return call("make_timestamp", "TIMESTAMP", *parts, draw(seconds.map(second) | expressions("DOUBLE", depth)))
        case "date_trunc":
            return call(op, "TIMESTAMP", text_of(draw(st.sampled_from(timestamps.TRUNCATIONS))), draw(time))
        case "add_interval":
            return call(op, "TIMESTAMP", draw(time), *map(whole, draw(st.sampled_from(INTERVALS))))
        case "time_bucket":
            return call(op, "TIMESTAMP", *map(whole, draw(st.sampled_from(WIDTHS))), draw(time))
    return call("cast", "TIMESTAMP", draw(expressions(draw(st.sampled_from(CASTS["TIMESTAMP"])), depth)))


def second(value: float) -> list[Any]:
    return ["literal", "DOUBLE", value]


OPERATIONS = {"BOOLEAN": booleans, "BIGINT": bigints, "DOUBLE": doubles, "VARCHAR": varchars, "TIMESTAMP": times}


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
    "-62135596800001",
    "253402300799999",
    '"9999-12-31T23:59:59.999999Z"',
    '"0001-01-01"',
    '"2024-02-29T12:00:00.0005"',
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
