"""`headwater log tail`: the last records of a topic, and those that come."""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Annotated, NamedTuple

import typer

from headwater.cli.log.cat import RawOption, RecordsOption, TopicArgument, form
from headwater.cli.log.condition import Condition, WhereOption, condition, selected
from headwater.cli.log.extent import Extent, PartitionOption, partitions, places
from headwater.cli.log.place import LogOption, ProjectOption, find_log, reading
from headwater.cli.log.shown import Printer
from headwater.core.record import decode_all
from headwater.log.shared import SharedLog

_WAIT_S = 0.5


class _Last(NamedTuple):
    """A record among the last ones, in the order of receipt."""

    received_time: int
    partition: int
    offset: int
    record: bytes


def tail(
    topic: TopicArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", metavar="", help="Go on with records as they come; Ctrl-C ends it.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1_000_000, metavar="N", help="How many to begin with.")] = 10,
    partition: PartitionOption = None,
    where: WhereOption = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: RecordsOption = False,
    raw: RawOption = False,
) -> None:
    """Print the last records of a topic, and with -f those that come.

    The last N of all partitions, in the order of their receipt; then each partition in its order. Of a topic that has no records
    yet, -f waits for the first.
    """
    printer = Printer(topic, form(json, raw))
    place = find_log(project, log)
    with reading(place, follows=follow) as opened:
        try:
            if follow:
                _wait_for(opened, topic)
            chosen = partitions(opened, topic, partition)
            holds = condition(where, place, opened, topic)
            ends = {number: opened.end_offset(topic, number) for number in chosen}
            _print(printer, _last(opened, topic, ends, holds, lines))
            if follow:
                _follow(opened, topic, partition, ends, holds, printer)
        except KeyboardInterrupt:
            if not follow:
                raise


def _wait_for(log: SharedLog, topic: str) -> None:
    if not log.partitions(topic):
        print(f"headwater: topic {topic} has no records yet; waiting for the first", file=sys.stderr)
    while not log.partitions(topic):
        log.wait(_WAIT_S)


def _print(printer: Printer, records: Iterable[_Last]) -> None:
    for each in records:
        printer.batch(each.partition, each.offset, each.record)
    printer.flush()


def _last(log: SharedLog, topic: str, ends: dict[int, int], holds: Condition | None, count: int) -> list[_Last]:
    """The last ``count`` records, oldest first."""
    found: list[_Last] = []
    for partition, end in ends.items():
        for each in _backwards(log, topic, partition, end, holds, count):
            if len(found) < count:
                heapq.heappush(found, each)
            elif found and each > found[0]:
                heapq.heapreplace(found, each)
    return sorted(found)


def _backwards(log: SharedLog, topic: str, partition: int, end: int, holds: Condition | None, count: int) -> list[_Last]:
    """The last ``count`` records of one partition that the condition holds for, looked for in ever larger steps."""
    start, step, last = log.start_offset(topic, partition), count, deque[_Last]()
    while end > start and len(last) < count:
        extent = Extent(partition, max(start, end - step), end)
        here = deque(_matching(log, topic, extent, holds), maxlen=count - len(last))
        last.extendleft(reversed(here))
        end, step = extent.start, max(2 * step, 1000)
    return list(last)


def _matching(log: SharedLog, topic: str, extent: Extent, holds: Condition | None) -> Iterator[_Last]:
    for first, records in selected(log, topic, extent, holds):
        for at, (start, end) in enumerate(pairwise(places(records))):
            record = records[start:end]
            yield _Last(next(decode_all(record)).received_time, extent.partition, first + at, record)


def _follow(
    log: SharedLog, topic: str, wanted: list[int] | None, ends: dict[int, int], holds: Condition | None, printer: Printer
) -> None:
    while True:
        for partition in wanted or log.partitions(topic):
            extent = Extent(partition, ends.get(partition, 0), log.end_offset(topic, partition))
            for at, records in selected(log, topic, extent, holds):
                printer.batch(partition, at, records)
            ends[partition] = extent.end
        printer.flush()
        log.wait(_WAIT_S)
