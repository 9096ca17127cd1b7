"""What the commands that run until a signal have in common: options, log lines, and how they say that they are ready."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

from headwater.embedded import Embedded

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. Else that of headwater.toml.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Else that of headwater.toml.")]
Site = Annotated[str, typer.Option(metavar="NAME", envvar="HEADWATER_SITE", help="The site of the log to read from first.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object when ready, and log lines as JSON.")]


def url_of(listener: socket.socket) -> str:
    """The address of a socket as a URL."""
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def say_ready(embedded: Embedded, json: bool, text: str, url: str = "", listener: socket.socket | None = None) -> None:
    """Prints ``text``, or with ``json`` an object with what a program wants to know."""
    if not json:
        print(text, flush=True)
        return
    said: dict[str, object] = {"name": embedded.name, "pid": os.getpid(), "snapshot": embedded.configuration.snapshot.number}
    if listener is not None:
        address, port = listener.getsockname()[:2]
        said = {"url": url, "host": address, "port": port} | said
    print(msgspec.json.encode(said).decode(), flush=True)


def log_to_stderr(json: bool) -> None:
    """Log lines go to standard error, as text or as JSON."""
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
