"""Options of the form NAME=FILE, such as `--schema app_events=schema.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from headwater.core.dataset import SourceSchema
from headwater.registry.json_schema import source_from_file


def named_files(option: str, values: Iterable[str]) -> dict[str, Path]:
    """Files by name. Raises typer.BadParameter for what has no name or file, or a name that is given twice."""
    found: dict[str, Path] = {}
    example = "schema.json" if option == "--schema" else "events.ndjson"
    for value in values:
        name, equals, file = value.partition("=")
        if not (name and equals and file):
            raise typer.BadParameter(f"{option} takes NAME=FILE, such as app_events={example}; got {value!r}")
        if name in found:
            raise typer.BadParameter(f"{option} names {name!r} twice: {found[name]} and {file}")
        found[name] = Path(file)
    return found


def sources(schemas: Mapping[str, Path]) -> dict[str, SourceSchema]:
    """Sources by name, from JSON Schema files. Raises SchemaError."""
    return {name: source_from_file(name, file) for name, file in schemas.items()}
