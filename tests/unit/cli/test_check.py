"""`headwater check`: findings, the summary and the exit code."""

import json
from pathlib import Path

import pytest

from headwater.cli.main import run
from headwater.registry.template import write_project

GOOD = "-- rule: good\nINSERT INTO a SELECT id FROM s WHERE event = 'x';\n"
BAD = "-- rule: bad\nINSERT INTO a SELECT idd FROM s WHERE event = 'x';\n"
SLOW = "-- rule: slow\nINSERT INTO a SELECT id FROM s WHERE id > 3;\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "event": {"type": "string"}}}
    (tmp_path / "s.json").write_text(json.dumps(schema))
    for name, text in (("good.sql", GOOD), ("bad.sql", BAD), ("slow.sql", SLOW)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_good_rules(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "good.sql", "--schema", "s=s.json"]) == 0
    assert capsys.readouterr().out == "no errors, no warnings in 1 rule, 1 dataset\n"


def test_an_error_is_shown_with_its_caret_and_exit_code_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "bad.sql", "good.sql", "--schema", "s=s.json"]) == 1
    assert capsys.readouterr().out == (
        "bad.sql:2:22: error: no field `idd` in s; did you mean `id`?\n"
        "  2 | INSERT INTO a SELECT idd FROM s WHERE event = 'x';\n"
        "    |                      ^^^\n"
        "\n"
        "1 error, no warnings\n"
    )


def test_warnings_give_exit_code_1_unless_they_are_allowed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "slow.sql", "--schema", "s=s.json"]) == 1
    assert capsys.readouterr().out.endswith("no errors, 1 warning in 1 rule, 1 dataset\n")
    assert run(["check", "slow.sql", "--schema", "s=s.json", "--allow-warnings"]) == 0


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "bad.sql", "--schema", "s=s.json", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["errors"], printed["warnings"]) == (1, 0)
    finding = printed["findings"][0]
    assert (finding["file"], finding["line"], finding["column"], finding["severity"]) == ("bad.sql", 2, 22, "error")
    assert run(["check", "good.sql", "--schema", "s=s.json", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rules"], printed["datasets"], printed["findings"]) == (["good"], ["a"], [])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["good.sql"], 2, "rule files need --schema NAME=FILE"),
        (["good.sql", "--schema", "s.json"], 2, "--schema takes NAME=FILE, such as app_events=schema.json; got 's.json'"),
        (["good.sql", "--schema", "s=s.json", "--schema", "s=t.json"], 2, "--schema names 's' twice: s.json and t.json"),
        (["good.sql", "--schema", "s=none.json"], 1, "headwater: none.json: cannot be read: No such file or directory"),
        (["none.sql", "--schema", "s=s.json"], 2, "none.sql is not there; name rule files or the directory of a project"),
        (["none"], 2, "none is not there; name rule files or the directory of a project"),
        (["latin.sql", "--schema", "s=s.json"], 1, "headwater: latin.sql: not UTF-8 at byte 3"),
        ([".", "--schema", "s=s.json"], 2, "a project is checked alone and without --schema"),
        ([".", "good.sql"], 2, "a project is checked alone and without --schema"),
        ([], 1, "headwater: . is no project: it has no headwater.toml"),
    ],
)
def test_what_cannot_be_checked_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    (here / "latin.sql").write_bytes(b"-- \xe9")
    assert run(["check", *arguments]) == code
    printed = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert said in printed


def test_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    assert run(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no errors, no warnings in 3 rules, 2 datasets, 4 event types\n"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan/more.toml").write_text("x = 1")
    assert run(["check"]) == 1
    assert capsys.readouterr().out.startswith("plan/more.toml:1:1: error: there is no key 'x'")
    (tmp_path / "headwater.toml").write_text("x = 1")
    assert run(["check"]) == 1
    assert "2 errors, no warnings" in capsys.readouterr().out
