"""`headwater proto`: numbers and `.proto` files of a project's Protobuf datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.registry.proto_project import write_protos


def proto(
    project: Annotated[Path | None, typer.Argument(metavar="PROJECT_DIR", help="The project; here if left out.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the .proto files go; PROJECT_DIR/proto if left out.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="Write nothing; exit with 1 where a file would change.")
    ] = False,
) -> None:
    """Give Protobuf datasets their numbers, and write their .proto files.

    Numbers are kept in plan/numbers.lock and never given twice. Commit that file with the plan.
    """
    directory = project or Path()
    written = write_protos(directory, output or directory / "proto", only_check=check)
    for dataset, fields in written.numbered.items():
        print(f"{dataset}: {'no number for' if check else 'numbers for'} {', '.join(fields)}")
    for name in written.changed:
        print(f"{'would change' if check else 'wrote'} {name}")
    if not written.files:
        print('no dataset is in Protobuf: the plan says so with [[dataset]], name and encoding = "protobuf"')
    elif not written.changed:
        print("nothing has changed")
    if check and written.changed:
        raise typer.Exit(1)
