"""`headwater log append`: lines of JSON become records."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from headwater.cli.log.place import LogOption, Place, ProjectOption, find_log, writing
from headwater.cli.log.progress import progress
from headwater.core.clock import now_ms
from headwater.core.errors import AppendInDoubt, InputError, LogError, Overtaken
from headwater.core.ids import new_id, seeded_random
from headwater.core.limits import APPEND_GATHER_BYTES_MAX, EVENT_BYTES_MAX, ID_BYTES_MAX
from headwater.core.record import Record, encode
from headwater.etl.source_file import Chunk, SourceFile
from headwater.kernel import split_by_class
from headwater.log.interface import AppendGroup, Batch, Producer, ShardWriter
from headwater.log.runtime import Threads
from headwater.log.shared import SharedLog
from headwater.log.topics import TopicRegistry
from headwater.registry.project import examine, load
from headwater.rules.compiler import DEAD_LETTERS

T = TypeVar("T")
_TRIES_MAX = 30
_TRY_WAIT_S_MAX = 0.5
_PLAIN = re.compile(r"[a-z0-9_.-]{1,90}")


class Appended(msgspec.Struct):
    """Records in one partition: offsets from ``first_offset`` to ``next_offset``, exclusive."""

    partition: int
    records: int
    first_offset: int
    next_offset: int


class Summary(msgspec.Struct):
    """What was appended; ``skipped`` lines were there from an earlier run under the same name."""

    topic: str
    records: int
    skipped: int
    partitions: list[Appended]


def append(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic; it need not be there.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="NDJSON, also gzip or zstd; - or nothing is standard input.")] = "-",
    key: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The field that is the record's key, such as user_id or properties.id.")
    ] = None,
    partition: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, metavar="N", help="All into this partition.")] = None,
    name: Annotated[
        str | None,
        typer.Option("--id", metavar="NAME", help="Names this input: run again after a failure, it goes on where it was."),
    ] = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Print what was appended as one JSON object.")] = False,
) -> None:
    """Append lines of JSON to a topic as records.

    Each line is one object and becomes the payload of one record. Its `event_id` and `event_time` (ms since 1970), where it has
    them, go into the header. Records go to partition 0; of a topic that was created with several, by the key, else by event_id.
    Standard input is appended as it comes. At a line that is no JSON object it stops; what was before is there.
    """
    place = find_log(project, log)
    if partition is None:
        _check_foreign(place, topic)
    with writing(place) as opened:
        appending = _Appending(opened, topic, key, partition, name)
        try:
            appending.begin()
            appending.run(file, quiet=json)
        except KeyboardInterrupt:
            print(f"headwater: interrupted; {appending.said()}", file=sys.stderr)
            raise typer.Exit(130) from None
        except (InputError, LogError) as error:
            raise type(error)(f"{error}\n{appending.said()}") from error
        finally:
            appending.close()
    if json:
        print(msgspec.json.encode(appending.summary()).decode())
    else:
        print(appending.said())


def _check_foreign(place: Place, topic: str) -> None:
    """Raises LogError for what collectors and workers write: they number its partitions."""
    if place.project is None:
        return
    loaded = load(place.project)
    draft = examine(loaded).draft
    if topic == loaded.settings.source:
        what = "collectors feed it: report events over HTTP (docs/collect.md)"
    elif topic == DEAD_LETTERS or (draft is not None and topic in {dataset.name for dataset in draft.datasets}):
        what = "the project's workers write it"
    else:
        return
    raise LogError(f"{topic} is not appended to by hand, {what}. With --partition N it is: N is one that they never use")


class _Appending:
    """One input on its way."""

    def __init__(self, log: SharedLog, topic: str, key: str | None, partition: int | None, name: str | None) -> None:
        self._log = log
        self._topic = topic
        self._key = key.split(".") if key else []
        self._partition = partition
        self._partitions = _partitions(log, topic, partition)
        self._shard = _shard(topic)
        self._check_owner()
        self._writer: ShardWriter | None = None
        self._random = seeded_random(int(new_id(), 16))
        self._state = f"append/{topic}/{name}" if name else None
        self._producer = f"append/{name or new_id()}"
        self._done_lines = self._skip_lines = 0
        self._appended: dict[int, Appended] = {}

    def begin(self) -> None:
        """Takes the shard, and looks how far an earlier run under the same name came. Raises LogError."""
        self._again(self._open)
        if self._state and (stored := self._log.state(self._state)):
            self._done_lines = self._skip_lines = msgspec.json.decode(stored, type=dict[str, int])["lines"]

    def _check_owner(self) -> None:
        if self._partition is None:
            for number in self._log.partitions(self._topic):
                owner = self._log.shard_of(self._topic, number)
                if owner != self._shard:
                    raise LogError(
                        f"{self._topic}/{number} is written by shard {owner}, and this is another writer: name a partition of "
                        "its own with --partition, or another topic"
                    )

    def run(self, file: str, quiet: bool) -> None:
        """Appends all lines. Raises InputError, LogError."""
        source = SourceFile(file)
        size = source.size()
        chunks = source.chunks() if file != "-" else _as_it_comes()
        with progress("appending", quiet or file == "-", size) as at:
            for chunk in chunks:
                self._append_lines(chunk, source.name)
                at(chunk.read_bytes)

    def _append_lines(self, chunk: Chunk, source: str) -> None:
        records: list[bytes] = []
        held, number, at = 0, chunk.first_line, now_ms()
        for number, line in enumerate(chunk.data.splitlines(), chunk.first_line):
            if number <= self._done_lines or not line.strip():
                continue
            try:
                records.append(encode(self._record(line.strip(), at)))
            except (ValueError, RecursionError) as error:
                self._append(records, number - 1)
                raise InputError(f"{source}: line {number}: {error}") from None
            held += len(records[-1])
            if held >= APPEND_GATHER_BYTES_MAX:
                self._append(records, number)
                records, held = [], 0
        self._append(records, number)

    def _record(self, line: bytes, received_ms: int) -> Record:
        if len(line) > EVENT_BYTES_MAX:
            raise ValueError(f"it has {len(line):,} bytes; a record has at most {EVENT_BYTES_MAX:,}")
        try:
            line.decode()
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"no JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
        event_time = value.get("event_time")
        return Record(
            payload=line,
            key=_named(value, self._key),
            event_time=event_time if isinstance(event_time, int) and abs(event_time) < 2**62 else None,
            received_time=received_ms,
            event_id=_named(value, ["event_id"]),
        )

    def _append(self, records: list[bytes], lines: int) -> None:
        """Appends the records of the lines up to ``lines``, once, whatever happens on the way."""
        if not records:
            return
        data = b"".join(records)
        parts = split_by_class(data, self._partitions) if self._partition is None else [(self._partition, len(records), data)]
        group = AppendGroup(
            batches=tuple(Batch(self._topic, number, part, count) for number, count, part in parts),
            state=((self._state, msgspec.json.encode({"lines": lines})),) if self._state else (),
            producer=Producer(self._producer, lines),
        )
        for (number, count, _), first in zip(parts, self._through(group), strict=True):
            known = self._appended.setdefault(number, Appended(number, 0, first, first))
            known.records += count
            known.next_offset = first + count
        self._done_lines = lines

    def _through(self, group: AppendGroup) -> tuple[int, ...]:
        """Appends it. Where nobody knows whether it is there, again: with the same number it is there once."""
        return self._again(lambda: self._open().append(group))

    def _open(self) -> ShardWriter:
        if self._writer is None:
            self._writer = self._log.writer(self._shard)
        return self._writer

    def _again(self, what: Callable[[], T]) -> T:
        """Others who append to the topic take the shard in turn: what was overtaken is tried again."""
        for attempt in range(_TRIES_MAX):
            try:
                return what()
            except (AppendInDoubt, Overtaken):
                self.close()
                if attempt == _TRIES_MAX - 1:
                    raise
                time.sleep(_TRY_WAIT_S_MAX * self._random.random())
        raise AssertionError

    def summary(self) -> Summary:
        """What is there by now."""
        found = [self._appended[number] for number in sorted(self._appended)]
        return Summary(self._topic, sum(each.records for each in found), self._skip_lines, found)

    def said(self) -> str:
        """The same for people."""
        found = self.summary()
        lines = [f"appended {found.records:,} record{'' if found.records == 1 else 's'} to {self._topic}"]
        lines[0] += f"; the first {found.skipped:,} lines were there already" if found.skipped else ""
        lines += [
            f"  partition {each.partition}: offsets {each.first_offset} to {each.next_offset - 1}" for each in found.partitions
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """Gives the shard up."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def _partitions(log: SharedLog, topic: str, partition: int | None) -> int:
    """How many partitions records are spread over. Raises LogError where the topic does not have the one that was named."""
    runtime = Threads()
    try:
        there = TopicRegistry(log.sites, runtime).get(topic).partitions
    finally:
        runtime.close()
    if partition is not None and there is not None and partition >= there:
        raise LogError(f"topic {topic} was created with {there} partitions; valid are 0 to {there - 1}")
    return there or 1


def _named(value: Any, path: list[str]) -> str:
    """The text of a field; "" where it is not there, null, an object or a list. Raises ValueError where it is too long."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not path or value is None or isinstance(value, (dict, list)):
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text.encode(errors="surrogatepass")) > ID_BYTES_MAX:
        raise ValueError(f"its {'.'.join(path)} is longer than {ID_BYTES_MAX} bytes")
    return text


def _shard(topic: str) -> str:
    """One shard for what is appended to a topic by hand."""
    return f"append-{topic if _PLAIN.fullmatch(topic) else hashlib.sha256(topic.encode()).hexdigest()}"


def _as_it_comes() -> Iterator[Chunk]:
    """Standard input: whole lines, as soon as they are there."""
    rest, line, read = b"", 1, 0
    while data := os.read(sys.stdin.fileno(), APPEND_GATHER_BYTES_MAX):
        read += len(data)
        whole, feed, rest = (rest + data).rpartition(b"\n")
        if feed:
            yield Chunk(whole + feed, line, read)
            line += whole.count(b"\n") + 1
        elif len(rest) > EVENT_BYTES_MAX:
            raise InputError(f"standard input: line {line} is longer than {EVENT_BYTES_MAX:,} bytes")
    if rest:
        yield Chunk(rest, line, read)
