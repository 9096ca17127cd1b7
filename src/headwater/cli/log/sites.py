"""`headwater log sites`: where shards lie."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import typer
from rich.table import Table

from headwater.cli.log.place import JsonOption, LogOption, Place, ProjectOption, find_log, reading
from headwater.cli.log.shown import print_table
from headwater.log.runtime import Threads
from headwater.log.survey import ShardState, SiteState, survey

_SHOWN_MAX = 5


def sites(project: ProjectOption = None, log: LogOption = None, json: JsonOption = False) -> None:
    """Say where the shards of a log lie, who writes them, and what which site lacks.

    A shard's members are the sites that must have a record before it is acknowledged. A site that is no member was lost; a
    running writer brings it back by itself. Bytes are known of directories only. Exit code 1 where a site does not answer, was
    erased, or lacks something.
    """
    place = find_log(project, log)
    runtime = Threads()
    try:
        with reading(place) as opened:
            found = survey(opened.sites, runtime)
    finally:
        runtime.close()
    sizes = {(shard.shard, site.site): _bytes(place, site.site, shard.shard) for shard in found for site in shard.sites}
    if json:
        print(_as_json(found, sizes))
    elif not found:
        print("the log holds nothing yet")
    else:
        _show(found, sizes)
    if any(shard.damage or any(_wrong(site) for site in shard.sites) for shard in found):
        raise typer.Exit(1)


def _bytes(place: Place, site: str, shard: str) -> int | None:
    path = place.sites.get(site, "://")
    if "://" in path:
        return None
    return sum((Path(above) / name).lstat().st_size for above, _, names in os.walk(Path(path) / shard) for name in names)


def _as_json(found: list[ShardState], sizes: dict[tuple[str, str], int | None]) -> str:
    shards = msgspec.to_builtins(found)
    for shard in shards:
        for site in shard["sites"]:
            site["bytes"] = sizes[shard["shard"], site["site"]]
    return msgspec.json.encode({"shards": shards}).decode()


def _show(found: list[ShardState], sizes: dict[tuple[str, str], int | None]) -> None:
    table = Table("shard", "epoch", "writer", "site", "segments", "bytes", "state")
    for shard in found:
        head = [shard.shard, str(shard.epoch), shard.host or shard.writer[:12]]
        if shard.damage:
            table.add_row(*head, "", "", "", shard.damage)
        for site in shard.sites:
            size = sizes[shard.shard, site.site]
            table.add_row(*head, site.site, str(site.segments), "-" if size is None else f"{size:,}", _state(site))
            head = ["", "", ""]
    print_table(table, right=(1, 4, 5))


def _wrong(site: SiteState) -> bool:
    return not site.answers or not site.member or not site.whole or bool(site.lacks)


def _state(site: SiteState) -> str:
    if not site.answers:
        return "does not answer"
    said = [] if site.member else ["no member: it was lost, and comes back once a writer runs and it answers"]
    if site.member and not site.whole:
        said.append("erased")
    if site.lacks:
        numbers = ", ".join(map(str, site.lacks[:_SHOWN_MAX])) + (", …" if len(site.lacks) > _SHOWN_MAX else "")
        said.append(f"lacks {len(site.lacks)} segments: {numbers}")
    return "; ".join(said) or "whole"
