"""`headwater demo`: the whole path at work, with simulated users."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headwater.core.errors import DemoError
from headwater.demo import report as reports
from headwater.demo.run import Settings, prepare, run
from headwater.demo.server import Server

_WIDTH = 130


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long users report.")] = 30.0,
    users: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many there are.")] = 3000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes a free one.")] = 0,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the project goes; cleared at each start if it is a demo's.")
    ] = Path("demo-project"),
    seed: Annotated[int, typer.Option(help="Repeats the same people and events.")] = 1,
    exits: Annotated[
        bool, typer.Option("--exit", metavar="", help="End after the report: exit code 0 if all of it adds up, else 1.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print the report as one JSON object; implies --exit.")
    ] = False,
) -> None:
    """Start an example project with simulated users, and report what came of it.

    The users report through the unmodified segment-analytics-python client. The status page stays open until Ctrl-C.
    """
    console = Console(stderr=json, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=json, highlight=False, width=_WIDTH)
    keys = prepare(directory)
    server = Server(directory, port)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # The server runs in a session of its own: an end that skips `with` would leave it behind.
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    try:
        with server:
            console.print(
                f"The project is in {directory}, the status page is [link={server.url}]{server.url}[/link]", soft_wrap=True
            )
            report = run(Settings(directory, seconds, users, server.port, seed), server, keys, console)
            if json:
                print(reports.as_json(report))
            else:
                reports.show(report, console)
            if not (exits or json):
                _stay(server, directory, console)
            if code := server.stop():
                raise DemoError(f"`headwater up` ended with exit code {code}:\n{server.log_tail()}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if report.problems and (exits or json):
        sys.exit(1)


def _stay(server: Server, directory: Path, console: Console) -> None:
    console.print(
        f"\nThe status page stays open: [bold]{server.url}[/bold]. Edit {directory}/rules/*.sql and see it take effect. "
        "Ctrl-C ends it.",
        soft_wrap=True,
    )
    try:
        while server.running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Stopping.")
