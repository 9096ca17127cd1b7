"""`headwater etl`: the rules over files, once."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from headwater.core import clock
from headwater.core.dataset import DatasetSchema
from headwater.core.descriptor import Descriptor, descriptor_bytes
from headwater.core.errors import InputError, OutputError
from headwater.core.limits import BATCH_CHUNKS_IN_FLIGHT_MAX
from headwater.etl.dead_letter import as_json, raw_field, why_failed
from headwater.etl.output import DEAD_LETTERS, OutputDirectory
from headwater.etl.parquet import load_duckdb, write_parquet
from headwater.etl.source_file import Chunk, SourceFile
from headwater.kernel import Counters, Program, Result
from headwater.kernel.udf.host import Host
from headwater.rules import PhysicalRule

_THREADS_MAX = 8


class BatchInput(NamedTuple):
    """One file of events of a source; ``path`` is "-" for standard input. With a descriptor it holds Protobuf, else NDJSON."""

    source: str
    path: str
    descriptor: Descriptor | None = None


class Summary(msgspec.Struct):
    """What a run did. ``events`` counts lines that are not blank: well-formed ones and ``rejects``.

    ``dead_letters`` = ``rejects`` and the failures of rules. ``outputs`` are rows, ``output_bytes`` their bytes as NDJSON.
    ``fields``: a path of several sources is summed. `present` and `nulls` are of ``sampled`` events, `ns` is by ``timed`` ones.
    """

    events: int
    rejects: int
    dead_letters: int
    outputs: dict[str, int]
    output_bytes: dict[str, int]
    rules: dict[str, dict[str, int]]
    fields: dict[str, dict[str, int]]
    sampled: int
    timed: int
    seconds: float
    events_per_second: float


class Progress(NamedTuple):
    """How far a run is: bytes of input as stored, their total where it is known, and events."""

    read_bytes: int
    total_bytes: int | None
    events: int


def run(
    rules: Sequence[PhysicalRule],
    datasets: Sequence[DatasetSchema],
    inputs: Sequence[BatchInput],
    output: Path,
    file_format: Literal["ndjson", "parquet", "protobuf"] = "ndjson",
    overwrite: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    functions: Host | None = None,
) -> Summary:
    """Runs the rules of each source over its inputs, in the order given, and writes every dataset and the dead letters.

    ``protobuf`` needs a descriptor in every dataset. ``functions`` are those that rules call.

    The files appear together at the end; where anything fails, or the run is interrupted, nothing appears.
    Raises InputError, OutputError, and LinkError where the kernel does not know an operation of a rule.
    """
    started = clock.monotonic_s()
    if file_format == "parquet":
        load_duckdb()
    _check_inputs(rules, inputs)
    files = [SourceFile(each.path, messages=each.descriptor is not None) for each in inputs]
    sizes = [file.size() for file in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    read = {each.source: each.descriptor for each in inputs}
    outputs = {schema.name: descriptor_bytes(schema.descriptor) for schema in datasets if schema.descriptor is not None}
    sources = {name: _Source(name, rules, descriptor, outputs, functions) for name, descriptor in read.items()}
    directory = OutputDirectory(output, tuple(schema.name for schema in datasets), overwrite)
    try:
        batch = _Run(directory, progress, total)
        with ThreadPoolExecutor(min(_THREADS_MAX, os.cpu_count() or 1), thread_name_prefix="etl") as pool:
            try:
                for given, file in zip(inputs, files, strict=True):
                    batch.read(pool, sources[given.source], file)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        _put_in_place(directory, datasets, file_format, batch.longest_output)
    except BaseException:
        directory.discard()
        raise
    return _summary(list(sources.values()), batch, clock.monotonic_s() - started)


def _check_inputs(rules: Sequence[PhysicalRule], inputs: Sequence[BatchInput]) -> None:
    given = {each.source for each in inputs}
    for rule in rules:
        if rule.source not in given:
            raise InputError(f"the rule {rule.name} reads {rule.source}, for which no input is given")
    if [each.path for each in inputs].count("-") > 1:
        raise InputError("standard input can be read only once")


class _Source:
    """A source's rules as one program, and what it counted."""

    def __init__(
        self,
        name: str,
        rules: Sequence[PhysicalRule],
        descriptor: Descriptor | None,
        outputs: dict[str, bytes],
        functions: Host | None,
    ) -> None:
        self.name = name
        stored = [rule.canonical() for rule in rules if rule.source == name]
        read = descriptor_bytes(descriptor) if descriptor else None
        self.program = Program(stored, functions, input=read, outputs=outputs)
        self.counters = Counters(self.program)
        self.rule_names = self.program.rule_names


class _Run:
    """Reads on this thread, runs programs on the pool, and writes results in the order of the input."""

    def __init__(self, directory: OutputDirectory, progress: Callable[[Progress], None], total_bytes: int | None) -> None:
        self.failures = 0
        self.longest_output = 0
        self._directory = directory
        self._progress = progress
        self._total_bytes = total_bytes
        self._read_before = 0
        self._events = 0

    def read(self, pool: ThreadPoolExecutor, source: _Source, file: SourceFile) -> None:
        """All of one input."""
        in_work: deque[tuple[Chunk, Future[Result]]] = deque()
        chunk = None
        for chunk in file.chunks():
            in_work.append((chunk, pool.submit(source.program.run, chunk.data)))
            if len(in_work) >= BATCH_CHUNKS_IN_FLIGHT_MAX:
                self._write(source, file, *in_work.popleft())
        while in_work:
            self._write(source, file, *in_work.popleft())
        self._read_before += chunk.read_bytes if chunk else 0

    def _write(self, source: _Source, file: SourceFile, chunk: Chunk, future: Future[Result]) -> None:
        result = future.result()
        source.counters.add(result)
        outputs = result.outputs
        self.longest_output = max(self.longest_output, *map(len, outputs.values()), 0)
        self._directory.write(outputs)
        letters = sorted((*_rejects(file, chunk, result), *_failures(source, file, chunk, result)), key=lambda letter: letter[0])
        if letters:
            self._directory.write({DEAD_LETTERS: b"".join(text for _, text in letters)})
        self.failures += len(result.failures)
        self._events += result.events
        self._progress(Progress(self._read_before + chunk.read_bytes, self._total_bytes, self._events))


def _rejects(file: SourceFile, chunk: Chunk, result: Result) -> Iterator[tuple[int, bytes]]:
    for index, start, end, reason, position in result.rejects:
        place = {"reason": reason, "input": file.name, "line": chunk.first_line + index, "position": position}
        yield index, as_json(place | raw_field(chunk.data[start:end])) + b"\n"


def _failures(source: _Source, file: SourceFile, chunk: Chunk, result: Result) -> Iterator[tuple[int, bytes]]:
    for index, start, end, rule, column, operation in result.failures:
        place = why_failed(source.rule_names[rule], column, operation)
        place |= {"input": file.name, "line": chunk.first_line + index}
        yield index, as_json(place | raw_field(chunk.data[start:end])) + b"\n"


def _put_in_place(directory: OutputDirectory, datasets: Sequence[DatasetSchema], file_format: str, longest_output: int) -> None:
    rows = directory.flush()
    files = {f"{name}.ndjson": path for name, path in rows.items()}
    if file_format == "parquet":
        for schema in datasets:
            parquet = directory.partial(f"{schema.name}.parquet")
            write_parquet(schema, rows[schema.name], parquet, longest_output)
            files.pop(f"{schema.name}.ndjson").unlink()
            files[f"{schema.name}.parquet"] = parquet
    for schema in datasets:
        if schema.descriptor is not None:
            files[f"{schema.name}.pb"] = files.pop(f"{schema.name}.ndjson")
            for name, text in schema.descriptor.files:
                files[name] = directory.partial(name)
                _write_text(files[name], text)
    directory.finish(files)


def _write_text(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as e:
        raise OutputError(f"cannot write {file}: {e.strerror}") from e


def _summary(sources: Sequence[_Source], batch: _Run, seconds: float) -> Summary:
    outputs: Counter[str] = Counter()
    output_bytes: Counter[str] = Counter()
    fields: dict[str, dict[str, int]] = {}
    rules: dict[str, dict[str, int]] = {}
    for source in sources:
        rules |= source.counters.rules()
        for dataset, written in source.counters.outputs().items():
            outputs[dataset] += written["rows"]
            output_bytes[dataset] += written["bytes"]
        for path, counts in source.counters.fields().items():
            known = fields.setdefault(path, dict.fromkeys(counts, 0))
            for name, count in counts.items():
                known[name] += count
    events = sum(source.counters.events() for source in sources)
    rejects = sum(source.counters.rejects() for source in sources)
    return Summary(
        events=events,
        rejects=rejects,
        dead_letters=rejects + batch.failures,
        outputs=dict(outputs),
        output_bytes=dict(output_bytes),
        rules=rules,
        fields=fields,
        sampled=sum(source.counters.sampled() for source in sources),
        timed=sum(source.counters.timed() for source in sources),
        seconds=round(seconds, 3),
        events_per_second=round(events / seconds, 1) if seconds else 0.0,
    )
