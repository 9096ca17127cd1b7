"""`headwater worker`: one of several processes that run the rules of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.ready import Directory, Json, Site, log_to_stderr, say_ready
from headwater.embedded import Embedded, Part
from headwater.embedded.alone import run


def worker(
    directory: Directory = Path(),
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Of this worker; the host's name and the process's number by default.")
    ] = "",
    site: Site = "",
    json: Json = False,
) -> None:
    """Run the rules, as one of several workers of a project.

    Workers share the key classes of the log (key_classes of [log] in headwater.toml). Start and stop them as you like: classes
    move, and each logged event goes through the rules once. Edits of the plan and the rules take effect within seconds. SIGTERM
    and Ctrl-C finish the batches under way and hand the classes over; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start (broken files, a damaged log), or another worker has the same name.
    """
    log_to_stderr(json)
    embedded = Embedded(directory, Part.WORKER, name, site)
    run(embedded, lambda: say_ready(embedded, json, f"Headwater's worker {embedded.name} is ready"))
