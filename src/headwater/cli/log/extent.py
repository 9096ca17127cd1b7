"""Which records of a topic are meant: partitions, and from where to where."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, TypeAlias

import typer

from headwater.core.clock import now_ms
from headwater.core.errors import LogError
from headwater.log.shared import SharedLog
from headwater.rules.findings import did_you_mean

READ_BYTES = 1024 * 1024
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGE = re.compile(r"(\d+)([smhd])")
_VALID = (
    "an offset (120), earliest, latest, a time of receipt (2026-01-31T12:00:00Z, or 2026-01-31; UTC if it does not say), "
    "or how long ago (90s, 15m, 2h, 7d)"
)
_SHOWN_MAX = 20

PartitionOption: TypeAlias = Annotated[
    list[int] | None, typer.Option("--partition", min=0, metavar="N", help="Only this partition. May be given several times.")
]
FromOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--from", metavar="WHERE", help="The first record: OFFSET, earliest, latest, a TIME of receipt, or an age as 15m."
    ),
]
ToOption: TypeAlias = Annotated[
    str, typer.Option("--to", metavar="WHERE", help="Where to stop, in the same form; that record is not printed any more.")
]


class Position(NamedTuple):
    """An offset, or a time of receipt (ms since 1970, UTC), or with neither the start or the end."""

    text: str
    offset: int | None = None
    time_ms: int | None = None


class Extent(NamedTuple):
    """Offsets of one partition, ``end`` exclusive."""

    partition: int
    start: int
    end: int


def position(option: str, text: str) -> Position:
    """Reads what was given. Raises typer.BadParameter."""
    if text.isdecimal():
        return Position(text, offset=int(text))
    if text in ("earliest", "latest"):
        return Position(text)
    if age := _AGE.fullmatch(text):
        return Position(text, time_ms=now_ms() - int(age[1]) * _UNITS_MS[age[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} takes {_VALID}; got {text!r}") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return Position(text, time_ms=int(found.timestamp() * 1000))


def partitions(log: SharedLog, topic: str, wanted: list[int] | None) -> tuple[int, ...]:
    """The partitions that were asked for, or all. Raises LogError where the topic or one of them holds nothing."""
    there = log.partitions(topic)
    if not there:
        topics = log.topics()
        hint = did_you_mean(topic, topics) or (f"there are {', '.join(topics)}" if topics else "the log holds nothing yet")
        raise LogError(f"there is no topic {topic!r} with records: {hint}")
    missing = [number for number in wanted or () if number not in there]
    if missing:
        shown = ", ".join(map(str, there[:_SHOWN_MAX])) + (", …" if len(there) > _SHOWN_MAX else "")
        raise LogError(f"topic {topic} has no partition {missing[0]}; it has {shown}")
    return tuple(sorted(set(wanted))) if wanted else there


def extents(log: SharedLog, topic: str, wanted: list[int] | None, first: str, last: str) -> list[Extent]:
    """What `--partition`, `--from` and `--to` mean for each partition. Raises LogError, typer.BadParameter."""
    start, end = position("--from", first), position("--to", last)
    chosen = partitions(log, topic, wanted)
    for option, each in (("--from", start), ("--to", end)):
        if each.offset is not None and len(chosen) > 1:
            raise typer.BadParameter(
                f"{option} {each.text}: offsets count within a partition; name one of {len(chosen)} with --partition"
            )
    return [Extent(number, _resolve(log, topic, number, start), _resolve(log, topic, number, end)) for number in chosen]


def _resolve(log: SharedLog, topic: str, partition: int, at: Position) -> int:
    if at.time_ms is not None:
        return log.offset_at(topic, partition, at.time_ms)
    first, end = log.start_offset(topic, partition), log.end_offset(topic, partition)
    if at.offset is None:
        return first if at.text == "earliest" else end
    if not first <= at.offset <= end:
        raise LogError(f"{topic}/{partition} has no offset {at.offset}; valid are {first} to {end}")
    return at.offset


def fetches(log: SharedLog, topic: str, extent: Extent) -> Iterator[tuple[int, bytes]]:
    """The records in batches: the offset of the first, and their bytes."""
    at = extent.start
    while at < extent.end:
        fetch = log.read(topic, extent.partition, at, READ_BYTES)
        data = fetch.data
        if fetch.next_offset > extent.end:
            data = data[: places(data, extent.end - at)[-1]]
        yield at, data
        at = fetch.next_offset


def places(data: bytes, count_max: int | None = None) -> list[int]:
    """Where each record of a batch begins, and where the last ends; of the first ``count_max`` only."""
    found, at = [0], 0
    while at < len(data) and (count_max is None or len(found) <= count_max):
        at += 4 + int(struct.unpack_from("<I", data, at)[0])
        found.append(at)
    return found
