"""What the collector counts. received = accepted + dropped + dead, always, in events."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from headwater.kernel import IntakeCounters, IntakeResult

_LISTED = 200


class Figures:
    """Counters of one collector, safe from any thread.

    A body that is no event as a whole counts as one. ``refused`` are requests that were turned away and may come again: they are
    not received.
    """

    def __init__(self) -> None:
        self._counters = IntakeCounters()
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def add(self, result: IntakeResult) -> None:
        """Counts a body whose events and dead letters are durable."""
        self._counters.add(result)

    def drop(self, reason: str) -> None:
        """Counts a body that was dropped as a whole."""
        with self._lock:
            self._dropped[reason] += 1

    def dead(self, reason: str) -> None:
        """Counts a body that became a dead letter as a whole."""
        with self._lock:
            self._dead[reason] += 1

    def refuse(self, reason: str) -> None:
        """Counts a request that was turned away."""
        with self._lock:
            self._refused[reason] += 1

    def to_json(self) -> dict[str, Any]:
        """received, accepted, dropped and dead by reason, refused, and the event types and violations that are most frequent."""
        accepted = self._counters.accepted()
        with self._lock:
            dropped = dict(self._dropped + Counter(self._counters.dropped()))
            dead = dict(self._dead + Counter(self._counters.dead()))
            refused = dict(self._refused)
        events = sorted(self._counters.events(), key=lambda row: (-row[2] - row[4], row[:2]))[:_LISTED]
        violations = sorted(self._counters.violations(), key=lambda row: (-row[3], row[:3]))[:_LISTED]
        return {
            "received": accepted + sum(dropped.values()) + sum(dead.values()),
            "accepted": accepted,
            "dropped": dropped,
            "dead": dead,
            "refused": refused,
            "events": [dict(zip(("app", "event", "accepted", "flagged", "dead"), row, strict=True)) for row in events],
            "violations": [dict(zip(("app", "event", "violation", "count"), row, strict=True)) for row in violations],
        }
