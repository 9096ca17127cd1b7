"""Wall clock and monotonic clock. Everything asks here, so that tests and simulations can stand still or run ahead."""

from __future__ import annotations

import time
from collections.abc import Callable

_wall: Callable[[], int] = time.time_ns


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return _wall() // 1_000_000


def monotonic_s() -> float:
    """Seconds of a clock that never goes back, for durations."""
    return time.monotonic()


def set_wall_clock(source: Callable[[], int] | None) -> None:
    """Replaces the wall clock by ``source`` (nanoseconds since 1970); None gives the real one back."""
    global _wall
    _wall = source or time.time_ns
