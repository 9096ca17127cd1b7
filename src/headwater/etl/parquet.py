"""Parquet files of a batch run, written by DuckDB from the NDJSON rows. Needs the extra `lake`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headwater.core.dataset import DatasetSchema
from headwater.core.errors import OutputError
from headwater.core.limits import BATCH_CHUNK_BYTES
from headwater.core.types import quoted

# One escape, or a pair of surrogates; a back slash that is itself escaped starts neither.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_MAYBE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def load_duckdb() -> Any:
    """The duckdb module. Raises OutputError that says how to install it."""
    try:
        import duckdb
    except ImportError as e:
        raise OutputError("--format parquet needs DuckDB, which is not installed: pip install 'headwater[lake]'") from e
    return duckdb


def write_parquet(schema: DatasetSchema, rows: Path, parquet: Path, line_bytes_max: int) -> None:
    """Writes the rows (NDJSON) as ``parquet``: typed columns, or for a star dataset the one JSON column ``event``.

    ``line_bytes_max`` is no less than the longest row. A lone surrogate, which Parquet cannot hold, becomes U+FFFD.
    Raises OutputError.
    """
    duckdb = load_duckdb()
    _replace_lone_surrogates(rows)
    size = max(line_bytes_max + 1, 16 * 1024 * 1024)
    if schema.star:
        select = f"SELECT json AS event FROM read_ndjson_objects({_text(str(rows))}, maximum_object_size={size})"
    else:
        types = ", ".join(f"{_text(name)}: {_text(str(kind))}" for name, kind in schema.columns)
        select = (
            f"SELECT {', '.join(quoted(name) for name, _ in schema.columns)} FROM read_json({_text(str(rows))}, "
            f"columns={{{types}}}, format='newline_delimited', maximum_object_size={size})"
        )
    try:
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO {_text(str(parquet))} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as e:
        raise OutputError(f"cannot write {schema.name} as Parquet: {e}") from e


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _replace_lone_surrogates(rows: Path) -> None:
    """In place: an escaped surrogate and U+FFFD are both six bytes long."""
    with rows.open("r+b") as f:
        while lines := f.readlines(BATCH_CHUNK_BYTES):
            data = b"".join(lines)
            if _MAYBE_SURROGATE.search(data):
                f.seek(-len(data), 1)
                f.write(_ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], data))
