"""`headwater log compact`: segments that are over become sorted copies."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, find_log, writing
from headwater.core.errors import LogError
from headwater.log.retention import Retention
from headwater.log.runtime import Threads
from headwater.log.topics import TopicRegistry
from headwater.log.upkeep import Upkeep


class Tidied(msgspec.Struct):
    """What was done for a shard: runs of segments that became a copy, copies past their retention, objects deleted."""

    shard: str
    compacted: int
    expired: int
    deleted: int


def compact(
    shards: Annotated[
        list[str] | None, typer.Argument(metavar="SHARD…", help="Only these; `headwater log sites` lists them.")
    ] = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: JsonOption = False,
) -> None:
    """Make sorted copies of segments that are over, and drop what is past its retention.

    Writers do so by themselves, once there is enough to make it worth while; this does it now. No shard is taken over, and the
    log may be written and read meanwhile. What a copy stands for is deleted an hour later, by the shard's writer.
    """
    with writing(find_log(project, log)) as opened:
        missing = [shard for shard in shards or () if shard not in opened.shards()]
        if missing:
            raise LogError(f"there is no shard {missing[0]!r}; there are {', '.join(opened.shards()) or 'none'}")
        runtime = Threads()
        try:
            topics = TopicRegistry(opened.sites, runtime)

            def retention_of(topic: str) -> Retention:
                settings = topics.get(topic)
                return Retention(settings.retention_ms, settings.retention_bytes)

            found = []
            for shard in shards or opened.shards():
                done = Upkeep(opened.view_of(shard), opened.sites, runtime, retention_of).step(force=True)
                found.append(Tidied(shard, done.compacted, done.expired, done.deleted))
                if not json:
                    print(_said(found[-1]), flush=True)
        finally:
            runtime.close()
    if json:
        print(msgspec.json.encode({"shards": found}).decode())


def _said(done: Tidied) -> str:
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (done.compacted, "runs of segments compacted"),
            (done.expired, "copies past their retention dropped"),
            (done.deleted, "objects deleted"),
        )
        if count
    ]
    return f"{done.shard}: {', '.join(parts) or 'nothing to do'}"
