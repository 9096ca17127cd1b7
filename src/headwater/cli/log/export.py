"""`headwater log export`: records into files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
import typer

from headwater.cli.log.cat import TopicArgument
from headwater.cli.log.condition import WhereOption, condition, selected
from headwater.cli.log.extent import FromOption, PartitionOption, ToOption, extents
from headwater.cli.log.place import LogOption, ProjectOption, find_log, reading
from headwater.cli.log.progress import progress
from headwater.cli.log.shown import Printed, as_json, ndjson
from headwater.core.errors import OutputError
from headwater.core.record import decode_all

_ROWS_MAX = 10_000


class Format(StrEnum):
    """What the files are."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


class Exported(msgspec.Struct):
    """One file: the records of a partition."""

    file: str
    partition: int
    records: int


class _Writer(Protocol):
    def write(self, rows: Sequence[Printed]) -> None: ...
    def close(self) -> None: ...


def export(
    topic: TopicArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if it is not there, else empty.")],
    format_: Annotated[Format, typer.Option("--format", help="parquet and arrow need the extra `lake`.")] = Format.NDJSON,
    first: FromOption = "earliest",
    last: ToOption = "latest",
    partition: PartitionOption = None,
    where: WhereOption = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print the files as one JSON object.")] = False,
) -> None:
    """Write the records of a topic into files.

    One file for each partition that has any: DIR/PARTITION.ndjson, .parquet or .arrow (an Arrow IPC file), with the columns of
    `headwater log cat --json`; in Parquet and Arrow the payload is a text. The files appear together at the end; after a failure
    none of them does.
    """
    arrow = _load_pyarrow() if format_ is not Format.NDJSON else None
    place = find_log(project, log)
    with reading(place) as opened:
        chosen = extents(opened, topic, partition, first, last)
        holds = condition(where, place, opened, topic)
        done = 0
        with (
            _Files(directory, format_, arrow) as files,
            progress("exporting", json, sum(extent.end - extent.start for extent in chosen)) as at,
        ):
            for extent in chosen:
                for offset, records in selected(opened, topic, extent, holds):
                    rows = [as_json(topic, extent.partition, offset + n, one) for n, one in enumerate(decode_all(records))]
                    files.write(extent.partition, rows)
                    at(done + offset + len(rows) - extent.start)
                done += extent.end - extent.start
            found = files.finish()
    if json:
        print(msgspec.json.encode({"topic": topic, "files": found}).decode())
    else:
        print(f"{sum(each.records for each in found):,} records of {topic} in {directory}:")
        for each in found:
            print(f"  {each.records:>13,}  {each.file}")


def _load_pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError(
            "--format parquet and arrow need pyarrow, which is not installed: pip install 'headwater[lake]'"
        ) from error
    return pyarrow


class _Files:
    """Files under temporary names until `finish`; without it they are removed at the end."""

    def __init__(self, directory: Path, format_: Format, arrow: Any) -> None:
        """Raises OutputError where the directory cannot be used or is not empty."""
        self._directory = directory
        self._format = format_
        self._arrow = arrow
        self._made: dict[Path, Exported] = {}
        self._writer: _Writer | None = None
        self._partition = -1
        self._rows: list[Printed] = []
        try:
            directory.mkdir(parents=True, exist_ok=True)
            present = next(directory.iterdir(), None)
        except OSError as error:
            raise OutputError(f"cannot use {directory} for output: {error.strerror}") from error
        if present is not None:
            raise OutputError(f"{directory} is not empty: it holds {present.name}; name a new directory")

    def __enter__(self) -> _Files:
        return self

    def write(self, partition: int, rows: Sequence[Printed]) -> None:
        """Adds records of a partition; those of one partition come together."""
        if rows and partition != self._partition:
            self._end()
            self._partition = partition
            exported = Exported(f"{partition}.{self._format.value}", partition, 0)
            path = self._directory / f".{exported.file}.partial"
            self._made[path] = exported
            with self._writable(path):
                self._writer = self._open(path)
        self._rows += rows
        if len(self._rows) >= _ROWS_MAX:
            self._flush()

    def _open(self, path: Path) -> _Writer:
        return _Ndjson(path) if self._format is Format.NDJSON else _Arrow(path, self._arrow, self._format)

    def _flush(self) -> None:
        if self._writer is not None and self._rows:
            path = list(self._made)[-1]
            with self._writable(path):
                self._writer.write(self._rows)
            self._made[path].records += len(self._rows)
            self._rows = []

    def _end(self) -> None:
        self._flush()
        if self._writer is not None:
            with self._writable(list(self._made)[-1]):
                self._writer.close()
            self._writer = None

    @contextlib.contextmanager
    def _writable(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def finish(self) -> list[Exported]:
        """Puts the files in place."""
        self._end()
        for path, exported in self._made.items():
            with self._writable(path):
                path.rename(self._directory / exported.file)
        found = list(self._made.values())
        self._made.clear()
        return found

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        for path in self._made:
            path.unlink(missing_ok=True)


class _Ndjson:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, rows: Sequence[Printed]) -> None:
        self._file.writelines(map(ndjson, rows))

    def close(self) -> None:
        self._file.close()


class _Arrow:
    """Parquet or an Arrow IPC file, by pyarrow."""

    def __init__(self, path: Path, arrow: Any, format_: Format) -> None:
        self._arrow = arrow
        time = arrow.timestamp("ms", tz="UTC")
        origin = arrow.struct([("topic", arrow.string()), ("partition", arrow.uint32()), ("offset", arrow.uint64())])
        self._schema = arrow.schema(
            [
                ("partition", arrow.uint32()),
                ("offset", arrow.uint64()),
                ("received_time", time),
                ("event_time", time),
                ("event_id", arrow.string()),
                ("key", arrow.string()),
                ("tier", arrow.uint8()),
                ("origin", origin),
                ("rule", arrow.string()),
                ("snapshot", arrow.uint32()),
                ("payload", arrow.string()),
            ]
        )
        if format_ is Format.PARQUET:
            self._file: Any = arrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        else:
            self._file = arrow.ipc.new_file(path, self._schema)

    def write(self, rows: Sequence[Printed]) -> None:
        columns = [
            [_text(row.payload) for row in rows] if name == "payload" else [getattr(row, name) for row in rows]
            for name in self._schema.names
        ]
        arrays = [self._arrow.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._file.write(self._arrow.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._file.close()


def _text(payload: msgspec.Raw | str) -> str:
    return payload if isinstance(payload, str) else bytes(payload).decode()
