"""`headwater bench kernel`: how fast the kernel is on this machine, with one's own events and rules or the project's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from headwater.cli.named_files import named_files, sources
from headwater.cli.udf_files import Udfs, running, udf_set
from headwater.core import limits
from headwater.core.dataset import SourceSchema
from headwater.core.errors import InputError, LinkError, ProjectError
from headwater.core.udf import UdfSet
from headwater.measure import kernel, workload
from headwater.measure.formats import formats
from headwater.registry.json_schema import source_from_json_schema
from headwater.rules import Compiled, compile_sql

EVENTS, EVENTS_SEED, EVENTS_BYTES_MAX = 20_000, 11, limits.BATCH_LINE_BYTES_MAX


class What(StrEnum):
    """What is measured."""

    KERNEL = "kernel"


class Encoding(StrEnum):
    """What events come in and outputs go out as."""

    JSON = "json"
    PROTOBUF = "protobuf"


def bench(
    what: Annotated[What, typer.Argument(metavar="kernel", help="What to measure: kernel.")],
    rules: Annotated[int, typer.Option(min=1, max=200_000, help="How many rules of the built-in workload.")] = 1000,
    encoding: Annotated[Encoding, typer.Option(help="How events and outputs are encoded.")] = Encoding.JSON,
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own events, NDJSON; needs --schema.")] = None,
    rules_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own rules, SQL; needs --schema.")] = None,
    schema: Annotated[str | None, typer.Option(metavar="NAME=FILE", help="The JSON Schema of your own events.")] = None,
    udfs: Udfs = None,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="How many runs the median is of.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.0, max=3600.0, help="CPU seconds of a run.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object.")] = False,
) -> None:
    """Measure the kernel.

    Events a second of CPU time of one thread, in batches of 1,000 events that are held in memory: validated, run through all
    rules, the outputs handed over as bytes. Without files it measures the built-in workload: canonical events of about 880 bytes.
    With --encoding protobuf these events are made into messages first, by their schema, and the outputs are messages.
    """
    if (events is None) != (rules_file is None) or (events is None) != (schema is None):
        raise typer.BadParameter(
            "--events, --rules-file and --schema go together: your own events, rules over them, their schema"
        )
    functions = udf_set(udfs)
    known = sources(named_files("--schema", [schema])) if schema else {"app_events": _workload_source()}
    compiled = _own(rules_file, known, functions) if rules_file else compile_sql(workload.rules(rules), "workload.sql", known)
    batches = _read(events) if events else list(workload.batches(workload.events(EVENTS, EVENTS_SEED), kernel.BATCH_EVENTS))
    stored = [rule.canonical() for rule in compiled.rules]
    made = formats(compiled, next(iter(known.values()))) if encoding is Encoding.PROTOBUF else None
    with running(functions) as host, _progress(runs, quiet=json) as progress:
        try:
            measured = kernel.measure(
                stored, batches, runs=runs, seconds=seconds, formats=made, progress=progress, functions=host
            )
        except ValueError as error:
            raise LinkError(str(error)) from None
    if json:
        print(msgspec.json.encode(measured).decode())
    else:
        _show(measured)


def _workload_source() -> SourceSchema:
    return source_from_json_schema("app_events", workload.schema())


def _own(file: Path, known: Mapping[str, SourceSchema], udfs: UdfSet) -> Compiled:
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(f"{file}: not UTF-8 at byte {error.start}") from None
    compiled = compile_sql(text, str(file), known, udfs)
    for finding in compiled.errors:
        print(finding, file=sys.stderr)
    if compiled.errors:
        raise typer.Exit(1)
    if not compiled.rules:
        raise ProjectError(f"{file} holds no rule")
    return compiled


def _read(file: Path) -> list[bytes]:
    """A file of events as batches. It is held in memory, so that reading it is not measured."""
    size = file.stat().st_size
    if size > EVENTS_BYTES_MAX:
        raise InputError(f"{file} has {size} bytes; at most {EVENTS_BYTES_MAX} are measured with: take a part, as with `head`")
    lines = (line for line in file.read_bytes().split(b"\n") if line.strip())
    batches = list(workload.batches(lines, kernel.BATCH_EVENTS))
    if not batches:
        raise InputError(f"{file} holds no event: it needs one JSON object a line")
    return batches


@contextlib.contextmanager
def _progress(runs: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=runs)
        yield lambda run: bar.update(task, completed=run)


def _show(found: kernel.Measured) -> None:
    """The figures for people."""
    rates = f"{found.events_per_cpu_second:,} events/s of CPU time (runs: {found.slowest:,} to {found.fastest:,})"
    print(f"{rates}, {found.encoding}, {found.dispatch}")
    output = f", {found.ns_per_output:,} ns an output" if found.ns_per_output is not None else ""
    print(f"  {found.ns_per_event:,} ns an event, {found.outputs_per_event:,} outputs an event{output}")
    if found.structure_fraction is not None:
        structure = f"{found.structure_ns_per_event:,} ns, {found.structure_fraction:.1%} of it"
        print(f"  finding the structure of the same bytes alone: {structure}")
    print(f"  {found.rules:,} rules (linked in {found.link_s:,} s), {found.events:,} events of {found.event_bytes:,} bytes")
    if found.rejects or found.failures:
        print(f"  {found.rejects:,} events are no JSON objects, {found.failures:,} times a rule failed for an event")
