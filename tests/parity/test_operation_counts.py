"""Every operation of rules, met so often as TRUE, FALSE and NULL, or with so many different results: kernel = reference = DuckDB.

The kernel runs on every way of finding structure that the machine has (`HEADWATER_DISPATCH`), in a process for each. The long
form wants each outcome 1,000 times, the short one a few. What gives BOOLEAN runs in WHERE as well, where the index takes it.
"""

import json
import os
import subprocess
import sys

import duckdb
import pytest
from case_files import physical
from engines import ENGINES, check_balance, lines_of
from witness import from_duckdb, from_row, sql_type

from headwater.core.ids import seeded_random
from headwater.core.types import type_from_json
from headwater.kernel.functions import casts
from headwater.kernel.reference_expression import LAZY, STRICT
from headwater.rules import PhysicalRule
from headwater.rules.render import duckdb_failed_predicate, duckdb_where_error_predicate, render

B, I, D, V, T = "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP"  # noqa: E741
TEXTS, WHOLE = {"list": V}, {"list": I}
STRUCT = {"struct": [["x", I], ["y", V]]}
# In the names with 2 and 3 the same values are met often; the others differ from row to row.
KINDS = {
    "x": B, "y": B, "z": B, "i": I, "k": I, "n": I, "i2": I, "i3": I, "ms": I, "year": I, "month": I, "day": I, "d": D, "f": D,
    "d2": D, "d3": D, "second": D, "a": V, "b": V, "long": V, "a2": V, "a3": V, "number": V, "time": V, "flag": V,
    "s": T, "u": T, "s2": T, "s3": T, "t": TEXTS, "w": WHOLE, "o": STRUCT,
}  # fmt: skip
CHARACTERS = ["a", "b", "b", "A", "é", "É", "🎬", "e\u0301", " ", "\u00a0", "\t", ",", "1", "\n", '"', "%", "_"]
EDGES = [0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**53 + 1, 5 * 10**18, 15, -25]
REGEXPS = ["[a-b]+", "(a)(b)?", "^.{0,3}$", r"\s|é"]


def rows(count, seed):
    """Events as dicts; TIMESTAMP as µs."""
    chance = seeded_random(seed)
    pick = chance.choice

    def word(length):
        return "".join(pick(CHARACTERS) for _ in range(chance.randrange(length)))

    def whole():
        return pick([chance.randrange(-9, 9), pick(EDGES), chance.randrange(-(10**6), 10**6), chance.randrange(-(2**63), 2**63)])

    def real():
        return pick(
            [chance.randrange(-(10**7), 10**7) / 8, chance.uniform(-1, 1), chance.uniform(-1e18, 1e18), pick([0.5, -0.0])]
        )

    def moment():
        early, late = casts.TIMESTAMP_MIN, casts.TIMESTAMP_MAX
        return pick(
            [chance.randrange(early, late), chance.randrange(10**15, 2 * 10**15), 1000 * chance.randrange(10**12, 2 * 10**12)]
        )

    def number():
        return pick(
            [
                str(whole()),
                str(real()),
                f" {chance.randrange(10**6)}",
                f"{chance.randrange(10**4)}e{chance.randrange(5)}",
                word(4),
            ]
        )

    def iso():
        text = casts.timestamp_text(moment(), pick("T "), pick(["", "Z", "+02:00"]))
        return pick([text, text, text[:10], text[:-1], word(5)])

    makers = {
        "i": whole, "k": whole, "n": lambda: chance.randrange(-8, 8), "d": real, "f": real,
        "ms": lambda: pick([chance.randrange(-(10**12), 2 * 10**12), whole()]),
        "year": lambda: chance.randrange(-1, 10_002), "month": lambda: chance.randrange(14), "day": lambda: chance.randrange(33),
        "second": lambda: chance.uniform(-1, 61), "a": lambda: word(9), "b": lambda: word(3),
        "long": lambda: pick(CHARACTERS) * chance.randrange(1500), "number": number, "time": iso,
        "flag": lambda: pick(["true", "FALSE", "t", "no", "1", "0", "yes", word(2)]), "s": moment, "u": moment,
        "t": lambda: [pick([word(2), "a", None]) for _ in range(chance.randrange(6))],
        "w": lambda: [pick([chance.randrange(3), whole(), None]) for _ in range(chance.randrange(6))],
        "o": lambda: {"x": whole(), "y": word(6)} if chance.randrange(3) else {"x": whole()},
    }  # fmt: skip
    few = {
        "x": [True, False, None], "y": [True, False, None], "z": [True, False, None], "i2": [0, 1, None], "i3": [0, 1, 2],
        "d2": [0.0, -0.0, 1.5, None], "d3": [0.0, 1.5, 2.5], "a2": ["a", "b", "", None], "a3": ["a", "b", "é"],
        "s2": [0, 10**15, None], "s3": [0, 10**15, 2 * 10**15],
    }  # fmt: skip
    for _ in range(count):
        made = {name: pick(values) for name, values in few.items()}
        made |= {name: make() if chance.randrange(8) else None for name, make in makers.items()}
        yield {name: made[name] for name in KINDS}


def in_event(row):
    """A row as an event's line."""
    times = {
        name: casts.timestamp_text(row[name], "T", "Z") for name, kind in KINDS.items() if kind == T and row[name] is not None
    }
    return json.dumps({name: value for name, value in (row | times).items() if value is not None}).encode()


def of(op, kind, *arguments):
    """A call; a bare text is a field."""
    return ["call", op, kind, [["field", [one], KINDS[one]] if isinstance(one, str) else one for one in arguments]]


def lit(value, kind=None):
    kinds = {bool: B, int: I, float: D, str: V}
    return ["literal", kind or kinds[type(value)], value]


PAIRS = [("i2", "i3"), ("d2", "d3"), ("a2", "a3"), ("x", "y"), ("s2", "s3")]
LITERALS = [("i2", lit(1)), ("d2", lit(0.0)), ("a2", lit("a")), ("x", lit(True)), ("s2", lit(10**15, T))]


def compared(op):
    return [of(op, B, one, other) for one, other in [*PAIRS, *LITERALS]]


def matched(op):
    return [of(op, B, "a", lit(pattern), lit("")) for pattern in REGEXPS]


def parts(op, *names, kind=I, of_one=False):
    return [of(op, kind, lit(name), "s", *([] if of_one else ["u"])) for name in names]


CALLS = {
    "and": [of("and", B, "x", "y"), of("and", B, "x", "y", of("eq", B, "i2", lit(1))), of("and", B, "x", of("not", B, "y"), "z")],
    "or": [
        of("or", B, "x", "y"), of("or", B, "x", of("eq", B, "i2", lit(1)), of("eq", B, "i2", lit(0))),
        of("or", B, "x", of("not", B, "y")),
    ],
    "not": [of("not", B, "x"), of("not", B, of("lt", B, "i2", "i3")), of("not", B, of("in", B, "a2", lit("a"), lit("b")))],
    **{op: compared(op) for op in ("eq", "ne", "lt", "le", "gt", "ge", "distinct", "not_distinct")},
    **{op: [of(op, B, name) for name in ("i2", "d2", "a2", "x", "s2", "t", "o")] for op in ("is_null", "is_not_null")},
    "in": [
        of("in", B, "i2", lit(1), lit(7)), of("in", B, "a2", lit("a"), lit("é")), of("in", B, "d2", lit(0.0)),
        of("in", B, "s2", lit(10**15, T)),
    ],
    "like": [of("like", B, "a", lit(one), lit(escape)) for one, escape in [("%b%", ""), ("a%", ""), ("%_é%", ""), ("%$%%", "$")]],
    "starts_with": [of("starts_with", B, "a", "a2"), of("starts_with", B, "a", lit("b"))],
    "contains": [of("contains", B, "a", "a2"), of("contains", B, "a", lit("bb"))],
    "regexp_matches": matched("regexp_matches"),
    "regexp_full_match": matched("regexp_full_match"),
    "list_contains": [of("list_contains", B, "t", "a2"), of("list_contains", B, "w", "i2")],
    "case": [of("case", I, "x", "i", "y", "k", lit(None, "NULL")), of("case", V, of("gt", B, "i2", lit(0)), "a", "b")],
    "coalesce": [of("coalesce", I, "i2", "i", "k"), of("coalesce", V, "a", "b", lit("-")), of("coalesce", T, "s", "u")],
    "nullif": [of("nullif", I, "i2", "i3"), of("nullif", V, "a", "a2"), of("nullif", I, "n", lit(0)), of("nullif", D, "d", "f")],
    **{
        op: [of(op, I, "i", "k", "n"), of(op, D, "d", "f"), of(op, V, "a", "b"), of(op, T, "s", "u")]
        for op in ("greatest", "least")
    },
    **{op: [of(op, I, "i", "k"), of(op, I, "n", "i2"), of(op, D, "d", "f")] for op in ("add", "sub", "mul")},
    "div": [of("div", D, "d", "f"), of("div", D, "d", "d2")],
    "int_div": [of("int_div", I, "i", "n"), of("int_div", I, "i", "k")],
    "mod": [of("mod", I, "i", "n"), of("mod", I, "i", "k"), of("mod", D, "d", "f")],
    **{op: [of(op, I, "i"), of(op, D, "d")] for op in ("neg", "abs")},
    "round": [of("round", I, "i", "n"), of("round", D, "d", "n"), of("round", D, "d")],
    **{op: [of(op, D, "d")] for op in ("floor", "ceil")},
    "concat": [of("concat", V, "a", "b"), of("concat", V, "a", lit("-"), "a2")],
    "cast": [
        of("cast", V, "i"), of("cast", V, "d"), of("cast", V, "x"), of("cast", V, "s"), of("cast", I, "d"),
        of("cast", I, "number"),
        of("cast", D, "i"), of("cast", D, "number"), of("cast", B, "flag"), of("cast", T, "time"), of("cast", B, "n"),
    ],
    "try_cast": [of("try_cast", I, "number"), of("try_cast", D, "number"), of("try_cast", T, "time"), of("try_cast", B, "flag")],
    **{op: [of(op, V, "a")] for op in ("lower", "upper", "md5")},
    **{op: [of(op, V, "a"), of(op, V, "a", "b")] for op in ("trim", "ltrim", "rtrim")},
    "length": [of("length", I, "long"), of("length", I, "a"), of("length", I, "t")],
    "substring": [of("substring", V, "a", "n"), of("substring", V, "a", "n", "i2"), of("substring", V, "a", "n", "k")],
    "replace": [of("replace", V, "a", "b", "a2")],
    "struct_get": [of("struct_get", I, "o", lit("x")), of("struct_get", V, "o", lit("y"))],
    "epoch": [of("epoch", D, "s")],
    "epoch_ms": [of("epoch_ms", I, "s"), of("epoch_ms", T, "ms")],
    "epoch_us": [of("epoch_us", I, "s")],
    "make_timestamp": [of("make_timestamp", T, "ms"), of("make_timestamp", T, "year", "month", "day", "i2", "i3", "second")],
    "date_part": parts("date_part", "year", "month", "doy", "week", "isodow", "quarter", "minute", "second", of_one=True),
    "date_trunc": parts("date_trunc", "year", "month", "week", "day", "hour", "quarter", kind=T, of_one=True),
    "date_diff": parts("date_diff", "year", "month", "week", "day", "hour", "minute"),
    "date_sub": parts("date_sub", "year", "month", "day", "hour", "second"),
    "add_interval": [
        of("add_interval", T, "s", lit(months), lit(micros)) for months, micros in [(0, 300_000_000), (-25, 1), (1, 0)]
    ],
    "time_bucket": [of("time_bucket", T, lit(months), lit(micros), "s") for months, micros in [(0, 300_000_000), (5, 0)]],
    "strftime": [of("strftime", V, "s", lit(form)) for form in ("%Y-%m-%d", "%c.%f %j", "%G-W%V-%u")],
    "regexp_extract": [
        of("regexp_extract", V, "a", lit(one), lit(group), lit("")) for one, group in [("[^ab]+", 0), ("(a)?(.*)", 2)]
    ],
    "regexp_replace": [
        of("regexp_replace", V, "a", lit(one), lit("<\\0>"), lit(how)) for one, how in [("[ab]", "g"), ("é|b", "i")]
    ],
    "split_part": [of("split_part", V, "a", "b", "n"), *(of("split_part", V, "a", lit(one), "n") for one in ("b", "é", ""))],
    "string_split": [of("string_split", TEXTS, "a", lit(one)) for one in ("b", "", "é")],
    "md5_number_lower": [of("md5_number_lower", D, "a"), of("md5_number_lower", I, "a", "i")],
    "list_get": [of("list_get", I, "w", "n"), of("list_get", V, "t", "n"), of("list_get", I, "w", lit(-1))],
    "list_slice": [
        of("list_slice", WHOLE, "w", "n", "i3"), of("list_slice", TEXTS, "t", "n", "n"),
        of("list_slice", WHOLE, "w", lit(-3), lit(4)),
    ],
}  # fmt: skip
ONE = [["one", lit(1)]]
NEVER_NULL = ("is_null", "is_not_null", "distinct", "not_distinct")
# Runs the rules on the events, and tells the way and what came out of each rule.
RUN = """
import hashlib, json, sys
from headwater import kernel
rules, events = json.load(sys.stdin)
found = []
for rule in rules:
    result = kernel.Program([rule.encode()]).run(events.encode())
    said = repr((result.outputs, result.rules, result.fields, result.failures, result.written, result.presence))
    found.append(hashlib.sha256(said.encode()).hexdigest())
print(json.dumps([kernel.dispatch(), found]))
"""


class World:
    """The same events for every engine."""

    def __init__(self, count, folder):
        given = list(rows(count, 31))
        self.events = [in_event(row) for row in given]
        file = folder / "rows.ndjson"
        file.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        types = {name: "BIGINT" if kind == T else sql_type(type_from_json(kind), False) for name, kind in KINDS.items()}
        times = ", ".join(f"make_timestamp({name}) AS {name}" for name, kind in KINDS.items() if kind == T)
        read = f"read_json('{file}', format = 'newline_delimited', columns = {types})"
        self.connection.execute(f"CREATE TABLE rows AS SELECT * REPLACE ({times}) FROM {read}")

    def ask(self, sql):
        return self.connection.execute(f"SELECT {sql} FROM rows").fetchall()


def said_by(result, count, kind):
    """By event: its value, None for NULL, or "failed"."""
    failed = {index for index, *_ in result.failures}
    lines = iter(lines_of(result.outputs.get("out", b"")))
    found = []
    for index in range(count):
        value = None if index in failed else json.loads(next(lines)).get("r")
        found.append("failed" if index in failed else None if value is None else from_row(value, kind))
    return found


def outcomes(world, expression):
    """What all three say of a call; their agreement is asserted."""
    rule = physical(select=[["r", expression]])
    kind = expression[2]
    said = {}
    for name, engine in ENGINES.items():
        result = engine([rule]).run(b"\n".join(world.events))
        check_balance(result)
        said[name] = said_by(result, len(world.events), kind)
    assert list(map(repr, said["kernel"])) == list(map(repr, said["reference"])), expression
    stored = PhysicalRule.from_json(json.loads(rule))
    answers = world.ask(f"{render(expression)}, {duckdb_failed_predicate(stored)}")
    expected = ["failed" if fails else from_duckdb(value, kind) for value, fails in answers]
    different = [each for each in zip(world.events, said["kernel"], expected, strict=True) if repr(each[1]) != repr(each[2])]
    assert different == [], (expression, len(different), different[:3])
    if kind == B:
        check_where(world, expression, expected)
    return expected


def check_where(world, expression, expected):
    """Where it is a WHERE, only TRUE matches; beside many others, so that the index takes it."""
    stored = PhysicalRule.from_json(json.loads(physical(where=expression, select=ONE)))
    ((errors,),) = world.connection.execute(
        f"SELECT count(*) FILTER (WHERE {duckdb_where_error_predicate(stored)}) FROM rows"
    ).fetchall()
    asked = physical("asked", "out", expression, ONE)
    others = [physical(f"r{n}", "other", of("eq", B, "n", lit(n)), ONE) for n in range(6)]
    for name, before in (("reference", []), ("kernel", others)):
        result = ENGINES[name]([*before, asked]).run(world.events)
        counts = next((counts for number, *counts in result.rules if number == len(before)), [0, 0, 0, 0])
        assert counts == [expected.count(True), errors, 0, 0], expression


def check(op, world, least):
    """Holds an operation's calls against each other, and that each outcome was met so often."""
    results = [outcomes(world, expression) for expression in CALLS[op]]
    if CALLS[op][0][2] == B:
        met = {
            text: sum(found.count(value) for found in results)
            for text, value in (("TRUE", True), ("FALSE", False), ("NULL", None))
        }
        wanted = [count for text, count in met.items() if not (text == "NULL" and op in NEVER_NULL)]
    else:
        met = {"distinct results": len({(at, repr(value)) for at, found in enumerate(results) for value in found})}
        wanted = list(met.values())
    assert min(wanted) >= least, (op, met)
    return met


def test_every_operation_is_called():
    # Python functions have suites of their own.
    assert CALLS.keys() == (LAZY.keys() | STRICT.keys()) - {"udf"}
    assert all(expression[1] == op for op, expressions in CALLS.items() for expression in expressions)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return World(250, tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return World(8000, tmp_path_factory.mktemp("long"))


@pytest.mark.parametrize("op", CALLS)
def test_engines_agree(short, op):
    check(op, short, 5)


@pytest.mark.slow
@pytest.mark.parametrize("op", CALLS)
def test_engines_agree_a_thousand_times(long, op):
    met = check(op, long, 1000)
    print(f"{op}: " + ", ".join(f"{count:,} {text}" for text, count in met.items()))


def every_way(world):
    """Every call, in SELECT and in WHERE, gives the same on every way of finding structure; how many ways there are."""
    rules = [physical(select=[["r", expression]]).decode() for expressions in CALLS.values() for expression in expressions]
    rules += [physical(where=each, select=ONE).decode() for expressions in CALLS.values() for each in expressions if each[2] == B]
    given = json.dumps([rules, b"\n".join(world.events).decode()])
    found = {}
    for asked in ("portable", "avx2", "avx512"):
        environment = {**os.environ, "HEADWATER_DISPATCH": asked}
        done = subprocess.run(
            [sys.executable, "-c", RUN], input=given, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            assert "this machine lacks its instructions" in done.stderr, done.stderr
            continue
        way, found[asked] = json.loads(done.stdout)
        assert way == asked
        assert found[asked] == found["portable"]
    assert len(set(found["portable"])) > 100
    return len(found)


def test_every_way_gives_the_same(short):
    assert every_way(short) >= 1


@pytest.mark.slow
def test_every_way_gives_the_same_for_long(long):
    print(f"{every_way(long)} ways of finding structure agree")
