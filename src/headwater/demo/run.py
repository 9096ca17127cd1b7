"""The demonstration from start to report: a project on disk, `headwater up`, simulated users, what came of it."""

from __future__ import annotations

import shutil
import time
import tomllib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from headwater.core.clock import monotonic_s
from headwater.core.errors import DemoError
from headwater.demo.report import Report, make_report
from headwater.demo.server import Server
from headwater.demo.simulator import Simulator

_MARK = ".headwater-demo"
_POLL_S = 0.5
_LINE_EVERY_S = 5.0
_SETTLE_TIMEOUT_S = 30.0


class Settings(msgspec.Struct, frozen=True):
    """What the demonstration is to do. ``port`` 0 takes a free one."""

    directory: Path
    seconds: float = 30.0
    users: int = 3000
    port: int = 0
    seed: int = 1


def prepare(directory: Path) -> dict[str, str]:
    """Writes the project anew and gives the write key of each app.

    Raises DemoError where the directory holds anything that a demonstration did not make.
    """
    if directory.exists() and not (directory / _MARK).exists() and any(directory.iterdir()):
        raise DemoError(
            f"{directory} is not empty and was not made by `headwater demo`, which clears its directory at each start; "
            "name another with --dir"
        )
    shutil.rmtree(directory, ignore_errors=True)
    with as_file(files("headwater.demo") / "project") as project:
        shutil.copytree(project, directory)
    (directory / _MARK).write_text("Made by `headwater demo`, which clears this directory at each start. Copy it to keep it.\n")
    keys = {}
    for plan in sorted((directory / "plan").glob("*.toml")):
        for app in tomllib.loads(plan.read_text())["app"]:
            keys[app["name"]] = app["write_keys"][0]
    return keys


def run(settings: Settings, server: Server, keys: dict[str, str], console: Console) -> Report:
    """Simulates against the running server, waits until all of it has arrived, and reports."""
    simulator = Simulator(server.url, keys, settings.users, settings.seconds, settings.seed)
    started = monotonic_s()
    simulator.start()
    try:
        _watch(simulator, server, settings.seconds, console)
    finally:
        simulator.stop()
        simulator.finish()
    seconds = monotonic_s() - started
    return make_report(server.url, seconds, simulator.reported, _settled(server), settings.directory)


def _watch(simulator: Simulator, server: Server, seconds: float, console: Console) -> None:
    """Shows how far it is: a bar on a terminal, a line now and then elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"), TimeRemainingColumn())
    started = last_line = monotonic_s()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("Users report", total=seconds, figures="")
        while simulator.running:
            time.sleep(_POLL_S)
            if not server.running:
                raise DemoError(f"`headwater up` ended while users reported:\n{server.log_tail()}")
            now = monotonic_s()
            line = _figures(simulator, server.status())
            progress.update(task, completed=min(now - started, seconds), figures=line)
            if not console.is_terminal and now - last_line >= _LINE_EVERY_S:
                last_line = now
                console.print(f"{now - started:5.0f} s  {line}")


def _figures(simulator: Simulator, status: dict[str, Any]) -> str:
    rows = sum(dataset["written"] for dataset in status["deliver"].values())
    dead = sum(status["collect"]["dead"].values()) + status["etl"]["dead"]
    sent, accepted = simulator.reported.sent.total(), status["collect"]["accepted"]
    return f"{sent:,} reported, {accepted:,} accepted, {rows:,} rows written, {dead:,} dead letters"


def _settled(server: Server) -> dict[str, Any]:
    """The status once everything has arrived; after a while, as it is then."""
    deadline = monotonic_s() + _SETTLE_TIMEOUT_S
    while not has_arrived(status := server.status()) and monotonic_s() < deadline:
        time.sleep(_POLL_S)
    return status


def has_arrived(status: dict[str, Any]) -> bool:
    """Whether all that was accepted went through the rules, and all rows of that are in their files."""
    etl, deliver = status["etl"], status["deliver"]
    rows = {name: figures["emitted"] for name, figures in etl["datasets"].items()}
    written = all(deliver.get(name, {}).get("written", 0) == count for name, count in rows.items())
    delivered = all(figures["read"] == figures["written"] and not figures["lag"] for figures in deliver.values())
    return etl["read"] == status["collect"]["accepted"] and written and delivered
