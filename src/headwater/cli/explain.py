"""`headwater explain`: how each rule is found, what is then evaluated, and what that costs on a sample."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from headwater.cli.check import _read
from headwater.cli.named_files import named_files, sources
from headwater.cli.udf_files import Udfs, running, udf_set
from headwater.core.errors import InputError, ProjectError
from headwater.kernel.udf.host import Host
from headwater.measure.explain import Condition, Explained, sample
from headwater.measure.explain import explain as explained
from headwater.rules import PhysicalRule, compile_sql

SAMPLE_EVENTS_MAX = 5000


def explain(
    rules: Annotated[Path, typer.Argument(metavar="RULES.sql", help="The rules.")],
    schema: Annotated[
        list[str], typer.Option(metavar="NAME=FILE", help="A source and its JSON Schema. May be given several times.")
    ],
    events: Annotated[
        Path | None, typer.Option("--sample", metavar="FILE", help="Events, NDJSON: what each rule costs on the first 5,000.")
    ] = None,
    udfs: Udfs = None,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")] = False,
) -> None:
    """Say how rules are found and what they cost.

    For each rule: the equality conditions that the index can find it by, the conditions that are evaluated then, and in how many
    other rules each stands too, which the kernel evaluates once an event for all. With --sample, how many events passed each
    condition and those before it, and the CPU time that the rule costs by itself.
    """
    functions = udf_set(udfs)
    compiled = compile_sql(_read(rules), str(rules), sources(named_files("--schema", schema)), functions)
    if compiled.errors:
        raise ProjectError("\n\n".join(map(str, compiled.errors)))
    found, count = explained(compiled.rules), None
    if events is not None:
        with running(functions) as host:
            count = _sampled(compiled.rules, found, _first_events(events), host, quiet=json)
    if json:
        print(msgspec.json.encode({"events": count, "rules": found}).decode())
    else:
        for one in found:
            _show(one, count)


def _first_events(file: Path) -> bytes:
    with file.open("rb") as lines:
        batch = b"".join(islice((line for line in lines if line.strip()), SAMPLE_EVENTS_MAX))
    if not batch:
        raise InputError(f"{file} holds no event: it needs one JSON object a line")
    return batch


def _sampled(rules: tuple[PhysicalRule, ...], found: list[Explained], batch: bytes, functions: Host, quiet: bool) -> int:
    """Runs the sample, with a bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("sampling", total=len(rules))
        return sample(rules, found, batch, lambda done: bar.update(task, completed=done), functions)


def _show(one: Explained, events: int | None) -> None:
    """One rule for people."""
    print(one.rule)
    for condition in one.finds:
        print(f"  found by  {_text(condition)}")
    if not one.finds:
        print("  tried on every event: no condition compares a field with values by = or IN")
    for condition in one.then:
        print(f"  then      {_text(condition)}")
    if events is not None:
        print(f"  of {events:,} events: {one.candidates:,} candidates, {one.matched:,} matched, {one.ns_per_event:,} ns an event")


def _text(condition: Condition) -> str:
    """A condition, who shares it, and how many passed."""
    others = "1 other rule" if condition.shared_with == 1 else f"{condition.shared_with:,} other rules"
    shared = f"  (in {others} too)" if condition.shared_with else ""
    passed = f"  [{condition.passed:,} passed]" if condition.passed is not None else ""
    return f"{condition.text}{shared}{passed}"
