"""The part of /status.json that says which configuration runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.registry.snapshot import Snapshot
from headwater.rules import Finding


def snapshot_view(snapshot: Snapshot, refused: str | None = None, warnings: Sequence[Finding] = ()) -> dict[str, Any]:
    """The value of "snapshot". ``refused`` says why the last edit was not taken, ``warnings`` are those of the running one."""
    return {
        "project": snapshot.project,
        "source": snapshot.source,
        "number": snapshot.number,
        "hash": snapshot.hash,
        "created_time": snapshot.created_time,
        "apps": len(snapshot.apps),
        "event_types": len(snapshot.event_types),
        "rules": len(snapshot.rules),
        "refused": refused,
        "warnings": [str(finding) for finding in warnings],
    }
