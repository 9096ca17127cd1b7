"""`headwater init`."""

from pathlib import Path

import pytest

from headwater.cli.main import run
from headwater.registry.template import write_project


def test_it_writes_a_project_and_says_what_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "my shop"
    assert run(["init", str(directory)]) == 0
    printed = capsys.readouterr().out
    assert sorted(str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()) == [
        ".gitignore",
        "README.md",
        "headwater.toml",
        "plan/demo.toml",
        "rules/actions.sql",
        "rules/orders.sql",
    ]
    assert f"headwater up '{directory}'" in printed
    write_key = (directory / "plan/demo.toml").read_text().split('write_keys = ["')[1].split('"')[0]
    assert write_key.startswith("wk_")
    assert f"-u {write_key}:" in printed
    assert write_key in (directory / "README.md").read_text()


def test_each_project_has_its_own_write_key(tmp_path: Path) -> None:
    assert write_project(tmp_path / "a").write_key != write_project(tmp_path / "b").write_key


def test_a_directory_with_a_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert run(["init", str(tmp_path)]) == 1
    assert "has a project already (headwater.toml is there); name another directory" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_files_in_the_way_are_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/orders.sql").write_text("mine")
    assert run(["init", str(tmp_path)]) == 1
    assert "has rules/orders.sql already; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "headwater.toml").exists()


def test_a_readme_is_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert run(["init", str(tmp_path)]) == 0
    assert "Left as they were: README.md" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["init", str(tmp_path / "file" / "inside")]) == 1
    assert "cannot be written: Not a directory" in capsys.readouterr().err
