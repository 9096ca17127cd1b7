"""Records as text: for people, as NDJSON, or the payload alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from headwater.core.record import Record, decode_all
from headwater.kernel import payload_lines

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Form(Enum):
    """How a record is printed."""

    PEOPLE = "people"
    JSON = "json"
    RAW = "raw"


class Printed(msgspec.Struct):
    """A record as one line of JSON. Times are ms since 1970, UTC. ``payload`` is the payload's JSON; a text where it is none."""

    topic: str
    partition: int
    offset: int
    received_time: int
    event_time: int | None
    event_id: str
    key: str
    tier: int
    origin: dict[str, Any] | None
    rule: str
    snapshot: int
    payload: msgspec.Raw | str


class Printer:
    """Writes records of a topic to standard output, a batch at a time."""

    def __init__(self, topic: str, form: Form) -> None:
        self._topic = topic
        self._form = form
        self._dim = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def batch(self, partition: int, first_offset: int, records: bytes) -> None:
        """Records with consecutive offsets."""
        if self._form is Form.RAW:
            text = payload_lines(records)[0]
        else:
            lines = [self._line(partition, first_offset + at, record) for at, record in enumerate(decode_all(records))]
            text = b"".join(lines)
        sys.stdout.buffer.write(text)

    def flush(self) -> None:
        """What was written is to be seen now."""
        sys.stdout.buffer.flush()

    def _line(self, partition: int, offset: int, record: Record) -> bytes:
        if self._form is Form.JSON:
            return ndjson(as_json(self._topic, partition, offset, record))
        head = f"{self._topic}/{partition} {offset}  {time_text(record.received_time)}  P{record.tier}"
        head += f"  key {record.key}" if record.key else ""
        head += f"  id {record.event_id}" if record.event_id else ""
        if record.origin is not None:
            topic, from_partition, from_offset = record.origin
            head += f"  from {topic}/{from_partition} {from_offset}"
        head += f" by {record.rule}" if record.rule else ""
        head = f"\x1b[2m{head}\x1b[0m" if self._dim else head
        return head.encode(errors="replace") + b"\n  " + record.payload + b"\n"


def as_json(topic: str, partition: int, offset: int, record: Record) -> Printed:
    """The record as `--json` prints it."""
    origin = None
    if record.origin is not None:
        origin = dict(zip(("topic", "partition", "offset"), record.origin, strict=True))
    return Printed(
        topic=topic,
        partition=partition,
        offset=offset,
        received_time=record.received_time,
        event_time=record.event_time,
        event_id=record.event_id,
        key=record.key,
        tier=record.tier,
        origin=origin,
        rule=record.rule,
        snapshot=record.snapshot,
        payload=_payload(record.payload),
    )


def ndjson(record: Printed) -> bytes:
    """The record as one line of JSON."""
    return _encode(record) + b"\n"


def _payload(payload: bytes) -> msgspec.Raw | str:
    text = payload.decode(errors="replace")
    if "\ufffd" in text and text.encode() != payload:
        return text
    if not _is_json(payload):
        return text
    # Somebody may have stored it over several lines.
    return msgspec.Raw(_encode(msgspec.json.decode(payload)) if b"\n" in payload else payload)


def _is_json(payload: bytes) -> bool:
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def time_text(time_ms: int) -> str:
    """A time as ISO 8601, in UTC, to the millisecond."""
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return str(time_ms)


def print_table(table: Table, right: Collection[int] = ()) -> None:
    """Prints a table without lines around it. Columns of the numbers ``right`` are set to the right; nothing is cut off."""
    table.box, table.pad_edge, table.header_style = None, False, "bold"
    for number, column in enumerate(table.columns):
        column.no_wrap = True
        column.justify = "right" if number in right else "left"
    console = Console(highlight=False)
    width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    Console(highlight=False, width=width).print(table, soft_wrap=True)
