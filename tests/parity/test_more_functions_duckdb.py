"""Functions of numbers, lists, parts of texts and hashes: kernel = reference = DuckDB on generated arguments.

The long form has so many rows that almost every function gives 1,000 different results; the short one an eighth of them.
"""

import json
import struct

import duckdb
import pytest
from case_files import physical
from engines import ENGINES, lines_of

from headwater.core.ids import seeded_random
from headwater.rules import PhysicalRule
from headwater.rules.render import duckdb_failed_predicate, render

CHARACTERS = ["a", "b", "b", "A", "é", "É", "🎬", "e\u0301", " ", "\u00a0", "\t", ",", ",", "\0", "\\", "\n", '"']
EDGES = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 2**53 + 1, 5 * 10**18, -(10**18), 15, -25]
TEXTS, WHOLE = {"list": "VARCHAR"}, {"list": "BIGINT"}
KINDS = {
    "a": "VARCHAR",
    "b": "VARCHAR",
    "i": "BIGINT",
    "k": "BIGINT",
    "n": "BIGINT",
    "d": "DOUBLE",
    "f": "DOUBLE",
    "t": TEXTS,
    "w": WHOLE,
    "r": {"list": "DOUBLE"},
}


def rows(count, seed):
    chance = seeded_random(seed)

    def word(length):
        return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(length)))

    def whole():
        roll = chance.randrange(3)
        return chance.randrange(-9, 9) if roll == 0 else chance.choice(EDGES) if roll == 1 else chance.randrange(-(2**63), 2**63)

    def real():
        roll = chance.randrange(4)
        if roll == 0:
            return chance.randrange(-(10**7), 10**7) / chance.choice([1, 2, 8, 10, 100, 1000])
        bits = struct.unpack("d", struct.pack("Q", chance.getrandbits(64)))[0]
        return chance.choice([0.0, -0.0, 0.5, -0.5, 2.5, 1e300, -5e-324, 9.3e18]) if roll == 1 or bits - bits != 0 else bits

    def some(one):
        return [one() if chance.randrange(6) else None for _ in range(chance.randrange(6))]

    makers = {
        "a": lambda: word(9),
        "b": lambda: word(3),
        "i": whole,
        "k": whole,
        "n": lambda: chance.choice([chance.randrange(-8, 8), chance.randrange(-330, 330), whole()]),
        "d": real,
        "f": real,
        "t": lambda: some(lambda: word(2)),
        "w": lambda: some(lambda: chance.randrange(-3, 4)),
        "r": lambda: some(real),
    }
    return [{name: make() if chance.randrange(12) else None for name, make in makers.items()} for _ in range(count)]


def of(op, kind, *arguments):
    return ["call", op, kind, [["field", [one], KINDS[one]] if isinstance(one, str) else one for one in arguments]]


def split(separator):
    return of("string_split", TEXTS, "a", ["literal", "VARCHAR", separator])


CALLS = {
    "abs": (of("abs", "BIGINT", "i"), of("abs", "DOUBLE", "d")),
    "round": (
        of("round", "BIGINT", "i", "n"),
        of("round", "DOUBLE", "d", "n"),
        of("round", "DOUBLE", "d"),
        of("round", "BIGINT", "i"),
    ),
    "floor": (of("floor", "DOUBLE", "d"),),
    "ceil": (of("ceil", "DOUBLE", "d"),),
    "greatest": (
        of("greatest", "BIGINT", "i", "k", "n"),
        of("greatest", "DOUBLE", "d", "f"),
        of("greatest", "VARCHAR", "a", "b"),
    ),
    "least": (of("least", "BIGINT", "i", "k", "n"), of("least", "DOUBLE", "d", "f"), of("least", "VARCHAR", "a", "b")),
    "md5": (of("md5", "VARCHAR", "a"),),
    "md5_number_lower": (of("md5_number_lower", "DOUBLE", "a"), of("md5_number_lower", "BIGINT", "a", "i")),
    "split_part": (
        of("split_part", "VARCHAR", "a", "b", "n"),
        of("split_part", "VARCHAR", "a", ["literal", "VARCHAR", ","], "n"),
    ),
    "string_split": (split(","), split(""), split("b"), split("é")),
    "list_slice": (
        of("list_slice", TEXTS, "t", "n", "n"),
        of("list_slice", WHOLE, "w", "n", "i"),
        of("list_slice", TEXTS, split(""), "n", "k"),
        of("list_slice", {"list": "DOUBLE"}, "r", "k", "n"),
    ),
    "list_contains": (
        of("list_contains", "BOOLEAN", "w", "n"),
        of("list_contains", "BOOLEAN", "t", "b"),
        of("list_contains", "BOOLEAN", split(""), "b"),
    ),
    "length": (of("length", "BIGINT", "t"), of("length", "BIGINT", split("b"))),
    "list_get": (of("list_get", "VARCHAR", split(","), "n"), of("list_get", "VARCHAR", split(""), "n")),
}
# How many distinct results each must give in the long form, where not 1,000; in the short one an eighth of it, or as few as are.
DISTINCT_MIN = {"list_contains": 2, "length": 6, "list_get": 100, "split_part": 700}
COUNT, SHARE = 12_000, 8


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return world(COUNT // SHARE, tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return world(COUNT, tmp_path_factory.mktemp("long"))


def world(count, folder):
    given = rows(count, 21)
    file = folder / "rows.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    types = {name: kind["list"] + "[]" if isinstance(kind, dict) else kind for name, kind in KINDS.items()}
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute(f"CREATE TABLE rows AS SELECT * FROM read_json('{file}', format = 'newline_delimited', columns = {types})")
    return connection, [json.dumps(row).encode() for row in given]


def written(value):
    """A value in the form of a row: what is not finite is left out."""
    return None if isinstance(value, float) and value - value != 0 else value


@pytest.mark.parametrize("op", CALLS)
def test_engines_agree(short, op):
    least = DISTINCT_MIN.get(op, 1000)
    check(op, *short, least if least < 10 else least // SHARE)


@pytest.mark.slow
@pytest.mark.parametrize("op", CALLS)
def test_engines_agree_on_many_rows(long, op):
    check(op, *long, DISTINCT_MIN.get(op, 1000))


def check(op, connection, events, least):
    results = set()
    for expression in CALLS[op]:
        rule = physical(select=[["r", expression]])
        said = {}
        for name, engine in ENGINES.items():
            result = engine([rule]).run(events)
            failed = {index for index, *_ in result.failures}
            lines = iter(lines_of(result.outputs["out"]))
            said[name] = ["failed" if index in failed else json.loads(next(lines)).get("r") for index in range(len(events))]
        assert repr(said["kernel"]) == repr(said["reference"]), expression
        fails = duckdb_failed_predicate(_rule(rule))
        answers = connection.execute(f"SELECT {render(expression)}, {fails} FROM rows").fetchall()
        expected = ["failed" if fail else written(value) for value, fail in answers]
        different = [
            (event, kernel, wanted)
            for event, kernel, wanted in zip(events, said["kernel"], expected, strict=True)
            if repr(kernel) != repr(wanted)
        ]
        assert different == [], (expression, len(different), different[:3])
        results |= {repr(value) for value in expected}
    assert len(results) >= least, len(results)


def _rule(stored):
    return PhysicalRule.from_json(json.loads(stored))
