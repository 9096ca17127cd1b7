"""Every rendered operation runs in DuckDB and gives what the reference interpreter gives, over rows full of edge values."""

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from headwater.core.dataset import SourceSchema
from headwater.core.ids import seeded_random
from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, TIMESTAMP, VARCHAR, ListOf, StructOf
from headwater.kernel.reference import ReferenceProgram
from headwater.rules import PhysicalRule, compile_sql
from headwater.rules.physical import OPERATIONS
from headwater.rules.render import duckdb_failed_predicate, duckdb_statement, duckdb_where_error_predicate

BASE = StructOf(
    (
        ("line_number", BIGINT),
        ("i", BIGINT),
        ("k", BIGINT),
        ("d", DOUBLE),
        ("f", DOUBLE),
        ("b", BOOLEAN),
        ("c", BOOLEAN),
        ("s", VARCHAR),
        ("t", VARCHAR),
        ("at", TIMESTAMP),
        ("j", JSON),
        ("tags", ListOf(VARCHAR)),
        ("js", ListOf(JSON)),
        ("o", StructOf((("x", BIGINT), ("y y", StructOf((("z", VARCHAR),))), ("raw", JSON)))),
        ("items", ListOf(StructOf((("p", BIGINT),)))),
    )
)
SOURCES = {"src": SourceSchema("src", BASE)}
POOLS = {
    "i": [0, 1, -1, 7, 1000, 2**63 - 1, -(2**63), 2**62, None],
    "k": [0, 1, -1, 3, -3, 2**63 - 1, -(2**63), None],
    "d": [0.0, -0.0, 1.0, 2.5, -3.5, 1e300, -1e300, 5e-324, 9.3e18, 0.1, None],
    "f": [0.0, 2.0, 0.5, -1.0, 1e300, None],
    "b": [True, False, None],
    "c": [True, False, None],
    "s": ["", "12", " 7 ", "x", "1.5", "1e3", "true", "NO", "2026-01-02", "Ünïcode 🎬", "a%b_c", "O'Neill",
        "9223372036854775808", None],
    "t": ["", "a", "12", "c", "%", "🎬", "xx", None],
    "at": ["2026-01-02T03:04:05Z", "1969-12-31T23:59:59.999999Z", "2026-01-02T00:00:00Z", None],
    "tags": [[], ["a"], ["a", None, "🎬"], None],
    "js": [[], [1, "2", None, {"p": 5}], None],
    "o": [{"x": 5, "y y": {"z": "in"}, "raw": {"a": [1]}}, {"x": None, "y y": None, "raw": None},
        {"x": 1, "y y": {"z": None}, "raw": 5}, None],
    "items": [[{"p": 1}, {"p": 2}], [], None],
    "j": [
        5, -0, "12", "007", 1.0, 1.5, "1.5", True, "TRUE", "yes", None, [1, "2", "x"], {"a": 1, "b": "t", "n": {"a": [True]}},
        {"a": "x", "b": 3}, "2026-01-02", "2026-01-02T03:04:05.1234567+02:30", "2026-01-02 24:00", "0001-01-01T00:00:00+01:00",
        2**63, 1767323045000, {"a": None}, "é", [], {}, 10**30,
    ],
}  # fmt: skip
RAW_NUMBERS = ["1e3", "-0", "1.50", "2e-1", "10e-1", "1e400", "9223372036854775807.0", "9223372036854775808", "-9.5E2", "0.0"]

CASES = yaml.safe_load((Path(__file__).parent / "rendered.yaml").read_text())


def events() -> list[str]:
    pick = seeded_random(7)
    lines = []
    for number in range(250):
        event = {name: pick.choice(pool) for name, pool in POOLS.items()}
        text = {
            name: json.dumps(value, ensure_ascii=False)
            for name, value in event.items()
            if value is not None or pick.random() < 0.5
        }
        if pick.random() < 0.2:
            text["j"] = pick.choice(RAW_NUMBERS)
        lines.append("{" + ",".join(f'"{name}":{value}' for name, value in [("line_number", number), *text.items()]) + "}")
    return lines


def shape(kind):
    """A type in the notation of DuckDB's from_json."""
    if isinstance(kind, StructOf):
        return {name: shape(inner) for name, inner in kind.fields}
    if isinstance(kind, ListOf):
        return [shape(kind.item)]
    return "VARCHAR" if kind == TIMESTAMP else str(kind)


@pytest.fixture(scope="module")
def table() -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    connection, lines = duckdb.connect(), events()
    connection.execute("CREATE TABLE raw (line VARCHAR, raw_j JSON)")
    # DuckDB writes numbers anew when it takes a part out of JSON, so the text of `j` is put in on its own.
    values = [[line, found[1] if (found := re.search(r'"j":(.*)}$', line)) and found[1] != "null" else None] for line in lines]
    connection.executemany("INSERT INTO raw VALUES (?, ?)", values)
    read = f"SELECT unnest(from_json(line, '{json.dumps(shape(BASE))}')), raw_j FROM raw"
    connection.execute(
        f'CREATE TABLE src AS SELECT * EXCLUDE (raw_j) REPLACE (CAST("at" AS TIMESTAMP) AS "at", raw_j AS j) FROM ({read})'
    )
    return connection, lines


def compiled(sql: str) -> list[PhysicalRule]:
    result = compile_sql(sql, "all.sql", SOURCES)
    assert not result.errors, "\n".join(map(str, result.errors))
    return list(result.rules)


def plain(value: object, kind: str) -> object:
    """A DuckDB value as it stands in a JSON row."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, datetime):
        text = value.replace(tzinfo=UTC).isoformat().replace("+00:00", "")
        return (text.rstrip("0") if "." in text else text) + "Z"
    if isinstance(value, dict):
        found = {name: plain(inner, "") for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner is not None}
    if isinstance(value, list):
        return [plain(inner, "") for inner in value]
    return json.loads(str(value)) if kind == "JSON" else value


def loosely(value: object) -> object:
    """JSON texts inside lists and structs come out of DuckDB as text; compare them parsed."""
    if isinstance(value, dict):
        return {name: loosely(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [loosely(inner) for inner in value]
    if isinstance(value, str):
        try:
            return loosely(json.loads(value))
        except ValueError:
            return value
    return value


def compare(rule: PhysicalRule, table: tuple[duckdb.DuckDBPyConnection, list[str]]) -> None:
    connection, lines = table
    result = ReferenceProgram([rule.canonical()]).run("\n".join(lines).encode())
    cursor = connection.execute(duckdb_statement(rule, "src"))
    kinds = [str(column[1]) for column in cursor.description]
    rows = [[plain(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in cursor.fetchall()]
    expected = [
        json.loads(line, parse_int=float if "DOUBLE" in kinds else int)
        for line in result.outputs.get(rule.into, b"").decode().splitlines()
    ]
    nested = any(not kind.isalpha() for kind in kinds)
    for row, wanted in zip(sorted(rows, key=lambda one: one[0]), expected, strict=True):
        got = {name: value for name, value in zip(["line_number", "v"], row, strict=False) if value is not None}
        assert (loosely(got) if nested else got) == (loosely(wanted) if nested else wanted), (lines[wanted["line_number"]], kinds)
    predicates = duckdb_where_error_predicate(rule), duckdb_failed_predicate(rule)
    errors = connection.execute(
        "SELECT {} FROM src".format(", ".join(f"count(*) FILTER ({one})" for one in predicates))
    ).fetchone()
    _index, _matched, where_errors, failed, _not_finite = (result.rules or [(0, 0, 0, 0, 0)])[0]
    assert errors == (where_errors, failed)


@pytest.mark.parametrize("expression", CASES["values"])
def test_a_column_is_what_the_reference_gives(expression, table):
    [rule] = compiled(f"INSERT INTO out SELECT line_number, {expression} AS v FROM src")
    compare(rule, table)


@pytest.mark.parametrize("condition", CASES["conditions"])
def test_a_condition_matches_what_the_reference_matches(condition, table):
    [rule] = compiled(f"INSERT INTO out SELECT line_number FROM src WHERE {condition}")
    compare(rule, table)
    [rule] = compiled(f"INSERT INTO out SELECT line_number, {condition} AS v FROM src")
    compare(rule, table)


def test_every_operation_is_rendered_above():
    seen = set()

    def walk(expression):
        if expression and expression[0] == "call":
            seen.add(expression[1])
            for arg in expression[3]:
                walk(arg)

    for expression in [*CASES["values"], *CASES["conditions"]]:
        [rule] = compiled(f"INSERT INTO out SELECT {expression} AS v FROM src")
        walk(rule.select[0][1])
    assert seen == OPERATIONS.keys() - {"udf"}


def test_a_star_rule_gives_line_numbers_and_what_is_replaced(table):
    connection, _lines = table
    [rule] = compiled("INSERT INTO out SELECT * EXCLUDE (t) REPLACE (CAST(s AS BIGINT) AS s) FROM src WHERE b")
    cursor = connection.execute(duckdb_statement(rule, "src"))
    assert [column[0] for column in cursor.description] == ["line_number", "s"]
    rows = cursor.fetchall()
    result = ReferenceProgram([rule.canonical()]).run("\n".join(_lines).encode())
    assert sorted(row[0] for row in rows) == [json.loads(line)["line_number"] for line in result.outputs["out"].splitlines()]
    failed = connection.execute(f"SELECT count(*) FROM src WHERE {duckdb_failed_predicate(rule)}").fetchone()
    assert failed == (result.rules[0][3],)
    assert failed[0] > 0


def test_a_field_with_awkward_names_and_a_nul_in_a_text():
    source = {"src": SourceSchema("src", StructOf((('a"b', StructOf((("c.d", VARCHAR),))),)))}
    result = compile_sql(
        'INSERT INTO out SELECT "a""b"."c.d" AS "x""y" FROM src WHERE "a""b"[\'c.d\'] <> \'p\0q\'', "a.sql", source
    )
    statement = duckdb_statement(result.rules[0], "(SELECT {'c.d': 'p' || chr(0)} AS \"a\"\"b\")")
    cursor = duckdb.connect().execute(statement)
    assert cursor.description[0][0] == 'x"y'
    assert cursor.fetchall() == [("p\0",)]
