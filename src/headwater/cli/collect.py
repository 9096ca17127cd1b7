"""`headwater collect`: one of several collectors of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.ready import Directory, Host, Json, Port, Site, log_to_stderr, say_ready, url_of
from headwater.embedded import Embedded, Part, serve
from headwater.embedded.server import bind


def collect(
    directory: Directory = Path(),
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Of this collector, which keeps its partitions by it; the host's name by default.")
    ] = "",
    port: Port = None,
    host: Host = None,
    site: Site = "",
    json: Json = False,
) -> None:
    """Take events over HTTP, as one of several collectors of a project.

    It answers once the events are in the log; `headwater worker` and `headwater deliver` do the rest. Collectors that use one log
    have different names. SIGTERM and Ctrl-C answer what is under way and stop; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start: broken files, a port or name in use, a damaged log.
    """
    log_to_stderr(json)
    embedded = Embedded(directory, Part.COLLECT, name, site)
    try:
        listener = bind(host or embedded.settings.host, embedded.settings.port if port is None else port)
    except BaseException:
        embedded.stop(0)
        raise
    url = url_of(listener)
    text = f"Headwater's collector {embedded.name} is ready at {url} (write keys: {directory / 'plan'}/*.toml)"
    serve(embedded, listener, lambda: say_ready(embedded, json, text, url, listener))
