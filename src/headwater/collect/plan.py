"""A snapshot as the kernel's intake links it: the tracking plan of every app, and the mappings of the protocols."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.collect.protocols import PROTOCOLS
from headwater.core.event import EVENT_BASE, TIERS
from headwater.core.limits import EVENT_BYTES_MAX, ID_BYTES_MAX, REQUEST_EVENTS_MAX, REQUEST_OUTPUT_BYTES_MAX
from headwater.core.types import type_to_json
from headwater.kernel import Intake
from headwater.registry.snapshot import EventType, Reporting, Snapshot


class Linked(msgspec.Struct, frozen=True):
    """A snapshot ready to run: ``apps`` maps the SHA-256 of a write key to its app, ``reporting`` has the apps with limits."""

    snapshot: Snapshot
    intake: Intake
    apps: dict[str, str]
    reporting: dict[str, Reporting]

    @property
    def version(self) -> str:
        """What the header `Headwater-Config` says: number and the start of the hash."""
        return f"{self.snapshot.number}-{self.snapshot.hash[:12]}"


def link(snapshot: Snapshot) -> Linked:
    """Links a snapshot. Raises ValueError where the kernel does not understand it."""
    intake = Intake(
        msgspec.json.encode(plan_of(snapshot)),
        msgspec.json.encode({protocol.name: protocol.mapping for protocol in PROTOCOLS}),
        event_bytes_max=EVENT_BYTES_MAX,
        id_bytes_max=ID_BYTES_MAX,
        events_max=REQUEST_EVENTS_MAX,
        output_bytes_max=REQUEST_OUTPUT_BYTES_MAX,
    )
    keys = {key: app.name for app in snapshot.apps for key in app.write_keys}
    return Linked(
        snapshot, intake, keys, {app.name: app.reporting for app in snapshot.apps if isinstance(app.reporting, Reporting)}
    )


def plan_of(snapshot: Snapshot) -> dict[str, Any]:
    """The plan as JSON values."""
    by_app: dict[str, list[EventType]] = {app.name: [] for app in snapshot.apps}
    for kind in snapshot.event_types:
        by_app.setdefault(kind.app, []).append(kind)
    return {
        "snapshot": snapshot.number,
        "base": type_to_json(EVENT_BASE),
        "apps": [
            {"name": app.name, "enforce": app.mode == "enforce", "event_types": [_event_type(kind) for kind in by_app[app.name]]}
            for app in snapshot.apps
        ],
    }


def _event_type(kind: EventType) -> dict[str, Any]:
    fields = [{"path": field.path, "type": type_to_json(field.type), "required": field.required} for field in kind.fields]
    return {"name": kind.name, "tier": TIERS.index(kind.tier), "fields": fields}
