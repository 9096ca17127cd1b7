"""How long records take from the collector to the sink: percentiles over a sliding window."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from headwater.core import clock

WINDOW_S = 60.0
_STEP_S = 1.0


class DelayWindow:
    """Counts of delays, by second; those older than the window are forgotten. Used by one thread, read by another."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._steps: deque[tuple[float, Counter[int]]] = deque()

    def add(self, delays: Iterable[tuple[int, int]]) -> None:
        """Adds (ms, records)."""
        now = clock.monotonic_s()
        if not self._steps or now - self._steps[-1][0] >= _STEP_S:
            self._steps.append((now, Counter()))
        counts = self._steps[-1][1]
        for delay_ms, records in delays:
            counts[delay_ms] += records
        while self._steps[0][0] < now - self._window_s:
            self._steps.popleft()

    def percentiles(self) -> dict[str, int | None]:
        """p50 and p99 in ms of the window; None where it holds nothing."""
        since = clock.monotonic_s() - self._window_s
        total: Counter[int] = Counter()
        for started, counts in tuple(self._steps):
            if started >= since:
                total.update(counts.copy())
        return {"p50": _percentile(total, 0.50), "p99": _percentile(total, 0.99)}


def _percentile(counts: Counter[int], share: float) -> int | None:
    below = 0
    for delay_ms, records in sorted(counts.items()):
        below += records
        if below >= share * counts.total():
            return delay_ms
    return None
