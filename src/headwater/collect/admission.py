"""How many events of an app are taken: a token allowance for each."""

from __future__ import annotations

import math
import threading

from headwater.core.ids import new_id, seeded_random
from headwater.core.limits import RATE_BURST_S, RETRY_AFTER_JITTER_S


class Allowance:
    """Tokens that come at a rate, up to those of RATE_BURST_S; an event takes one. Not thread-safe.

    What a request holds is known once it was run, so that its events may leave a debt: then nothing is taken until it is paid.
    """

    def __init__(self, per_s: float, now_s: float) -> None:
        self.per_s = per_s
        self._tokens = per_s * RATE_BURST_S
        self._seen_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until the next request may come; 0: it may come now."""
        self._tokens = min(self._tokens + (now_s - self._seen_s) * self.per_s, self.per_s * RATE_BURST_S)
        self._seen_s = now_s
        return 0.0 if self._tokens > 0 else -self._tokens / self.per_s + 1 / self.per_s

    def take(self, events: int) -> None:
        """Those events came."""
        self._tokens -= events


class Admission:
    """The allowances of all apps that have a limit. Safe from any thread."""

    def __init__(self) -> None:
        self._allowances: dict[str, Allowance] = {}
        self._random = seeded_random(int(new_id(), 16))
        self._guard = threading.Lock()

    def retry_after_s(self, app: str, per_s: int, now_s: float) -> int | None:
        """None where a request of the app may come, which has a limit of so many events a second; else when to come again.

        Whole seconds, as the header has them, a random part later: those who are sent away together do not come back together.
        """
        with self._guard:
            allowance = self._allowances.get(app)
            if allowance is None or allowance.per_s != per_s:
                allowance = self._allowances[app] = Allowance(per_s, now_s)
            wait_s = allowance.wait_s(now_s)
            return math.ceil(wait_s + self._random.random() * RETRY_AFTER_JITTER_S) if wait_s else None

    def took(self, app: str, events: int) -> None:
        """So many events of the app came."""
        with self._guard:
            if app in self._allowances:
                self._allowances[app].take(events)
