"""`headwater up`: a project, running in one process."""

from __future__ import annotations

from pathlib import Path

from headwater.cli.ready import Directory, Host, Json, Port, Site, log_to_stderr, say_ready, url_of
from headwater.embedded import Embedded, serve
from headwater.embedded.server import bind


def up(
    directory: Directory = Path(),
    port: Port = None,
    host: Host = None,
    site: Site = "",
    json: Json = False,
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
