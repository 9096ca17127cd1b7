"""`headwater init`: a small working project to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from headwater.registry.template import write_project


def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; made if it is not there.")]) -> None:
    """Write a small working project.

    One app with a write key, a tracking plan of four event types, and three rules to change.
    """
    project = write_project(directory)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(project.name)}[/bold] is in {escape(str(directory))}: {escape(', '.join(project.files))}")
    if project.kept:
        console.print(f"Left as they were: {escape(', '.join(project.kept))}")
    place = escape(shlex.quote(str(directory)))
    console.print(
        f"\nNext:\n"
        f"  headwater up {place}      start it (the status page is http://127.0.0.1:8080)\n"
        f"  headwater check {place}   check the plan and the rules after an edit\n"
        f"\nSend an event:\n"
        f"  curl http://127.0.0.1:8080/v1/events -u {project.write_key}: \\\n"
        f"""    -d '{{"event": "video_like", "user_id": "ann", "properties": {{"video_id": "v1"}}}}'\n"""
        f"\nRead on in {escape(str(directory / 'README.md'))}."
    )
