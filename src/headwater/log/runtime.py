"""Time and concurrency as the log's deciding code sees them, so that a simulation can hold both in its hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from headwater.core.clock import monotonic_s
from headwater.core.ids import new_id, seeded_random
from headwater.log.storage import StorageUnavailable

T = TypeVar("T")


class Runtime(Protocol):
    """All that the deciding code may wait for, besides storage."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    def random(self) -> float:
        """A number from 0 to 1, for waits that should differ between processes."""
        ...

    def together(self, calls: Sequence[Callable[[], T]], timeout_s: float) -> list[T | Exception]:
        """Runs the calls at the same time: what each gave or raised, in order.

        A call that is not done in time gives StorageUnavailable; it goes on, and what it does is done later or never.
        """
        ...


class Threads:
    """The runtime outside simulations: the machine's clock and a pool of threads. `close` it."""

    def __init__(self, threads_max: int = 64) -> None:
        self._pool = ThreadPoolExecutor(threads_max, thread_name_prefix="log")
        self._random = seeded_random(int(new_id(), 16))

    def now(self) -> float:
        """See `Runtime`."""
        return monotonic_s()

    def sleep(self, seconds: float) -> None:
        """See `Runtime`."""
        time.sleep(seconds)

    def random(self) -> float:
        """See `Runtime`."""
        return self._random.random()

    def together(self, calls: Sequence[Callable[[], T]], timeout_s: float) -> list[T | Exception]:
        """See `Runtime`. A single call runs where it is, however long it takes: there is nobody to go on without it."""
        if len(calls) == 1:
            return [_outcome(calls[0])]
        futures = [self._pool.submit(_outcome, call) for call in calls]
        wait(futures, timeout_s)
        late = StorageUnavailable(f"no answer within {timeout_s:g} s")
        return [future.result() if future.done() else late for future in futures]

    def close(self) -> None:
        """Waits for nothing: calls that hang must not hold up who leaves."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as e:
        return e
