"""The exact text of findings, and that one broken part does not hide the others."""

from pathlib import Path

import pytest
import yaml

from headwater.rules import compile_files, compile_sql

CASES = yaml.safe_load((Path(__file__).parent / "findings.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["sql"][:100] for case in CASES])
def test_findings(case, sources):
    found = []
    for finding in compile_sql(case["sql"], "f.sql", sources).findings:
        head, _shown, caret = str(finding).split("\n")
        marked = finding.source_line[finding.caret : finding.caret + finding.length]
        assert caret.endswith("^" * max(1, len(marked)))
        found.append(f"{head.removeprefix('f.sql:')} [{marked}]")
    assert found == case["findings"]


def test_the_text_shows_line_column_and_caret(sources):
    sql = "INSERT INTO likes\nSELECT user_id\nFROM app_events\nWHERE event = 'a' AND properties.duration > 1"
    [finding] = compile_sql(sql, "rules/likes.sql", sources).findings
    assert str(finding) == (
        "rules/likes.sql:4:23: error: no field `properties.duration` in app_events; did you mean `properties.duration_ms`?\n"
        "  4 | WHERE event = 'a' AND properties.duration > 1\n"
        "    |                       ^^^^^^^^^^^^^^^^^^^"
    )
    assert (finding.line, finding.column, finding.length) == (4, 23, 19)
    assert finding.hint == "did you mean `properties.duration_ms`?"


def test_the_caret_stands_right_under_tabs_and_wide_characters(sources):
    sql = "INSERT INTO d SELECT\n\t'日本' AS a,\t'é日' || nothing AS b FROM app_events WHERE event = 'x'"
    [finding] = compile_sql(sql, "f.sql", sources).findings
    assert str(finding).split("\n")[1:] == [
        "  2 | \t'日本' AS a,\t'é日' || nothing AS b FROM app_events WHERE event = 'x'",
        "    | \t            \t         ^^^^^^^",
    ]


def test_a_long_line_is_cut_around_the_place(sources):
    sql = f"INSERT INTO d SELECT {'user_id || ' * 1000} nothing AS x FROM app_events {' ' * 1000}"
    [finding] = compile_sql(sql, "f.sql", sources).findings
    assert len(finding.source_line) <= 160
    assert finding.source_line[finding.caret :].startswith("nothing AS x")
    assert finding.column == sql.index("nothing") + 1


def test_lines_may_end_with_carriage_returns_and_begin_with_a_byte_order_mark(sources):
    sql = "\ufeffINSERT INTO d SELECT\r\nnothing AS x\r\nFROM app_events"
    [finding] = compile_sql(sql, "f.sql", sources).findings
    assert (finding.line, finding.column, finding.source_line) == (2, 1, "nothing AS x")


def test_each_part_that_is_wrong_is_found(sources):
    sql = """
INSERT INTO a SELECT nothing AS x, lower(5) AS y, user_id +, 5 AS z FROM app_events WHERE neither > 1 AND user_id = 3;
SELECT 1;
INSERT INTO b SELECT user_id FROM app_events GROUP BY user_id;
INSERT INTO c SELECT user_id AS x FROM app_events WHERE event = 'b';
INSERT INTO d SELECT never FROM app_events WHERE event = 'b' AND 'unfinished"""
    compiled = compile_sql(sql, "f.sql", sources)
    assert [(finding.line, finding.code) for finding in compiled.findings] == [
        (2, "unknown_field"),
        (2, "type"),
        (2, "syntax"),
        (2, "unknown_field"),
        (2, "type"),
        (3, "outside_subset"),
        (4, "outside_subset"),
        (6, "unknown_field"),
        (6, "unterminated"),
    ]
    assert [rule.into for rule in compiled.rules] == ["c"]
    assert compiled.errors == compiled.findings


def test_files_are_compiled_together(sources):
    files = {
        "a/one.sql": "-- rule: same\nINSERT INTO d SELECT user_id AS x FROM app_events WHERE event = 'a'",
        "b/two.sql": "-- rule: same\nINSERT INTO d SELECT event_time AS X FROM app_events WHERE event = 'a'",
        "c/three.sql": "INSERT INTO d SELECT event_time AS x, app FROM app_events WHERE event = 'a'",
        "d/four.sql": "INSERT INTO d SELECT user_id AS x, device_id FROM app_events WHERE event = 'a'",
    }
    compiled = compile_files(files, sources)
    assert [str(finding).split("\n")[0] for finding in compiled.findings] == [
        "b/two.sql:1:10: error: a rule named `same` is already at a/one.sql:1:10; "
        "give each rule a name of its own: -- rule: name",
        "c/three.sql:1:36: error: the column `x` is BIGINT here and VARCHAR in rule `same` (a/one.sql:2:33); "
        "CAST it to VARCHAR here, or change the other",
    ]
    assert [name for name, _kind in compiled.datasets[0].columns] == ["x", "app", "device_id"]
