from headwater.core.dataset import SourceSchema
from headwater.core.types import BIGINT, VARCHAR, StructOf
from headwater.rules import compile_sql

SOURCES = {
    "app_events": SourceSchema(
        "app_events",
        StructOf((("event", VARCHAR), ("user_id", VARCHAR), ("properties", StructOf((("duration_ms", BIGINT),))))),
    )
}


def test_a_rule_becomes_physical() -> None:
    sql = "-- rule: likes\nINSERT INTO likes SELECT user_id AS uid FROM app_events WHERE event = 'like'"
    sql += " AND properties.duration_ms > 10"
    compiled = compile_sql(sql, "likes.sql", SOURCES)
    assert not compiled.findings
    assert compiled.rules[0].to_json()["where"][3][1] == [
        "call",
        "gt",
        "BOOLEAN",
        [["field", ["properties", "duration_ms"], "BIGINT"], ["literal", "BIGINT", 10]],
    ]


def test_a_finding_says_where_and_what_would_be_valid() -> None:
    sql = "INSERT INTO likes\nSELECT user_id\nFROM app_events\nWHERE event = 'a' AND properties.duration > 1"
    finding = compile_sql(sql, "likes.sql", SOURCES).findings[0]
    assert str(finding) == (
        "likes.sql:4:23: error: no field `properties.duration` in app_events; did you mean `properties.duration_ms`?\n"
        "  4 | WHERE event = 'a' AND properties.duration > 1\n"
        "    |                       ^^^^^^^^^^^^^^^^^^^"
    )
