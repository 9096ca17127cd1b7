"""`headwater log topics`: what topics a log has."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from headwater.cli.log.extent import partitions
from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, find_log, reading
from headwater.cli.log.settings_text import described
from headwater.cli.log.shown import print_table, time_text
from headwater.core.errors import StorageUnavailable
from headwater.core.record import decode_all
from headwater.log.runtime import Threads
from headwater.log.shared import SharedLog
from headwater.log.topics import TopicRegistry, TopicSettings

_TIMES_PARTITIONS_MAX = 100


class Partition(msgspec.Struct):
    """One partition. ``end`` is the next record's offset; times are of receipt, ms since 1970, None where it holds nothing."""

    partition: int
    shard: str
    start: int
    end: int
    oldest: int | None
    newest: int | None


class Topic(msgspec.Struct):
    """One topic. ``settings`` is None where nobody created it: then it has the default ones."""

    topic: str
    partitions: list[Partition]
    records: int
    oldest: int | None
    newest: int | None
    settings: TopicSettings | None


def topics(
    names: Annotated[list[str] | None, typer.Argument(metavar="TOPIC…", help="Topics whose partitions are listed.")] = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: JsonOption = False,
) -> None:
    """List the topics of a log, or the partitions of some.

    With the number of records, and when the oldest and the newest that are still there were received (of topics with more than
    100 partitions only where they are named). Settings are those of `headwater log create`; a topic that nobody created is
    fsynced and kept for ever. --json gives the partitions always.
    """
    with reading(find_log(project, log)) as opened:
        settings = _settings(opened)
        for name in names or ():
            if name not in settings:
                partitions(opened, name, None)
        listed = [
            _topic(opened, name, settings.get(name), bool(names)) for name in names or sorted({*opened.topics(), *settings})
        ]
    if json:
        print(msgspec.json.encode({"topics": listed}).decode())
    elif names:
        for each in listed:
            _show_partitions(each)
    else:
        _show(listed)


def _settings(log: SharedLog) -> dict[str, TopicSettings]:
    runtime = Threads()
    try:
        return TopicRegistry(log.sites, runtime).list()
    except StorageUnavailable as error:
        print(f"headwater: the settings of topics cannot be read now: {error}", file=sys.stderr)
        return {}
    finally:
        runtime.close()


def _topic(log: SharedLog, name: str, settings: TopicSettings | None, asked: bool) -> Topic:
    numbers = log.partitions(name)
    times = asked or len(numbers) <= _TIMES_PARTITIONS_MAX
    found = [_partition(log, name, number, times) for number in numbers]
    return Topic(
        topic=name,
        partitions=found,
        records=sum(each.end - each.start for each in found),
        oldest=min((each.oldest for each in found if each.oldest is not None), default=None),
        newest=max((each.newest for each in found if each.newest is not None), default=None),
        settings=settings,
    )


def _partition(log: SharedLog, topic: str, number: int, times: bool) -> Partition:
    start, end = log.start_offset(topic, number), log.end_offset(topic, number)
    oldest, newest = [_received(log, topic, number, at) if times and start < end else None for at in (start, end - 1)]
    return Partition(number, log.shard_of(topic, number) or "", start, end, oldest, newest)


def _received(log: SharedLog, topic: str, partition: int, offset: int) -> int:
    return next(decode_all(log.read(topic, partition, offset, 1).data)).received_time


def _show(listed: list[Topic]) -> None:
    if not listed:
        print("the log holds nothing yet")
        return
    table = Table("topic", "partitions", "records", "oldest", "newest", "settings")
    for each in listed:
        settings = described(each.settings) if each.settings else ""
        table.add_row(
            each.topic, str(len(each.partitions)), f"{each.records:,}", _time(each.oldest), _time(each.newest), settings
        )
    print_table(table, right=(1, 2))


def _show_partitions(topic: Topic) -> None:
    settings = f", {described(topic.settings)}" if topic.settings else ""
    counted = [
        f"{count:,} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((topic.records, "record"), (len(topic.partitions), "partition"))
    ]
    print(f"{topic.topic}: {' in '.join(counted)}{settings}")
    if topic.partitions:
        table = Table("partition", "from", "to", "records", "oldest", "newest", "shard")
        for each in topic.partitions:
            count = f"{each.end - each.start:,}"
            times = _time(each.oldest), _time(each.newest)
            table.add_row(str(each.partition), str(each.start), str(each.end), count, *times, each.shard)
        print_table(table, right=(0, 1, 2, 3))


def _time(time_ms: int | None) -> str:
    return time_text(time_ms) if time_ms is not None else "-"
