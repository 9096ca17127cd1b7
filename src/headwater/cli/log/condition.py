"""`--where`: a condition in SQL over the payload of records, run by the rule engine a batch at a time."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, TypeAlias

import msgspec
import typer

from headwater.cli.log.extent import Extent, fetches, places
from headwater.cli.log.inferred import inferred
from headwater.cli.log.place import Place
from headwater.core.dataset import SourceSchema
from headwater.core.errors import ProjectError
from headwater.core.record import decode_all
from headwater.core.types import StructOf
from headwater.kernel import Program
from headwater.log.shared import SharedLog
from headwater.registry.project import examine, load
from headwater.registry.snapshot import Draft
from headwater.rules import Compiled, Finding, compile_sql

WhereOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--where", metavar="SQL", help="Only records whose payload this holds for, as in a rule's WHERE."),
]
_SOURCE = "records"
_SAMPLE_PARTITIONS_MAX, _SAMPLE_RECORDS = 8, 500
# Where the lengths of the header's texts stand: event_id, and the origin's topic behind it (docs/formats/record.md).
_ID_BYTES, _TOPIC_BYTES = 40, 42


class Condition:
    """A compiled condition."""

    def __init__(self, rule: bytes) -> None:
        self._program = Program([rule])

    def matching(self, records: bytes, first_offset: int) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the records that it holds for, in order."""
        starts = places(records)
        found = self._program.run_records(_without_origin(records, starts), _SOURCE, 0, 0, 0).outputs
        for output in found.values():
            for record in decode_all(output):
                assert record.origin is not None
                at = record.origin[2]
                yield first_offset + at, records[starts[at] : starts[at + 1]]


def _without_origin(records: bytes, starts: Sequence[int]) -> bytes:
    """The records as if each were its own origin, so that the kernel says which of the batch an output was made of.

    The name of the topic is counted to the text before it: nothing has to be moved.
    """
    data = bytearray(records)
    for start in starts[:-1]:
        size, topic = struct.unpack_from("<HH", data, start + _ID_BYTES)
        if topic:
            struct.pack_into("<HH", data, start + _ID_BYTES, size + topic, 0)
    return bytes(data)


def selected(log: SharedLog, topic: str, extent: Extent, holds: Condition | None) -> Iterator[tuple[int, bytes]]:
    """The records that the condition holds for, or all: offset of the first, and bytes of records with consecutive offsets."""
    for at, records in fetches(log, topic, extent):
        if holds is None:
            yield at, records
        else:
            yield from holds.matching(records, at)


def condition(where: str | None, place: Place, log: SharedLog, topic: str) -> Condition | None:
    """Compiles `--where` for a topic. Prints what is wrong and ends the command where it is no condition.

    Fields have the types that the project registered; where there is no project, or the condition names what is not registered,
    those of a sample of the topic's records.
    """
    if where is None:
        return None
    known = _registered(place, topic)
    compiled = _compiled(where, known) if known else None
    if compiled is None or compiled.errors:
        sampled = _compiled(where, _sampled(log, topic))
        compiled = sampled if compiled is None or not sampled.errors else compiled
    for finding in compiled.findings:
        if finding.code != "no_index_atom":
            print(_placed(finding), file=sys.stderr)
    if compiled.errors:
        raise typer.Exit(1)
    if len(compiled.rules) != 1:
        raise typer.BadParameter("--where takes one condition, such as \"event = 'video_like' AND properties.n > 3\"")
    return Condition(compiled.rules[0].canonical())


def _compiled(where: str, source: SourceSchema) -> Compiled:
    text = f"INSERT INTO found SELECT * FROM {_SOURCE} WHERE\n{where}\n"
    return compile_sql(text, "--where", {_SOURCE: msgspec.structs.replace(source, name=_SOURCE)})


def _placed(finding: Finding) -> Finding:
    """The condition stands behind a line of ours."""
    return msgspec.structs.replace(finding, line=max(1, finding.line - 1))


def _registered(place: Place, topic: str) -> SourceSchema | None:
    """What the project's files say of the topic; None where they say nothing, or are broken."""
    if place.project is None:
        return None
    try:
        draft = examine(load(place.project)).draft
    except ProjectError:
        return None
    return _schema(draft, topic) if draft is not None else None


def _schema(draft: Draft, topic: str) -> SourceSchema | None:
    if topic in draft.sources:
        return draft.sources[topic]
    for dataset in draft.datasets:
        if dataset.name == topic:
            return draft.sources[draft.source] if dataset.star else SourceSchema(topic, StructOf(dataset.columns))
    return None


def _sampled(log: SharedLog, topic: str) -> SourceSchema:
    """The first and the last records of some partitions."""

    def payloads() -> Iterator[bytes]:
        for partition in log.partitions(topic)[:_SAMPLE_PARTITIONS_MAX]:
            start, end = log.start_offset(topic, partition), log.end_offset(topic, partition)
            middle = min(end, start + _SAMPLE_RECORDS)
            for extent in (Extent(partition, start, middle), Extent(partition, max(middle, end - _SAMPLE_RECORDS), end)):
                for _, data in fetches(log, topic, extent):
                    yield from (record.payload for record in decode_all(data))

    return SourceSchema(_SOURCE, inferred(payloads()))
