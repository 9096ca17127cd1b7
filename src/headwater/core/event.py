"""The canonical event: the fields that every event has, whatever its type. Protocols map onto it; rules read it.

``properties`` is not among them: an event type registers what it holds, by paths such as ``("properties", "price")``.
"""

from __future__ import annotations

from headwater.core.types import BIGINT, DOUBLE, VARCHAR, DataType, ListOf, StructOf

TIERS = ("P0", "P1", "P2", "P3")
"""Highest first; a tier's number (`hw.tier`, the record's tier) is its index."""

_NAME_VERSION = StructOf((("name", VARCHAR), ("version", VARCHAR)))

CONTEXT = StructOf(
    (
        ("app_version", VARCHAR),
        ("build", VARCHAR),
        ("channel", VARCHAR),
        ("region", VARCHAR),
        ("locale", VARCHAR),
        ("timezone", VARCHAR),
        ("network", VARCHAR),
        ("os", _NAME_VERSION),
        ("device", StructOf((("id", VARCHAR), ("model", VARCHAR), ("manufacturer", VARCHAR), ("type", VARCHAR)))),
        (
            "page",
            StructOf((("url", VARCHAR), ("path", VARCHAR), ("referrer", VARCHAR), ("title", VARCHAR), ("search", VARCHAR))),
        ),
        ("ip", VARCHAR),
        ("user_agent", VARCHAR),
        ("library", _NAME_VERSION),
        (
            "campaign",
            StructOf((("source", VARCHAR), ("medium", VARCHAR), ("name", VARCHAR), ("term", VARCHAR), ("content", VARCHAR))),
        ),
        ("screen", StructOf((("width", BIGINT), ("height", BIGINT), ("density", DOUBLE)))),
    )
)
"""What SDKs say of the surroundings. Other keys pass through unread, until an event type registers them."""

HW = StructOf(
    (
        ("tier", BIGINT),
        ("plan", BIGINT),
        ("sample_rate", DOUBLE),
        ("site", VARCHAR),
        ("seq", BIGINT),
        ("original_time", BIGINT),
        ("flags", ListOf(VARCHAR)),
    )
)
"""Ours, written by the collector and never taken from a client. ``plan`` is the number of the snapshot, ``original_time`` the
client's own event time (ms UTC) where it was corrected, ``flags`` the violations found."""

EVENT_FIELDS: tuple[tuple[str, DataType], ...] = (
    ("event", VARCHAR),
    ("app", VARCHAR),
    ("event_id", VARCHAR),
    ("event_time", BIGINT),
    ("sent_time", BIGINT),
    ("received_time", BIGINT),
    ("user_id", VARCHAR),
    ("device_id", VARCHAR),
    ("session_id", VARCHAR),
    ("platform", VARCHAR),
    ("context", CONTEXT),
    ("hw", HW),
)
"""In canonical order. Times are ms since 1970, UTC; ``properties`` stands between ``context`` and ``hw`` in the JSON text."""

EVENT_BASE = StructOf(EVENT_FIELDS)
"""The base of every source that a collector feeds."""

SERVER_FIELDS = frozenset({"app", "received_time", "hw"})
"""Fields that only the collector sets; what a client sends under these names is never used."""
