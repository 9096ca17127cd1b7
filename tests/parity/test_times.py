"""Times in kernel, reference and DuckDB: the same SQL text, over strange values, and what the renderer makes of it."""

import datetime
import json
import math
from collections import defaultdict

import duckdb
import engines
import pytest

from headwater.core.dataset import SourceSchema
from headwater.core.ids import seeded_random
from headwater.core.types import BIGINT, DOUBLE, TIMESTAMP, StructOf
from headwater.kernel import Program
from headwater.kernel.functions import casts, timestamps
from headwater.kernel.functions.numbers import Failed
from headwater.rules import compile_sql, intervals
from headwater.rules.render import duckdb_failed_predicate, duckdb_statement

EVENTS = 1500
KINDS = {"line_number": BIGINT, "a": TIMESTAMP, "b": TIMESTAMP, "ms": BIGINT, "n": BIGINT, "s": DOUBLE}
KINDS |= dict.fromkeys(("y", "mo", "d", "h", "mi"), BIGINT)
SOURCES = {"src": SourceSchema("src", StructOf(tuple(KINDS.items())))}
FORMATS = [
    "%Y-%m-%d %H:%M:%S.%f",
    "%a %A %b %B %p %I",
    "%G-W%V-%u %g",
    "%U|%W|%w %j %c %x %X %T %y %z%Z%%",
    "%-d.%-m.%-y %-H %-I:%-M:%-S %-j",
]
INTERVALS = [
    "'1 day'",
    "'1' DAY",
    "5 MINUTE",
    "1 MONTH",
    "'1 year -2 days 03:00:00.5'",
    "'2 mon -01:30'",
    "(-13) MONTHS",
    "'-1 month 40 days'",
]
INTERVALS += [
    "1.5 SECOND",
    "3 QUARTERS",
    "2 DECADES",
    "1 CENTURY",
    "1 MILLENNIUM",
    "'3 w 2 h 1 m 7 ms 9 us'",
    "9998 YEARS",
    "'-3652058 days'",
]
WIDTHS = [
    "1 MICROSECOND",
    "7 SECOND",
    "5 MINUTE",
    "1 DAY",
    "'11 days 01:00'",
    "1 WEEK",
    "1 MONTH",
    "5 MONTHS",
    "1 YEAR",
    "2 CENTURIES",
]

PART_FUNCTIONS = ("year", "quarter", "month", "week", "day", "dayofyear", "dayofweek", "isodow", "hour", "minute", "second")

# What is computed of times in range, and what of any numbers: only there may DuckDB's intermediate values leave our range.
EXPRESSIONS = [f"date_part('{part}', a)" for part in timestamps.PARTS]
EXPRESSIONS += [f"{name}(epoch_ms(ms))" for name in PART_FUNCTIONS]
EXPRESSIONS += [
    "millisecond(a)",
    "microsecond(a)",
    "dayname(a)",
    "monthname(a)",
    "extract(hour FROM epoch_ms(ms))",
    "extract(epoch FROM b)",
]
EXPRESSIONS += [f"date_trunc('{part}', {time})" for part in timestamps.TRUNCATIONS for time in ("a", "epoch_ms(ms)")]
EXPRESSIONS += [f"date_diff('{part}', a, b)" for part in timestamps.TRUNCATIONS]
EXPRESSIONS += [f"date_sub('{part}', a, b)" for part in timestamps.TRUNCATIONS if part != "isoyear"]
EXPRESSIONS += [f"strftime(a, '{text}')" for text in FORMATS] + ["strftime('%Y', epoch_ms(ms))"]
EXPRESSIONS += [f"a {sign} INTERVAL {span}" for span in INTERVALS for sign in "+-"] + ["INTERVAL 1 DAY + epoch_ms(ms)"]
EXPRESSIONS += [f"time_bucket(INTERVAL {width}, a)" for width in WIDTHS]
EXPRESSIONS += [
    "epoch(a)",
    "epoch_ms(a)",
    "epoch_us(a)",
    "epoch(a - b)",
    "epoch_ms(a - b)",
    "epoch_us(a - b)",
    "epoch_ms(n)",
    "make_timestamp(n)",
]
EXPRESSIONS += [
    "make_timestamp(y, mo, d, h, mi, s)",
    "make_timestamp(ms)",
    "make_timestamp(2024, 2, 29, 12, 30, s)",
    "make_timestamp(2024, 2, d, 0, mi, 5)",
    "make_timestamp(y, 12, 31, 24, 0, 0)",
]
EXPRESSIONS += [
    f"a - b {test} INTERVAL {span}" for test in ("<", "=", ">=") for span in ("1 DAY", "'1 month'", "'-12:00:00'", "0 SECOND")
]
EXPRESSIONS += [
    "a < b",
    "a = b",
    "epoch_ms(ms) >= TIMESTAMP '2000-01-01 00:00:00'",
    "a BETWEEN b AND TIMESTAMP '9000-01-01'",
    "a IN (b, TIMESTAMP 'epoch')",
]
EXPRESSIONS += ["a - b BETWEEN INTERVAL (-1) YEAR AND INTERVAL 2 WEEKS", "a > TIMESTAMP '2024-02-29' - INTERVAL 1 YEAR"]
OPERATIONS = {
    "epoch", "epoch_ms", "epoch_us", "make_timestamp", "date_part", "date_trunc", "date_diff", "date_sub", "add_interval",
    "time_bucket", "strftime",
}  # fmt: skip

YEARS = [
    1,
    2,
    4,
    5,
    9,
    10,
    99,
    100,
    101,
    400,
    1000,
    1001,
    1582,
    1899,
    1900,
    1969,
    1970,
    1999,
    2000,
    2001,
    2024,
    2025,
    2026,
    9998,
    9999,
]
STEPS = [
    1,
    999,
    1000,
    timestamps.HOUR,
    timestamps.DAY,
    7 * timestamps.DAY,
    28 * timestamps.DAY,
    30 * timestamps.DAY,
    31 * timestamps.DAY,
]
STEPS += [365 * timestamps.DAY, 366 * timestamps.DAY, 146_097 * timestamps.DAY]
ANY = [
    0,
    -1,
    2**63 - 1,
    -(2**63),
    -(2**63) + 1,
    253_402_300_799_999,
    253_402_300_800_000,
    -62_135_596_800_001,
    9_223_372_036_854_775,
    2**53,
]
ANY += [
    253_402_300_799_999_999,
    253_402_300_800_000_000,
    -62_135_596_800_000_000,
    -62_135_596_800_000_001,
    9_223_372_036_854_775_806,
]
SECONDS = [
    0.0,
    -0.0,
    59.9999994,
    59.9999995,
    59.9999996,
    60.0,
    60.0000004,
    60.5,
    61.0,
    -1e-7,
    -5e-7,
    -0.5,
    1e9,
    2147483648.0,
    1e300,
]


def a_time(pick):
    """Near the ends of months, years and days, or anywhere."""
    if pick.random() < 0.3:
        return pick.randrange(casts.TIMESTAMP_MIN, casts.TIMESTAMP_MAX + 1)
    year = pick.choice([*YEARS, pick.randrange(1, 10_000)])
    day = datetime.date(year, pick.randrange(1, 13), pick.choice([1, 2, 28, pick.randrange(1, 29)]))
    day += datetime.timedelta(days=0 if year == 9999 else pick.randrange(4))
    time = [
        0,
        1,
        timestamps.DAY - 1,
        pick.randrange(timestamps.DAY),
        pick.randrange(86_400_000) * 1000 + pick.choice([0, 499, 500, 501]),
    ]
    return (day - datetime.date(1970, 1, 1)).days * timestamps.DAY + pick.choice(time)


def clamped(value):
    return max(casts.TIMESTAMP_MIN, min(casts.TIMESTAMP_MAX, value))


def rows():
    pick = seeded_random(11)
    for number in range(EVENTS):
        a = a_time(pick)
        near = clamped(a + pick.choice([-1, 1]) * pick.choice([*STEPS, pick.randrange(10**15)]))
        row = {
            "line_number": number,
            "a": a,
            "b": pick.choice([near, near, a_time(pick), a]),
            "ms": clamped(a_time(pick)) // 1000,
        }
        row["n"] = pick.choice(
            [*ANY, pick.randrange(-(10**17), 10**18), pick.randrange(-(10**14), 10**15), pick.getrandbits(64) - 2**63]
        )
        row |= {
            "y": pick.choice([*YEARS, 0, -1, 10_000, 2**31, 290_000, -(2**63)]),
            "mo": pick.choice([1, 2, 2, 12, 13, 0, pick.randrange(1, 13)]),
        }
        row |= {"d": pick.choice([1, 28, 29, 30, 31, 32, 0, -1]), "h": pick.choice([0, 23, 24, 25, -1, 12, 12, 2**40])}
        row |= {
            "mi": pick.choice([0, 0, 30, 59, 60, -1]),
            "s": pick.choice([*SECONDS, pick.random() * 60, pick.randrange(6 * 10**8) / 1e7]),
        }
        yield {name: None if name != "line_number" and pick.random() < 0.05 else value for name, value in row.items()}


def event(row):
    times = {name: casts.timestamp_text(row[name], "T", "Z") for name in "ab" if row[name] is not None}
    return json.dumps({name: value for name, value in (row | times).items() if value is not None}).encode()


@pytest.fixture(scope="module")
def table():
    found = list(rows())
    connection = duckdb.connect()
    columns = [[row[name] for row in found] for name in KINDS]
    listed = ", ".join(f'unnest(?::{"BIGINT" if kind == TIMESTAMP else kind}[]) AS "{name}"' for name, kind in KINDS.items())
    connection.execute(f"CREATE TABLE raw AS SELECT {listed}", columns)
    connection.execute("CREATE TABLE src AS SELECT * REPLACE (make_timestamp(a) AS a, make_timestamp(b) AS b) FROM raw")
    return connection, found


def compiled(expressions):
    sql = ";\n".join(f"INSERT INTO d{at} SELECT line_number, {text} AS v FROM src" for at, text in enumerate(expressions))
    result = compile_sql(sql, "times.sql", SOURCES)
    assert not result.errors, "\n".join(map(str, result.errors))
    return list(result.rules)


def in_json(value):
    """A value of DuckDB as a row has it; None where it is left out."""
    if isinstance(value, datetime.datetime):
        return casts.timestamp_text((value - casts.UNIX_EPOCH) // casts.MICROSECOND, "T", "Z")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def operations_of(expression):
    if expression[0] == "call":
        yield expression[1]
        for argument in expression[3]:
            yield from operations_of(argument)


def test_kernel_and_reference_agree(table):
    rules = [rule.canonical() for rule in compiled(EXPRESSIONS)]
    assert engines.differences(rules, [event(row) for row in table[1]]) == []


def test_duckdb_agrees_with_the_same_text_and_with_what_is_rendered(table):
    connection, found = table
    rules = compiled(EXPRESSIONS)
    program = Program([rule.canonical() for rule in rules])
    result = program.run([event(row) for row in found])
    failed = {number: count for number, _matched, _errors, count, _not_finite in result.rules}
    met = defaultdict(set)
    for number, (text, rule) in enumerate(zip(EXPRESSIONS, rules, strict=True)):
        given = {row["line_number"]: row.get("v") for row in map(json.loads, result.outputs.get(f"d{number}", b"").splitlines())}
        rendered = {line: in_json(value) for line, value in connection.execute(duckdb_statement(rule, "src")).fetchall()}
        assert given == rendered, text
        [(count,)] = connection.execute(f"SELECT count(*) FILTER ({duckdb_failed_predicate(rule)}) FROM src").fetchall()
        assert failed.get(number, 0) == count == EVENTS - len(given), text
        assert_same_text(connection, text, given)
        for operation in set(operations_of(rule.select[0][1])) | set(operations_of(rule.select[1][1])):
            met[operation].update((number, value) for value in given.values())
    counts = {operation: len(met[operation]) for operation in sorted(OPERATIONS)}
    print(counts)
    assert min(counts.values()) >= 1000


def assert_same_text(connection, text, given):
    """What DuckDB makes of the text as it was written: NULL, or out of range, wherever we fail."""
    kind = connection.execute(f"SELECT typeof({text}) FROM src LIMIT 1").fetchone()[0]
    value = f"TRY({text})"
    if kind == "TIMESTAMP":
        bounds = "TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
        value = f"CASE WHEN {value} BETWEEN {bounds} THEN {value} END"
    for line, expected in connection.execute(f"SELECT line_number, {value} FROM src").fetchall():
        assert given.get(line) == in_json(expected), (text, line)


def test_intervals_as_texts():
    """Every text that is taken for an INTERVAL means what DuckDB takes it for."""
    pick = seeded_random(12)
    names = [name for name, part in intervals.PART_NAMES.items() if part in (*timestamps.TRUNCATIONS[:-1],)]
    connection = duckdb.connect()
    starts = (954_460_800_000_000, -2_208_988_800_000_000)
    taken = 0
    for _ in range(1500):
        parts = [
            f"{pick.choice(['', '-'])}{pick.randrange(40)}{pick.choice([' ', '  ', ''])}{pick.choice(names)}"
            for _ in range(pick.randrange(4))
        ]
        parts += pick.choice(
            [[], [], ["1:30"], ["-01:02:03.5"], ["100:00:00.000001"], ["1:60"], ["x"], ["5"], ["1.5 days"], ["ago"]]
        )
        text = pick.choice([" ", " ", "  ", ""]).join(parts)
        try:
            found = intervals.interval_of_text(text)
            ours = [timestamps.add_interval(start, *found) for start in starts]
        except (intervals.IntervalError, Failed):
            continue
        taken += 1
        asked = ", ".join(f"epoch_us(make_timestamp({start}) + i)" for start in starts)
        expected = connection.execute(f"SELECT {asked} FROM (SELECT CAST(? AS INTERVAL) i)", [text]).fetchone()
        assert tuple(ours) == expected, text
    assert taken > 500
