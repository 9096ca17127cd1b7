"""Casts and functions of the reference against DuckDB itself, on generated arguments."""

import math
import struct

import duckdb
import pytest

from headwater.core.ids import seeded_random
from headwater.kernel.functions import casts, numbers, texts

IN_RANGE = "t BETWEEN timestamp '0001-01-01' AND timestamp '9999-12-31 23:59:59.999999'"
NUMBER_PARTS = [
    *"0159_-+eE \t\v()é",
    "12",
    "49",
    "007",
    "922337203685477580",
    "9223372036854775807",
    "9223372036854775808",
    ".",
    ".",
    "e5",
]
NUMBER_PARTS += [
    "e-1",
    "0x",
    "0b",
    "F",
    "inf",
    "nan",
    "infinity",
    "NaN",
    "50",
    "499999",
    "e18",
    "e19",
    "e400",
    "e-400",
    "true",
    "t",
    "yes",
    "No",
]
TIME_PARTS = [
    "2026",
    "1",
    "12",
    "30",
    "02",
    "29",
    "2024",
    "1900",
    "0001",
    "9999",
    "0",
    "-",
    "-",
    "-",
    "-",
    "/",
    "T",
    "T",
    "03:04",
    "3:4:5",
    ":",
    ".5",
]
TIME_PARTS += [
    "24:00:00",
    ".123456789",
    "Z",
    "+02",
    "+02:00",
    "-0330",
    " UTC",
    "\t",
    " ",
    "epoch",
    "2026-01-02",
    "2026-02-28 23:59",
    "é",
    "60",
    "\\",
]
TIME_PARTS += ["2026-01-02T03:04:05"] * 4
CHARACTERS = ["a", "b", "A", "é", "É", "🎬", "e\u0301", " ", "\u00a0", "\t", "%", "_", "$", "ß", "İ", "\0", "\\", "\n"]


@pytest.fixture(scope="module")
def duck():
    return duckdb.connect()


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except numbers.Failed:
        return None


def generated(parts, count, seed):
    chance = seeded_random(seed)
    return sorted({"".join(chance.choice(parts) for _ in range(chance.randrange(1, 7))) for _ in range(count)})


def known_difference(text):
    """DuckDB misreads numbers of more than 18 digits that have underscores (DOUBLE) or an exponent (BIGINT)."""
    return sum(character.isdigit() for character in text) > 18 and ("_" in text or "e" in text.lower())


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (casts.text_to_bigint, "TRY_CAST(t AS BIGINT)"),
        (casts.text_to_double, "TRY_CAST(t AS DOUBLE)"),
        (casts.text_to_boolean, "TRY_CAST(t AS BOOLEAN)"),
    ],
)
def test_numbers_from_text(duck, function, answer):
    rows = duck.execute(f"SELECT t, {answer} FROM (SELECT unnest(?) t)", [generated(NUMBER_PARTS, 20_000, 1)]).fetchall()
    for text, expected in rows:
        if not known_difference(text):
            assert repr(attempt(function, text)) == repr(expected), repr(text)


def test_timestamps_from_text(duck):
    answer = f"CASE WHEN {IN_RANGE} THEN epoch_us(t) END"
    generated_texts = generated(TIME_PARTS, 20_000, 2)
    generated_texts += [
        start + text for start in ("2026-01-02", "2024-02-29T03:04", "2026-01-02 3:4:05") for text in generated_texts
    ]
    asked = f"SELECT s, {answer} FROM (SELECT s, TRY_CAST(s AS TIMESTAMP) t FROM (SELECT unnest(?) s))"
    rows = duck.execute(asked, [generated_texts]).fetchall()
    assert sum(expected is not None for _, expected in rows) > 1000
    for text, expected in rows:
        assert attempt(casts.text_to_timestamp, text) == expected, repr(text)


def test_doubles(duck):
    chance = seeded_random(3)
    values = [struct.unpack("d", struct.pack("Q", chance.getrandbits(64)))[0] for _ in range(20_000)]
    values += [chance.randrange(-(10**6), 10**6) / chance.choice([1, 2, 4, 10, 1000]) for _ in range(20_000)]
    values += [10.0**k * factor for k in range(-30, 30) for factor in (-7, 1, 15)] + [
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        2.0**63,
        -(2.0**63),
    ]
    values = [value for value in values if not math.isnan(value)]
    rows = duck.execute("SELECT d, d::VARCHAR, TRY_CAST(d AS BIGINT) FROM (SELECT unnest(?::DOUBLE[]) d)", [values]).fetchall()
    for value, text, whole in rows:
        assert (casts.double_text(value), attempt(casts.double_to_bigint, value)) == (text, whole), value


def test_timestamps_to_text(duck):
    chance = seeded_random(4)
    values = [chance.randrange(casts.TIMESTAMP_MIN, casts.TIMESTAMP_MAX + 1) for _ in range(5000)]
    values += [chance.randrange(-(10**12), 10**12) * 1000 for _ in range(2000)] + [
        casts.TIMESTAMP_MIN,
        casts.TIMESTAMP_MAX,
        0,
        -1,
    ]
    rows = duck.execute("SELECT v, make_timestamp(v)::VARCHAR FROM (SELECT unnest(?::BIGINT[]) v)", [values]).fetchall()
    assert all(casts.timestamp_text(value, " ", "") == text for value, text in rows)


@pytest.fixture(scope="module")
def words(duck):
    chance = seeded_random(5)

    def word(length):
        return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(length)))

    def position():
        edges = [0, 1, -1, 2**32 - 1, -(2**32), 2**32, -(2**32) - 1, 2**63 - 1, -(2**63), 2**31]
        return chance.choice([chance.randrange(-12, 12), chance.randrange(-12, 12), chance.choice(edges)])

    columns = [*zip(*((word(8), word(3), word(3), position(), position()) for _ in range(20_000)), strict=True)]
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE words AS SELECT unnest(?::VARCHAR[]) a, unnest(?::VARCHAR[]) b, unnest(?::VARCHAR[]) c, "
        "unnest(?::BIGINT[]) s, unnest(?::BIGINT[]) l",
        [list(column) for column in columns],
    )
    return duck


@pytest.mark.parametrize(
    ("answer", "function"),
    [
        ("lower(a)", lambda a, b, c, s, n: texts.lower(a)),
        ("upper(a)", lambda a, b, c, s, n: texts.upper(a)),
        ("trim(a)", lambda a, b, c, s, n: texts.trim(a)),
        ("ltrim(a)", lambda a, b, c, s, n: texts.ltrim(a)),
        ("rtrim(a)", lambda a, b, c, s, n: texts.rtrim(a)),
        ("trim(a, b)", lambda a, b, c, s, n: texts.trim(a, b)),
        ("ltrim(a, b)", lambda a, b, c, s, n: texts.ltrim(a, b)),
        ("rtrim(a, b)", lambda a, b, c, s, n: texts.rtrim(a, b)),
        ("length(a)", lambda a, b, c, s, n: len(a)),
        ("TRY(substring(a, s))", lambda a, b, c, s, n: texts.substring(a, s)),
        ("TRY(substring(a, s, l))", lambda a, b, c, s, n: texts.substring(a, s, n)),
        ("replace(a, b, c)", lambda a, b, c, s, n: texts.replace(a, b, c)),
        ("contains(a, b)", lambda a, b, c, s, n: texts.contains(a, b)),
        ("starts_with(a, b)", lambda a, b, c, s, n: texts.starts_with(a, b)),
        ("a < b", lambda a, b, c, s, n: a < b),
    ],
)
def test_texts(words, answer, function):
    for *arguments, expected in words.execute(f"SELECT a, b, c, s, l, {answer} FROM words").fetchall():
        assert attempt(function, *arguments) == expected, arguments


def test_like(words):
    chance = seeded_random(6)
    compared = 0
    for _ in range(400):
        pattern = "".join(
            chance.choice(["a", "b", "%", "%", "_", "é", "$", "$", "🎬", "\\", "e\u0301"]) for _ in range(chance.randrange(6))
        )
        escape = chance.choice(["", "$", "%", "_", "\\", "a"])
        try:
            texts.like_pattern(pattern, escape)
        except ValueError:
            continue
        compared += 1
        for text, expected in words.execute(f"SELECT a, a LIKE '{pattern}' ESCAPE '{escape}' FROM words LIMIT 200").fetchall():
            assert texts.like(text, pattern, escape) == expected, (text, pattern, escape)
    assert compared > 300
