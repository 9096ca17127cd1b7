"""`headwater`: the list of commands, and what every one of them does with an error.

Exit codes: 0 done; 1 failed, or findings that are errors; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

import headwater
from headwater.core.errors import HeadwaterError

COMMANDS: tuple[tuple[str, str], ...] = (
    ("init", "Write a small working project."),
    ("check", "Check rules, or a whole project."),
    ("etl", "Run rules over files of events."),
    ("proto", "Give Protobuf datasets their numbers, and write their .proto files."),
    ("up", "Run a project in one process."),
    ("collect", "Take events over HTTP, as one of several collectors of a project."),
    ("worker", "Run the rules, as one of several workers of a project."),
    ("deliver", "Write the datasets of a project to their files, beside its collectors and workers."),
    ("explain", "Say how rules are found and what they cost."),
    ("bench", "Measure the kernel."),
    ("demo", "Start an example project with simulated users, and report what came of it."),
)
"""Name and help. A command is the function of that name in `headwater.cli.<name>`; its docstring begins with the same help."""

GROUPS: tuple[tuple[str, str], ...] = (("log", "Look into a log, and keep it in order."),)
"""Name and help of commands that have commands: those of `COMMANDS` in the package `headwater.cli.<name>`."""


def main() -> None:
    """Entry point of the program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and gives its exit code."""
    try:
        _app(arguments)(list(arguments), prog_name="headwater")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except HeadwaterError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return 0


def _failed(text: str) -> int:
    print(f"headwater: {text}", file=sys.stderr)
    return 1


def _app(arguments: Sequence[str]) -> typer.Typer:
    """The typer app. Only commands that the arguments name are imported, so that `headwater --help` stays quick."""
    app = _typer("headwater")
    app.callback()(_options)
    _add(app, "headwater.cli", COMMANDS, arguments)
    for name, summary in GROUPS:
        group = _typer(name)
        place = f"headwater.cli.{name}"
        _add(group, place, import_module(place).COMMANDS if name in arguments else (("", ""),), arguments)
        app.add_typer(group, name=name, help=summary)
    return app


def _typer(name: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _add(app: typer.Typer, place: str, commands: Sequence[tuple[str, str]], arguments: Sequence[str]) -> None:
    for name, summary in commands:
        function = getattr(import_module(f"{place}.{name}"), name) if name in arguments else _unloaded(summary)
        app.command(name, help=_flowing(function.__doc__ or ""))(function)


def _flowing(text: str) -> str:
    """A docstring whose lines are broken by the terminal's width, not by ours."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _unloaded(summary: str) -> Callable[..., Any]:
    def command() -> None: ...

    command.__doc__ = summary
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"headwater {headwater.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version and end.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Headwater takes the events that apps report, checks them, turns them with SQL rules and delivers them."""
