"""A project on disk → a draft, or everything that is wrong with it."""

import os
import shutil
from pathlib import Path

import pytest

from headwater.core.errors import ProjectError
from headwater.core.types import BIGINT, VARCHAR
from headwater.kernel.reference import ReferenceProgram
from headwater.registry import project
from headwater.registry.log_settings import LogSettings
from headwater.registry.snapshot import numbered
from headwater.registry.template import write_project

SETTINGS = 'name = "shop"\n'


def settings_error(directory: Path, text: str) -> str:
    (directory / "headwater.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError) as caught:
        project.load(directory)
    return str(caught.value)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def test_what_init_writes_compiles_without_a_finding(demo: Path) -> None:
    examined = project.examine(project.load(demo))
    assert examined.findings == ()
    assert examined.draft is not None
    assert examined.draft.source == "app_events"
    assert [rule.name for rule in examined.draft.rules] == ["likes", "long_plays", "orders"]
    columns = dict(next(dataset for dataset in examined.draft.datasets if dataset.name == "user_actions").columns)
    assert columns["item_id"] == VARCHAR
    assert columns["ts"] == BIGINT


def test_a_program_links_what_was_compiled(demo: Path) -> None:
    program = ReferenceProgram(numbered(project.compile(project.load(demo)), 1, 0).physical())
    event = b'{"event": "video_like", "app": "demo", "user_id": "ann", "event_time": 5, "properties": {"video_id": "v1"}}'
    assert program.run(event).outputs == {"user_actions": b'{"uid":"ann","ts":5,"action":"like","item_id":"v1"}\n'}


def test_no_write_key_is_in_a_snapshot(demo: Path) -> None:
    write_key = (demo / "plan/demo.toml").read_text().split('write_keys = ["')[1].split('"')[0]
    assert write_key.encode() not in numbered(project.compile(project.load(demo)), 1, 0).encode()


def test_compiling_twice_gives_the_same_hash(demo: Path) -> None:
    first = project.compile(project.load(demo))
    (demo / "rules/orders.sql").write_text((demo / "rules/orders.sql").read_text() + "\n-- only a remark\n")
    assert project.compile(project.load(demo)).content_hash() == first.content_hash()


def test_settings_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text(SETTINGS)
    loaded = project.load(tmp_path)
    assert loaded.settings == project.Settings(
        "shop",
        "file-led",
        "app_events",
        "127.0.0.1",
        8080,
        tmp_path / "data",
        tmp_path / "out",
        LogSettings({"local": str(tmp_path / "data/log")}, "local"),
    )
    assert (loaded.plan, loaded.rules) == ({}, {})
    assert project.compile(loaded).rules == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "headwater.toml:1:1: error: name is missing"),
        ("name = 'a'\nprot = 1", "headwater.toml:2:1: error: there is no key 'prot'; did you mean `port`?"),
        ("name = 'a'\n[collect]", "there is no key 'collect'; valid keys are name, mode, source, host, port, data_dir, out_dir"),
        ("name = 3", "name is a text; got a whole number"),
        ("name = 'a'\nmode = 'registry-led'", "mode is 'file-led'; got 'registry-led'"),
        ("name = 'a'\nport = 70000", "port is a whole number from 0 to 65535; got 70000"),
        ("name = 'a'\nport = '80'", "port is a whole number from 0 to 65535; got a text"),
        ("name = 'a'\nsource = 'app-events'", "'app-events' is not the name of a dataset; valid are letters, digits and _"),
        ("name = 'a'\nsource = 'dead_letters'", "'dead_letters' is the dataset of what was refused; name another source"),
        ("name = 'a'\ndata_dir = 'out'", "data_dir is a directory of its own; got 'out'"),
        ("name = 'a'\nout_dir = 'rules'", "out_dir is a directory of its own; got 'rules'"),
        ("name = ", "headwater.toml:1:8: error: not TOML"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in settings_error(tmp_path, text)


def test_a_directory_without_a_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"is no project: it has no headwater\.toml\. `headwater init .*` writes one"):
        project.load(tmp_path)


def test_settings_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ProjectError, match="not UTF-8 at byte 8"):
        project.load(tmp_path)
    (tmp_path / "headwater.toml").unlink()
    (tmp_path / "headwater.toml").mkdir()
    with pytest.raises(ProjectError, match="cannot be read: Is a directory"):
        project.load(tmp_path)


def test_all_findings_are_in_the_error_errors_first(demo: Path) -> None:
    (demo / "rules/orders.sql").write_text(
        "INSERT INTO a SELECT * FROM app_events WHERE app = 'demo';\nINSERT INTO b SELECT nope FROM app_events;\n"
    )
    with pytest.raises(ProjectError) as caught:
        project.compile(project.load(demo))
    severities = [finding.severity for finding in caught.value.findings]
    assert severities == sorted(severities, key=lambda severity: severity != "error")
    assert {"error", "warning"} == set(severities)
    for finding in caught.value.findings:
        assert str(finding) in str(caught.value)


def test_rules_are_not_judged_by_a_plan_that_is_broken(demo: Path) -> None:
    (demo / "plan/demo.toml").write_text("[[event_type")
    examined = project.examine(project.load(demo))
    assert examined.draft is None
    assert {finding.file for finding in examined.findings} == {"plan/demo.toml"}


def test_files_that_cannot_be_read_are_findings(demo: Path) -> None:
    (demo / "rules/latin.sql").write_bytes(b"-- ok\n-- caf\xe9\n")
    (demo / "plan/directory.toml").mkdir()
    examined = project.examine(project.load(demo))
    assert examined.draft is None
    said = "\n".join(map(str, examined.findings))
    assert "plan/directory.toml:1:1: error: cannot be read: Is a directory" in said
    assert "rules/latin.sql:2:1: error: not UTF-8: byte 12" in said


def test_a_pipe_is_not_waited_for(demo: Path) -> None:
    os.mkfifo(demo / "rules" / "pipe.sql")
    assert "rules/pipe.sql:1:1: error: cannot be read: Is a pipe or device" in str(
        project.examine(project.load(demo)).findings[0]
    )


def test_a_directory_that_cannot_be_read_is_no_empty_one(demo: Path) -> None:
    shutil.rmtree(demo / "rules")
    (demo / "rules").write_text("")
    examined = project.examine(project.load(demo))
    assert examined.draft is None
    assert str(examined.findings[0]).startswith("rules:1:1: error: cannot be read: Not a directory")


def test_hidden_and_other_files_are_not_read(demo: Path) -> None:
    before = project.compile(project.load(demo)).content_hash()
    for name in ("rules/.#orders.sql", "rules/orders.sql~", "rules/orders.sql.swp", "plan/.demo.toml.swp"):
        (demo / name).write_text("half written [[")
    assert project.compile(project.load(demo)).content_hash() == before


def test_a_byte_order_mark_is_passed_over(demo: Path) -> None:
    before = project.compile(project.load(demo)).content_hash()
    for name in ("headwater.toml", "plan/demo.toml", "rules/orders.sql"):
        (demo / name).write_bytes(b"\xef\xbb\xbf" + (demo / name).read_bytes())
    assert project.compile(project.load(demo)).content_hash() == before


def test_a_project_that_nothing_can_report_to_is_warned_of(demo: Path) -> None:
    plan = demo / "plan/demo.toml"
    plan.write_text("\n".join(line for line in plan.read_text().splitlines() if not line.startswith("write_keys")))
    examined = project.examine(project.load(demo))
    assert examined.draft is not None
    assert [str(finding).split("\n")[0] for finding in examined.findings] == [
        "plan/demo.toml:1:1: warning: no app has a write key, so nothing can be reported; "
        "plan/*.toml holds apps: [[app]] with name, owner and write_keys"
    ]
    plan.rename(demo / "plan/demo.yaml")
    first, *others = project.examine(project.load(demo)).findings
    assert (first.file, first.code) == ("plan", "no_write_key")
    assert {finding.code for finding in others} == {"unknown_field"}


@pytest.mark.parametrize("line", ["host = 127.0.0.1", "name = shop"])
def test_a_text_without_quotes_is_told_of_them(demo: Path, line: str) -> None:
    (demo / "headwater.toml").write_text(line)
    with pytest.raises(ProjectError, match=r'not TOML: .*; a text has quotes: key = "value"'):
        project.load(demo)
