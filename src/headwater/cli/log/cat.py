"""`headwater log cat`: the records of a topic."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.log.condition import WhereOption, condition, selected
from headwater.cli.log.extent import FromOption, PartitionOption, ToOption, extents
from headwater.cli.log.place import LogOption, ProjectOption, find_log, reading
from headwater.cli.log.shown import Form, Printer

TopicArgument = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic; `headwater log topics` lists them.")]
RecordsOption = Annotated[bool, typer.Option("--json", metavar="", help="Print each record as one line of JSON.")]
RawOption = Annotated[bool, typer.Option("--raw", metavar="", help="Print payloads only, one a line.")]


def cat(
    topic: TopicArgument,
    first: FromOption = "earliest",
    last: ToOption = "latest",
    partition: PartitionOption = None,
    where: WhereOption = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: RecordsOption = False,
    raw: RawOption = False,
) -> None:
    """Print the records of a topic.

    One partition after the other, each in its order, from --from up to --to, as the log was when it began. What is being written
    by a process that died just now is not there before another one takes its shard over.
    """
    printer = Printer(topic, form(json, raw))
    place = find_log(project, log)
    with reading(place) as opened:
        chosen = extents(opened, topic, partition, first, last)
        holds = condition(where, place, opened, topic)
        for extent in chosen:
            for at, records in selected(opened, topic, extent, holds):
                printer.batch(extent.partition, at, records)
        printer.flush()


def form(json: bool, raw: bool) -> Form:
    """What `--json` and `--raw` ask for."""
    if json and raw:
        raise typer.BadParameter("--json and --raw exclude each other")
    return Form.JSON if json else Form.RAW if raw else Form.PEOPLE
