"""`headwater explain`: how each rule is found, what is then evaluated, and what that costs on a sample."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from headwater.cli.check import _read
from headwater.cli.named_files import named_files, sources
from headwater.cli.udf_files import Udfs, running, udf_set
from headwater.core.errors import InputError, ProjectError
from headwater.measure.explain import Condition, Explained, sample
from headwater.measure.explain import explain as explained
from headwater.rules import compile_sql

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

    For each rule: the conditions by which the kernel's index finds it, those that are evaluated then, and in how many other rules
    each stands too, which the kernel evaluates once an event for all. With --sample, how many events passed each condition and
    those before it, for how many the index could not rule the rule out, and the time that it takes.
    """
    functions = udf_set(udfs)
    compiled = compile_sql(_read(rules), str(rules), sources(named_files("--schema", schema)), functions)
    if compiled.errors:
        raise ProjectError("\n\n".join(map(str, compiled.errors)))
    found, count = explained(compiled.rules), None
    if events is not None:
        with running(functions) as host:
            count = sample(compiled.rules, found, _first_events(events), host)
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


def _show(one: Explained, events: int | None) -> None:
    """One rule for people."""
    print(one.rule)
    for condition in one.finds:
        print(f"  found by  {_text(condition)}")
    if not one.groups:
        print("  never: its conditions contradict each other")
    elif not one.finds:
        print("  looked at for every event" + (f", together with {_others(one.beside)}" if one.beside else ""))
    elif one.beside:
        print(f"  looked at together with up to {_others(one.beside)}")
    for condition in one.then:
        print(f"  then      {_text(condition)}")
    if events is not None:
        print(f"  of {events:,} events: {one.evaluated:,} evaluated, {one.matched:,} matched, {one.ns_per_event:,} ns an event")


def _text(condition: Condition) -> str:
    """A condition, who shares it, and how many passed."""
    shared = f"  (in {_others(condition.shared_with)} too)" if condition.shared_with else ""
    passed = f"  [{condition.passed:,} passed]" if condition.passed is not None else ""
    return f"{condition.text}{shared}{passed}"


def _others(count: int) -> str:
    return "1 other rule" if count == 1 else f"{count:,} other rules"
