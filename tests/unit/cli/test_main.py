"""The frame of the command line: help, version, errors, exit codes."""

import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import headwater
from headwater.cli import main
from headwater.core.errors import ProjectError


@pytest.mark.parametrize(("name", "summary"), main.COMMANDS)
def test_a_command_is_the_function_of_its_name_and_its_help_is_the_list_s(name: str, summary: str) -> None:
    function = getattr(import_module(f"headwater.cli.{name}"), name)
    assert function.__doc__.splitlines()[0] == summary


@pytest.mark.parametrize(("group", "summary"), main.GROUPS)
def test_a_group_has_its_commands_in_a_package_of_its_name(group: str, summary: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    assert summary in capsys.readouterr().out
    commands = import_module(f"headwater.cli.{group}").COMMANDS
    assert main.run([group, "--help"]) == 0
    printed = capsys.readouterr().out
    for name, help_ in commands:
        function = getattr(import_module(f"headwater.cli.{group}.{name}"), name)
        assert function.__doc__.splitlines()[0] == help_
        assert f" {name} " in printed


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, summary in main.COMMANDS:
        assert name in printed
        assert summary.split()[0] in printed


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from headwater.cli import main; main.run(['--help']);"
        "print([name for name in sys.modules if name.startswith(('headwater.', 'sqlglot', 'uvicorn'))], file=sys.stderr)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "headwater.cli.main" in loaded
    for heavy in ("sqlglot", "uvicorn", "headwater.registry", "headwater.kernel", "headwater.cli.init"):
        assert f"'{heavy}" not in loaded


def test_help_fills_the_lines_of_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main.run(["etl", "--help"]) == 0
    above = capsys.readouterr().out.split("╭")[0].splitlines()
    paragraph = above[next(at for at, line in enumerate(above) if "Exit codes" in line) :]
    lines = [line.strip() for line in paragraph if line.strip()]
    assert len(lines) > 1
    for line, after in pairwise(lines):
        assert len(line) + 1 + len(after.split()[0]) > 78, f"{line!r} ends early"


def test_a_flag_is_not_shown_as_taking_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["etl", "--help"]) == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if "<bool>" in line and "--help" not in line]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"headwater {headwater.__version__}\n"


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["ini"]) == 2
    assert "Did you mean 'init'?" in capsys.readouterr().err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def init() -> None:
        raise error

    monkeypatch.setattr("headwater.cli.init.init", init)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProjectError("no project here"), "headwater: no project here\n"),
        (PermissionError(13, "Permission denied", "/a/b"), "headwater: /a/b: Permission denied\n"),
        (OSError("no file name"), "headwater: no file name\n"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    raising(monkeypatch, error)
    assert main.run(["init"]) == 1
    assert capsys.readouterr().err == text


def test_an_interrupt_is_exit_code_130_and_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert main.run(["init"]) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main.run(["init"])


def test_the_program_is_installed() -> None:
    program = Path(sys.executable).with_name("headwater")
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.startswith("headwater ")
