"""The functions of a project: what its files declare, and whether they can be run."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.core.errors import UdfError
from headwater.core.udf import UdfSet
from headwater.kernel.udf.host import Host
from headwater.rules import Cache, Finding, read_udfs


def examine_udfs(files: Mapping[str, str], cache: Cache | None = None) -> tuple[UdfSet, tuple[Finding, ...]]:
    """The functions, and what is wrong with them.

    Files without findings are run once, in a process of their own; not again where the ``cache`` knows that they could be.
    """
    udfs, findings = read_udfs(files)
    if findings or not udfs.signatures or (cache is not None and cache.runnable == udfs.files):
        return udfs, findings
    try:
        Host(udfs).close()
    except UdfError as error:
        return udfs, (_finding(error, udfs),)
    if cache is not None:
        cache.runnable = udfs.files
    return udfs, ()


def _finding(error: UdfError, udfs: UdfSet) -> Finding:
    lines = udfs.files.get(error.file, "").splitlines()
    line = lines[error.line - 1] if error.line <= len(lines) else ""
    return Finding(
        "error", "udf_not_loaded", f"the file cannot be run: {error.text}", error.file or "udfs", error.line, 1, len(line), line
    )
