"""`headwater log create`: a topic's settings."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, check_all_sites, find_log, named_sites
from headwater.cli.log.settings_text import described, milliseconds, size
from headwater.core.errors import LogError
from headwater.log.runtime import Threads
from headwater.log.topics import TopicRegistry, TopicSettings


class Durability(StrEnum):
    """When an append is acknowledged: see docs/log.md."""

    FSYNC = "fsync"
    INTERVAL = "interval"
    NONE = "none"


def create(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Its name.")],
    partitions: Annotated[
        int | None, typer.Option(min=1, max=2**32, help="How many partitions, numbered from 0. As they come, if left out.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(metavar="AGE", help="Older records may be removed: 7d, 12h, 90m; none keeps them.")
    ] = None,
    retention_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What a partition has beyond it may be removed: 10GiB, 500MiB; none.")
    ] = None,
    durability: Annotated[Durability | None, typer.Option(help="When an append is acknowledged. fsync, if left out.")] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="How often appends are synced with --durability interval: 100ms, 1s.")
    ] = None,
    alter: Annotated[bool, typer.Option("--alter", metavar="", help="Change these settings of a topic that exists.")] = False,
    project: ProjectOption = None,
    log: LogOption = None,
    json: JsonOption = False,
) -> None:
    """Create a topic, or change its settings.

    Topics need not be created: one that records are appended to is there. What is created has settings of its own. To create a
    topic that exists with the same settings is fine, with others it is an error.
    """
    changes: dict[str, object] = {}
    if partitions is not None:
        changes["partitions"] = partitions
    if retention is not None:
        changes["retention_ms"] = milliseconds("--retention", retention)
    if retention_bytes is not None:
        changes["retention_bytes"] = size("--retention-bytes", retention_bytes)
    if durability is not None:
        changes["durability"] = durability.value
    if interval is not None:
        changes["interval_ms"] = milliseconds("--interval", interval, none=False)
    place = find_log(project, log)
    check_all_sites(place)
    runtime = Threads()
    try:
        registry = TopicRegistry(named_sites(place, read_only=False), runtime)
        if alter and not changes:
            raise typer.BadParameter("--alter changes nothing: name a setting, such as --retention 7d")
        try:
            found = registry.alter(topic, **changes) if alter else registry.create(topic, TopicSettings(**changes))  # type: ignore[arg-type]
        except LogError as error:
            raise LogError(str(error).replace("change them with alter", "change them with --alter")) from None
    finally:
        runtime.close()
    if json:
        print(msgspec.json.encode({"topic": topic, **msgspec.to_builtins(found)}).decode())
    else:
        print(f"{topic}: {described(found)}")
