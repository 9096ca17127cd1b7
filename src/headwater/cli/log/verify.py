"""`headwater log verify`: whether all that a log has is as it was written."""

from __future__ import annotations

import sys

import msgspec
import typer

from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, check_place, find_log, named_sites
from headwater.cli.log.progress import objects
from headwater.log.runtime import Threads
from headwater.log.verify import shards_of
from headwater.log.verify import verify as findings_of
from headwater.log.verify_ledgers import Finding


def verify(project: ProjectOption = None, log: LogOption = None, json: JsonOption = False) -> None:
    """Check all that a log has, on every site.

    Every checksum of every object, and that the segments of a shard follow each other, offsets are dense, and all sites that
    acknowledge have all of it. Changes nothing; the log may be written meanwhile. Exit code 1 where anything is wrong: then
    `headwater log repair` brings it from a site that has it whole.
    """
    place = find_log(project, log)
    check_place(place)
    runtime = Threads()
    try:
        sites = named_sites(place, read_only=True)
        shards = shards_of(sites)
        found: list[Finding] = []
        with objects("verifying", json) as progress:
            for finding in findings_of(sites, runtime, progress):
                found.append(finding)
                if not json:
                    print(said(finding), flush=True)
    finally:
        runtime.close()
    if json:
        listed = [finding._asdict() for finding in found]
        print(msgspec.json.encode({"shards": shards, "objects": progress.count, "findings": listed}).decode())
    else:
        counted = f"{len(found) or 'no'} finding{'' if len(found) == 1 else 's'}"
        print(f"{counted} in {progress.count:,} objects of {len(shards)} shard{'' if len(shards) == 1 else 's'}", file=sys.stderr)
    if found:
        raise typer.Exit(1)


def said(finding: Finding) -> str:
    """A finding in one line."""
    where = f"{finding.site}: {finding.name}" if finding.site else finding.name
    at = f" byte {finding.at}:" if finding.at is not None else ""
    what = finding.what.removeprefix(f"byte {finding.at}: ")
    whole = f" ({finding.whole_at} has it whole)" if finding.whole_at else ""
    return f"{where}:{at} {what}{whole}"
