"""Whatever a file holds, compiling it gives findings or rules, never an exception, and does so in bounded time and depth."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core import limits
from headwater.rules import PhysicalRule, compile_sql
from headwater.rules.cursor import RESERVED
from headwater.rules.functions import FUNCTIONS
from headwater.rules.refused import CONSTRUCTS, STATEMENTS
from headwater.rules.render import duckdb_failed_predicate, duckdb_statement, duckdb_where_error_predicate
from tests.unit.rules.conftest import PLAIN, PLANNED

SOURCES = {"app_events": PLAIN, "planned": PLANNED}
RULE = """
-- rule: a
-- tier: P1
INSERT INTO d SELECT user_id AS u, properties.duration_ms / 1000.0 AS s,
  CASE WHEN properties.is_ad THEN 'ad' ELSE lower(properties.title) END AS k,
  CAST(properties.payload.a['b'] AS STRUCT(x BIGINT, "y" VARCHAR[])).x AS p, properties.items[-1].sku || '!' AS q,
  TRY_CAST(user_id AS BIGINT) AS n
FROM app_events
WHERE event IN ('a', 'b') AND NOT (properties.duration_ms BETWEEN 1 AND -5
  OR properties.title LIKE '%a!%' ESCAPE '!') AND user_id IS NOT NULL;
INSERT INTO e SELECT * EXCLUDE (app) REPLACE (coalesce(user_id, device_id, 'none') AS user_id)
FROM planned WHERE event = 'video_like' AND app <> 'shop';
"""
SYNTAX = """
INSERT INTO SELECT FROM WHERE AND OR NOT IN IS NULL CASE WHEN THEN ELSE END CAST AS TRY_CAST app_events planned d event app
user_id properties context . . . , , ( ) ( ) [ ] ; * = <> < <= + - * / // % || :: 'a' 'b' '2026-01-01' 1 2.5 1e3 1e999 0x1
99999999999999999999 "q" "" '' /* */ ' " $$ {# BIGINT VARCHAR STRUCT JSON INTEGER duration_ms payload tags items count é 日本
"""
WORDS = [*RESERVED, *CONSTRUCTS, *STATEMENTS, *FUNCTIONS, *SYNTAX.split(), "-- rule: x\n", "-- tier: P7\n", "\0", "\u2028"]
PIECES = re.findall(r"\w+|\s+|[^\w\s]", RULE)


def check(text: str) -> None:
    compiled = compile_sql(text, "fuzz.sql", SOURCES)
    lines = text.removeprefix("\ufeff").split("\n")
    for finding in compiled.findings:
        assert str(finding).startswith(f"fuzz.sql:{finding.line}:{finding.column}: {finding.severity}: ")
        assert finding.message
        assert finding.length >= 1
        assert finding.column <= len(lines[finding.line - 1]) + 1
        assert finding.source_line in lines[finding.line - 1]
    for rule in compiled.rules:
        assert PhysicalRule.from_json(rule.to_json()) == rule
        assert duckdb_statement(rule, "t")
        assert duckdb_failed_predicate(rule)
        assert duckdb_where_error_predicate(rule)
    assert (
        compiled.rules
        or compiled.findings
        or not re.sub(r"(--[^\n]*|/\*.*\*/|[\s;])+", "", text.removeprefix("\ufeff"), flags=re.DOTALL)
    )


@given(st.text(max_size=200))
def test_any_text(text):
    check(text)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_words(words):
    check(" ".join(words))


@settings(max_examples=150)
@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_any_expression(words):
    check(f"INSERT INTO d SELECT {' '.join(words)} AS x FROM app_events WHERE {' '.join(reversed(words))}")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from(["", *WORDS, *PIECES])), min_size=1, max_size=4))
def test_a_rule_with_changes(changes):
    pieces = list(PIECES)
    for at, piece in changes:
        pieces[at] = piece
    check("".join(pieces))


def test_the_rule_that_is_changed_has_no_errors():
    assert not compile_sql(RULE, "fuzz.sql", SOURCES).errors


DEEP = 5000
NESTED = {
    "parentheses": "(" * DEEP + "1" + ")" * DEEP,
    "open parentheses": "(" * DEEP,
    "not": "NOT " * DEEP + "TRUE",
    "minus": "- " * DEEP + "1",
    "calls": "lower(" * DEEP + "'a'" + ")" * DEEP,
    "cases": "CASE WHEN TRUE THEN " * DEEP + "1" + " END" * DEEP,
    "casts": "CAST(" * DEEP + "1" + " AS BIGINT)" * DEEP,
    "cast suffixes": "1" + "::BIGINT" * DEEP,
    "indexes": "properties.tags" + "[1]" * DEEP,
    "index in index": "properties.tags[" * DEEP + "1" + "]" * DEEP,
    "fields": "properties" + ".a" * DEEP,
    "sums": "1" + " + 1" * DEEP,
    "lists of types": "CAST(properties.payload AS BIGINT" + "[]" * DEEP + ")",
    "structs of types": "CAST(properties.payload AS " + "STRUCT(a " * DEEP + "BIGINT" + ")" * DEEP + ")",
    "in": "1 IN (" * DEEP + "1" + ")" * DEEP,
    "brackets": "[" * DEEP,
    "braces": "{" * DEEP,
}


@pytest.mark.parametrize("expression", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_a_finding(expression):
    sql = f"INSERT INTO d SELECT {expression} AS x FROM app_events WHERE properties.nothing > 1"
    codes = [finding.code for finding in compile_sql(sql, "deep.sql", SOURCES).findings]
    assert codes[0] in ("too_deep", "outside_subset")
    assert "unknown_field" in codes


@pytest.mark.parametrize("word", ["AND", "OR", "||"])
def test_long_chains_are_flat(word):
    operand = "user_id" if word == "||" else "properties.is_ad"
    sql = f"INSERT INTO d SELECT {f' {word} '.join([operand] * DEEP)} AS x FROM app_events"
    [rule] = compile_sql(sql, "long.sql", SOURCES).rules
    assert len(rule.select[0][1][3]) == DEEP


def test_many_warnings_are_no_error_and_hide_none():
    slow = "INSERT INTO d{0} SELECT event FROM app_events WHERE user_id = '{0}';"
    many = "".join(slow.format(number) for number in range(limits.RULE_FINDINGS_MAX + 50))
    compiled = compile_sql(many, "slow.sql", SOURCES)
    assert compiled.errors == ()
    assert (compiled.findings[-1].severity, compiled.findings[-1].message) == ("warning", "50 further warnings are not listed")
    assert [error.code for error in compile_sql(many + "nonsense", "slow.sql", SOURCES).errors] == ["outside_subset"]


def test_the_limits_of_a_file():
    findings = compile_sql("x;" * (limits.RULE_FINDINGS_MAX + 50), "many.sql", {}).findings
    assert len(findings) == limits.RULE_FINDINGS_MAX + 1
    assert findings[-1].message == "50 further errors are not listed"
    name = "n" * (limits.RULE_NAME_BYTES_MAX + 1)
    [finding] = compile_sql(f"-- rule: {name}\nINSERT INTO d SELECT event FROM app_events", "name.sql", SOURCES).errors
    assert finding.message == "the name of the rule is too long"


def test_a_file_that_is_too_large(monkeypatch):
    monkeypatch.setattr(limits, "RULE_FILE_BYTES_MAX", 10)
    [finding] = compile_sql("INSERT INTO d SELECT event FROM app_events", "large.sql", SOURCES).findings
    assert finding.message == "the file has 42 bytes; a file of rules has at most 10"


def test_a_lone_surrogate():
    [finding] = compile_sql("INSERT INTO d SELECT '\ud800' AS x FROM app_events", "bad.sql", SOURCES).findings
    assert (finding.code, finding.column) == ("not_utf8", 23)
