"""`headwater etl`: rules over files, once."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from headwater.cli.named_files import named_files, sources
from headwater.cli.udf_files import UdfBatchMs, Udfs, running, udf_set
from headwater.core.descriptor import Descriptor
from headwater.core.errors import InputError, LinkError, OutputError, ProjectError, SchemaError, UdfError
from headwater.core.limits import UDF_BATCH_MS_MAX
from headwater.core.udf import UdfSet
from headwater.etl import batch
from headwater.registry.encoding import numbered_by_order
from headwater.registry.proto_file import descriptor_from_files
from headwater.rules import Compiled, compile_sql

CANNOT_READ_OR_WRITE = 2


class Format(StrEnum):
    """What the datasets are written as."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
    PROTOBUF = "protobuf"


def etl(
    rules: Annotated[Path, typer.Argument(metavar="RULES.sql", help="The rules.")],
    schema: Annotated[
        list[str], typer.Option(metavar="NAME=FILE", help="A source and its JSON Schema. May be given several times.")
    ],
    input_: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="NAME=FILE",
            help="Events of a source: NDJSON, also gzip or zstd; - is standard input. May be given several times.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go: DATASET.ndjson and dead_letters.ndjson.")],
    proto: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE:MESSAGE",
            help="The events of a source are this message of a .proto file, each behind its length. May be given several times.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="protobuf writes .proto files beside; parquet needs the extra `lake`.")
    ] = Format.NDJSON,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace files of these names in a directory that is not empty.")
    ] = False,
    udfs: Udfs = None,
    udf_batch_ms: UdfBatchMs = UDF_BATCH_MS_MAX,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Run rules over files of events.

    Exit codes: 0 done, dead letters or not; 1 errors in the rules or a schema; 2 wrong usage, or an input or the output cannot be
    used; 130 interrupted. The files appear together at the end; after any other exit code than 0 none of them appears.
    """
    # A supervisor's SIGTERM ends the run as Ctrl-C does: what was begun is removed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        schemas = named_files("--schema", schema)
        descriptors = _descriptors(proto or [], schemas)
        inputs = [_input(each, schemas, descriptors) for each in input_]
        functions = udf_set(udfs)
        compiled = _compile(rules, schemas, functions)
        with running(functions, udf_batch_ms) as host, _progress(quiet=json) as progress:
            datasets = compiled.datasets
            if format_ is Format.PROTOBUF:
                datasets = numbered_by_order(datasets, compiled.rules, sources(schemas))
            summary = batch.run(compiled.rules, datasets, inputs, output, format_.value, overwrite, progress, host)
    except (SchemaError, LinkError, ProjectError, UdfError) as e:
        _end(str(e), 1)
    except (InputError, OutputError) as e:
        _end(str(e), CANNOT_READ_OR_WRITE)
    except KeyboardInterrupt:
        _end("interrupted; nothing was written", 130)
    finally:
        signal.signal(signal.SIGTERM, before)
    if json:
        print(msgspec.json.encode(summary).decode())
    else:
        _show(summary, output)


def _descriptors(given: list[str], schemas: Collection[str]) -> dict[str, Descriptor]:
    """The messages that events of sources are."""
    found = {}
    for name, path in named_files("--proto", given).items():
        file, colon, message = str(path).rpartition(":")
        if not colon or name not in schemas:
            example = f"{next(iter(schemas))}=events.proto:shop.Event"
            text = f"--proto takes NAME=FILE:MESSAGE of a source with a --schema, such as {example}; got {path}"
            raise typer.BadParameter(text)
        try:
            files = {one.name: one.read_text(encoding="utf-8") for one in Path(file).parent.glob("*.proto")}
        except (OSError, UnicodeDecodeError) as e:
            raise InputError(f"cannot read the .proto files beside {file}: {e}") from e
        found[name] = descriptor_from_files(files, Path(file).name, message)
    return found


def _input(text: str, schemas: Collection[str], descriptors: Mapping[str, Descriptor]) -> batch.BatchInput:
    (given,) = named_files("--input", [text]).items()
    if given[0] not in schemas:
        raise typer.BadParameter(f"--input {text} needs a --schema {given[0]}=FILE; there is one for {', '.join(schemas)}")
    return batch.BatchInput(given[0], str(given[1]), descriptors.get(given[0]))


def _compile(rules: Path, schemas: Mapping[str, Path], udfs: UdfSet) -> Compiled:
    try:
        text = rules.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"cannot read {rules}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{rules} is not UTF-8: byte {e.start}") from e
    compiled = compile_sql(text, str(rules), sources(schemas), udfs)
    for finding in compiled.findings:
        print(finding, file=sys.stderr)
    if compiled.errors:
        raise typer.Exit(1)
    return compiled


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[batch.Progress], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[events]:>13,} events"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None, events=0)
        yield lambda at: bar.update(task, completed=at.read_bytes, total=at.total_bytes, events=at.events)


def _show(summary: batch.Summary, output: Path) -> None:
    rate = f"{summary.events_per_second:,.0f} events/s"
    letters = f"{summary.dead_letters:,} dead letter{'' if summary.dead_letters == 1 else 's'}"
    print(f"{summary.events:,} events in {summary.seconds:,.1f} s ({rate}), {letters}, in {output}:")
    for dataset, rows in sorted(summary.outputs.items()):
        print(f"  {rows:>13,}  {dataset}")


def _end(text: str, code: int) -> NoReturn:
    print(f"headwater: {text}", file=sys.stderr)
    raise typer.Exit(code)
