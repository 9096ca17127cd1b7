"""The stored form: a round trip, and what a reader refuses."""

import copy

import pytest

from headwater.rules import PhysicalRule, compile_sql

SQL = """-- rule: likes
-- tier: P1
INSERT INTO d SELECT user_id AS u, CASE WHEN properties.is_ad THEN 1 ELSE -2.5 END AS n, properties.tags
FROM app_events WHERE event IN ('é', 'b') AND properties.started > '2026-01-01'"""


@pytest.fixture
def rule(sources) -> PhysicalRule:
    return compile_sql(SQL, "likes.sql", sources).rules[0]


def test_round_trip(rule, sources):
    assert PhysicalRule.from_json(rule.to_json()) == rule
    [star] = compile_sql("INSERT INTO e SELECT * EXCLUDE (app) REPLACE (1 AS event) FROM app_events", "s.sql", sources).rules
    assert PhysicalRule.from_json(star.to_json()) == star


def test_the_canonical_form_has_sorted_keys_no_space_and_utf_8(rule):
    text = rule.canonical().decode()
    assert text.startswith(
        '{"description":null,"format":1,"from":"app_events","into":"d","name":"likes","owner":null,"select":[['
    )
    assert '["literal","VARCHAR","é"]' in text
    assert len(rule.hash) == 64


def change(path, value):
    def apply(stored):
        *above, last = path
        for key in above:
            stored = stored[key]
        stored[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["format"], 2, "physical rule format 2 is not known; this Headwater reads format 1"),
        (["format"], True, "physical rule format True is not known"),
        (["extra"], 1, "a physical rule has the keys description, format"),
        (["name"], "", "`name` of a physical rule is text"),
        (["owner"], 5, "`owner` of a physical rule is text or null, got 5"),
        (["tier"], "P4", "`tier` of a physical rule is P0, P1, P2, P3 or null, got 'P4'"),
        (["where"], ["literal", "BIGINT", 1], "`where` of a physical rule is BOOLEAN, got 'BIGINT'"),
        (["where"], ["call", "xor", "BOOLEAN", []], "where: the operation 'xor' is not known; known are abs, add, add_interval,"),
        (["where"], ["call", "not", "BOOLEAN", []], "where: `not` does not take 0 arguments"),
        (["where"], ["call", "case", "BOOLEAN", [["field", ["a"], "BOOLEAN"]] * 4], "where: `case` does not take 4 arguments"),
        (["where"], ["field", [], "BOOLEAN"], "where: not an expression"),
        (["where"], ["field", ["a"], "INTEGER"], "not a type: 'INTEGER'"),
        (["select", 0], ["u"], "`select` holds [column, expression]"),
        (["select", 0, 1], ["literal", "BIGINT", 2**63], "column `u`: '9223372036854775808' is no literal of type BIGINT"),
        (["select", 0, 1], ["literal", "BIGINT", True], "is no literal of type BIGINT"),
        (["select", 0, 1], ["literal", "JSON", "{}"], "column `u`: not an expression"),
        (["select"], [], "`select` is a list of [column, expression], not empty"),
        (["select"], {"star": False, "exclude": [], "replace": []}, "`select` is a list"),
    ],
)
def test_a_reader_refuses(rule, path, value, said):
    stored = copy.deepcopy(rule.to_json())
    change(path, value)(stored)
    with pytest.raises(ValueError) as refusal:
        PhysicalRule.from_json(stored)
    assert said in str(refusal.value)


def test_a_reader_refuses_what_nests_too_deep(rule):
    deep = ["field", ["a"], "BOOLEAN"]
    for _level in range(2000):
        deep = ["call", "not", "BOOLEAN", [deep]]
    with pytest.raises(ValueError, match="nests too deep"):
        PhysicalRule.from_json(rule.to_json() | {"where": deep})


def test_a_reader_refuses_what_is_no_object():
    with pytest.raises(ValueError, match="a physical rule is a JSON object, not list"):
        PhysicalRule.from_json([])
