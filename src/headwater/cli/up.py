"""`headwater up`: a project, running in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.ready import log_to_stderr, say_ready, url_of
from headwater.embedded import Embedded, serve
from headwater.embedded.server import bind


def up(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")] = Path(),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. Else that of headwater.toml.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Else that of headwater.toml.")] = None,
    site: Annotated[
        str, typer.Option(metavar="NAME", envvar="HEADWATER_SITE", help="The site of the log to read from first.")
    ] = "",
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object when ready, and log lines as JSON.")
    ] = False,
) -> None:
    """Run a project in one process.

    Events come in over HTTP, rules turn them, rows go to out/DATASET/*.ndjson; the status page is at the address printed. Edits
    of the plan and the rules take effect within seconds. SIGTERM and Ctrl-C drain and stop; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start: broken files, a port or data directory in use, a damaged log.
    """
    log_to_stderr(json)
    embedded = Embedded(directory, site=site)
    try:
        listener = bind(host or embedded.settings.host, embedded.settings.port if port is None else port)
    except BaseException:
        embedded.stop(0)
        raise
    url = url_of(listener)
    text = f"Headwater is ready at {url} (write keys: {directory / 'plan'}/*.toml, rows: {embedded.settings.out_dir})"
    serve(embedded, listener, lambda: say_ready(embedded, json, text, url, listener))
