"""`headwater log repair`: what is damaged or missing on a site, from another one."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, check_all_sites, check_place, find_log, named_sites
from headwater.cli.log.progress import objects
from headwater.cli.log.verify import said
from headwater.log.repair import Repaired
from headwater.log.repair import repair as repairs_of
from headwater.log.runtime import Threads


def repair(
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Change nothing; say what would be done.")] = False,
    project: ProjectOption = None,
    log: LogOption = None,
    json: JsonOption = False,
) -> None:
    """Bring what is damaged or missing on a site from one that has it whole.

    Verifies the log as `headwater log verify` does, and repairs what it finds. The log may be written meanwhile. Exit code 1
    where anything could not be repaired: no site has it whole, or a site does not answer.
    """
    place = find_log(project, log)
    check_place(place)
    check_all_sites(place)
    runtime = Threads()
    try:
        found: list[Repaired] = []
        with objects("repairing", json) as progress:
            for repaired in repairs_of(named_sites(place, read_only=dry_run), runtime, dry_run, progress):
                found.append(repaired)
                if not json:
                    print(f"{said(repaired.finding)}\n  {repaired.what}", flush=True)
    finally:
        runtime.close()
    left = sum(not each.done for each in found)
    if json:
        listed = [{**each.finding._asdict(), "done": each.done, "repair": each.what} for each in found]
        print(msgspec.json.encode({"objects": progress.count, "dry_run": dry_run, "findings": listed}).decode())
    else:
        verb = "could be repaired" if dry_run else "repaired"
        print(f"{len(found) - left} of {len(found)} {verb}; {progress.count:,} objects were read", file=sys.stderr)
    if left:
        raise typer.Exit(1)
