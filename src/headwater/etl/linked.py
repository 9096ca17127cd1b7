"""A snapshot's rules, linked: one program for each topic that rules read."""

from __future__ import annotations

from headwater.core.errors import LinkError
from headwater.etl.figures import RuleRef
from headwater.kernel import Program
from headwater.registry.snapshot import Snapshot, canonical


class Linked:
    """Programs by source. A source without rules has a program too: its events are read, checked to be JSON, and counted."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Raises LinkError that names the rule which this kernel cannot link."""
        self.snapshot = snapshot
        refs = [RuleRef(rule["name"], rule["from"], rule["into"]) for rule in snapshot.rules]
        self.rules = {source: [ref for ref in refs if ref.source == source] for source in snapshot.sources}
        try:
            self._programs = {
                source: Program([canonical(rule) for rule in snapshot.rules if rule["from"] == source])
                for source in snapshot.sources
            }
            self._empty = Program([])
        except ValueError as e:
            raise LinkError(f"snapshot {snapshot.number} does not link: {e}") from e

    def program(self, source: str) -> Program:
        """The program of a source; one without rules where the snapshot does not know the source (any more)."""
        return self._programs.get(source, self._empty)
