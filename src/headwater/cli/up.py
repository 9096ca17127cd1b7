"""`headwater up`: a project, running in one process."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

from headwater.embedded import Embedded, serve
from headwater.embedded.server import bind


def up(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")] = Path(),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. Else that of headwater.toml.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Else that of headwater.toml.")] = None,
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object when ready, and log lines as JSON.")
    ] = False,
) -> None:
    """Run a project in one process.

    Events come in over HTTP, rules turn them, rows go to out/DATASET/*.ndjson; the status page is at the address printed. Edits
    of the plan and the rules take effect within seconds. SIGTERM and Ctrl-C drain and stop; a second one stops at once.

    Exit codes: 0 stopped as asked; 1 could not start: broken files, a port or data directory in use, a damaged log.
    """
    _log_to_stderr(json)
    embedded = Embedded(directory)
    try:
        listener = bind(host or embedded.settings.host, embedded.settings.port if port is None else port)
    except BaseException:
        embedded.stop(0)
        raise
    address, taken = listener.getsockname()[:2]
    url = f"http://[{address}]:{taken}" if ":" in address else f"http://{address}:{taken}"

    def ready() -> None:
        if json:
            said = {"url": url, "host": address, "port": taken, "pid": os.getpid(), "snapshot": embedded.snapshot.number}
            print(msgspec.json.encode(said).decode(), flush=True)
        else:
            print(
                f"Headwater is ready at {url} (write keys: {directory / 'plan'}/*.toml, rows: {embedded.settings.out_dir})",
                flush=True,
            )

    serve(embedded, listener, ready)


def _log_to_stderr(json: bool) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
