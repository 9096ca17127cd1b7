"""`headwater check`: what is wrong with rules or with a project, where, and what would be valid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from headwater.cli.named_files import named_files, sources
from headwater.cli.udf_files import Udfs, udf_texts
from headwater.core.errors import ProjectError
from headwater.registry import project
from headwater.registry.udfs import examine_udfs
from headwater.rules import Finding, compile_files

_COLOURS = {"error": "red", "warning": "yellow"}


class Checked(msgspec.Struct):
    """What `--json` prints, with the findings: names of rules and datasets where they could be read."""

    findings: Sequence[Finding]
    rules: list[str] = []
    datasets: list[str] = []
    event_types: int = 0

    def count(self, severity: str) -> int:
        """How many findings are of that severity."""
        return sum(finding.severity == severity for finding in self.findings)


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="RULES.sql…|PROJECT_DIR", help="Rule files, or a project; here if left out.")
    ] = None,
    schema: Annotated[
        list[str] | None,
        typer.Option("--schema", metavar="NAME=FILE", help="JSON Schema of a dataset that rule files read; repeatable."),
    ] = None,
    udfs: Udfs = None,
    allow_warnings: Annotated[bool, typer.Option("--allow-warnings", metavar="", help="Exit with 1 for errors only.")] = False,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")] = False,
) -> None:
    """Check rules, or a whole project.

    Prints every finding with its place and what would be valid. The exit code is 1 if there is any; with --allow-warnings,
    if any is an error.
    """
    checked = _check(paths or [Path()], schema or [], udfs or [])
    if json:
        counts = {"errors": checked.count("error"), "warnings": checked.count("warning")}
        print(msgspec.json.encode(counts | msgspec.to_builtins(checked)).decode())
    else:
        _print(checked)
    if checked.count("error") or (checked.findings and not allow_warnings):
        raise typer.Exit(1)


def _check(paths: list[Path], schemas: list[str], udfs: list[Path]) -> Checked:
    if missing := [path for path in paths if not path.exists()]:
        raise typer.BadParameter(f"{missing[0]} is not there; name rule files or the directory of a project")
    directories = [path for path in paths if path.is_dir()]
    if not directories:
        if not schemas:
            raise typer.BadParameter("rule files need --schema NAME=FILE for each dataset that they read, or check their project")
        functions, findings = examine_udfs(udf_texts(udfs))
        texts, known = {str(path): _read(path) for path in paths}, sources(named_files("--schema", schemas))
        compiled = compile_files(texts, known, udfs=functions)
        names = [rule.name for rule in compiled.rules], [dataset.name for dataset in compiled.datasets]
        return Checked((*findings, *compiled.findings), *names)
    if len(paths) > 1 or schemas or udfs:
        raise typer.BadParameter("a project is checked alone and without --schema and --udfs: it has a plan and udfs/*.py")
    try:
        examined = project.examine(project.load(directories[0]))
    except ProjectError as error:
        if not error.findings:
            raise
        return Checked(error.findings)
    draft = examined.draft
    if draft is None:
        return Checked(examined.findings)
    names = [rule.name for rule in draft.rules], [dataset.name for dataset in draft.datasets]
    return Checked(examined.findings, *names, len(draft.event_types))


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(f"{file}: not UTF-8 at byte {error.start}") from None


def _print(checked: Checked) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in checked.findings:
        head, *lines = str(finding).split("\n")
        text = Text(head, style="bold")
        text.highlight_words([f" {finding.severity}: "], _COLOURS[finding.severity])
        console.print(text)
        console.print(Text("\n".join([*lines, ""]), style="dim" if finding.severity == "warning" else ""))
    errors, warnings = checked.count("error"), checked.count("warning")
    colour = "red" if errors else "yellow" if warnings else "green"
    verdict = Text(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}", style=f"bold {colour}")
    if not errors:
        parts = [_counted(len(checked.rules), "rule"), _counted(len(checked.datasets), "dataset")]
        parts += [_counted(checked.event_types, "event type")] if checked.event_types else []
        verdict.append(f" in {', '.join(parts)}", "not bold default")
    console.print(verdict)


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
