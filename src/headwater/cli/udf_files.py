"""The option `--udfs FILE`: Python functions that rules call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from headwater.core.errors import ProjectError
from headwater.core.limits import UDF_BATCH_MS_MAX
from headwater.core.udf import UdfSet
from headwater.kernel.udf.host import Host
from headwater.registry.project import refused
from headwater.registry.udfs import examine_udfs

Udfs: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--udfs", metavar="FILE", help="Python functions that rules call. May be given several times."),
]
UdfBatchMs: TypeAlias = Annotated[
    int, typer.Option(min=1, max=3_600_000, help="A Python function that takes longer for one batch is disabled.")
]


def udf_texts(files: Sequence[Path] | None) -> dict[str, str]:
    """The texts of files, by their names. Raises ProjectError where one cannot be read."""
    texts = {}
    for file in files or ():
        try:
            texts[str(file)] = file.read_bytes().decode("utf-8").removeprefix("\ufeff")
        except OSError as error:
            raise ProjectError(f"{file}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ProjectError(f"{file}: not UTF-8 at byte {error.start}") from None
    return texts


def udf_set(files: Sequence[Path] | None) -> UdfSet:
    """The functions that files declare. Raises ProjectError with all findings."""
    udfs, findings = examine_udfs(udf_texts(files))
    if findings:
        raise refused(findings)
    return udfs


@contextlib.contextmanager
def running(udfs: UdfSet, batch_ms_max: int = UDF_BATCH_MS_MAX) -> Iterator[Host]:
    """The functions, ready to be called; standard error says which are disabled. Raises UdfError."""
    host = Host(udfs, batch_ms_max, alarm=lambda text: print(f"headwater: {text}", file=sys.stderr))
    try:
        yield host
    finally:
        host.close()
