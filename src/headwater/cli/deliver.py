"""`headwater deliver`: the process that writes the datasets of a project to their sinks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.ready import log_to_stderr, say_ready
from headwater.embedded import Embedded, Part
from headwater.embedded.alone import run


def deliver(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")] = Path(),
    site: Annotated[
        str, typer.Option(metavar="NAME", envvar="HEADWATER_SITE", help="The site of the log to read from first.")
    ] = "",
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object when ready, and log lines as JSON.")
    ] = False,
) -> None:
    """Write the datasets of a project to their files, beside its collectors and workers.

    There is one for each data directory, where it keeps how far it came. SIGTERM and Ctrl-C finish what is being written and
    stop; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start: broken files, a data directory in use, a damaged log.
    """
    log_to_stderr(json)
    embedded = Embedded(directory, Part.DELIVER, "", site)
    run(embedded, lambda: say_ready(embedded, json, f"Headwater delivers to {embedded.settings.out_dir}"))
