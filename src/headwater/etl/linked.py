"""A snapshot's rules, linked: one program for each topic that rules read."""

from __future__ import annotations

import structlog

from headwater.core.errors import LinkError, UdfError
from headwater.core.limits import UDF_BATCH_MS_MAX
from headwater.etl.figures import RuleRef
from headwater.kernel import Program
from headwater.kernel.udf.host import Host
from headwater.registry.snapshot import Snapshot

_log = structlog.get_logger()


class Linked:
    """Programs by source. A source without rules has a program too: its events are read, checked to be JSON, and counted."""

    def __init__(self, snapshot: Snapshot, udf_batch_ms_max: int = UDF_BATCH_MS_MAX, before: Linked | None = None) -> None:
        """Raises LinkError that names the rule which this kernel cannot link, or the file of functions that cannot be run.

        The functions of ``before`` go on where their files are the same.
        """
        self.snapshot = snapshot
        refs = [RuleRef(rule.name, rule.source, rule.into) for rule in snapshot.rules]
        self.rules = {source: [ref for ref in refs if ref.source == source] for source in snapshot.sources}
        self.functions = _functions(snapshot, udf_batch_ms_max, before)
        try:
            self._programs = {
                source: Program([rule.canonical() for rule in snapshot.rules if rule.source == source], self.functions)
                for source in snapshot.sources
            }
            self._empty = Program([])
        except ValueError as e:
            self.close(before)
            raise LinkError(f"snapshot {snapshot.number} does not link: {e}") from e

    def program(self, source: str) -> Program:
        """The program of a source; one without rules where the snapshot does not know the source (any more)."""
        return self._programs.get(source, self._empty)

    def programs(self) -> tuple[Program, ...]:
        """All of them."""
        return (*self._programs.values(), self._empty)

    def close(self, successor: Linked | None) -> None:
        """Ends what its functions run in, unless ``successor`` goes on with them."""
        if successor is None or successor.functions is not self.functions:
            self.functions.close()


def _functions(snapshot: Snapshot, udf_batch_ms_max: int, before: Linked | None) -> Host:
    if before is not None and before.snapshot.udfs == snapshot.udfs:
        return before.functions
    try:
        return Host(snapshot.udfs, udf_batch_ms_max, before.functions if before else None, alarm=_log.error)
    except UdfError as e:
        raise LinkError(f"snapshot {snapshot.number} does not link: {e}") from e
