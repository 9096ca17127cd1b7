"""`headwater deliver`: the process that writes the datasets of a project to their sinks."""

from __future__ import annotations

from pathlib import Path

from headwater.cli.ready import Directory, Json, Site, log_to_stderr, say_ready
from headwater.embedded import Embedded, Part
from headwater.embedded.alone import run


def deliver(
    directory: Directory = Path(),
    site: Site = "",
    json: Json = False,
) -> None:
    """Write the datasets of a project to their files, beside its collectors and workers.

    There is one for each data directory, where it keeps how far it came. SIGTERM and Ctrl-C finish what is being written and
    stop; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start: broken files, a data directory in use, a damaged log.
    """
    log_to_stderr(json)
    embedded = Embedded(directory, Part.DELIVER, "", site)
    run(embedded, lambda: say_ready(embedded, json, f"Headwater delivers to {embedded.settings.out_dir}"))
