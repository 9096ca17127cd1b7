"""The workers of the key classes that this process owns, which may change while they run; one linked program for all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from headwater.core import clock
from headwater.core.errors import AppendInDoubt, HeadwaterError, LinkError, Overtaken
from headwater.core.limits import RETRY_WAIT_S_MAX, RETRY_WAIT_S_MIN, UDF_BATCH_MS_MAX
from headwater.etl.figures import Figures, sources, total
from headwater.etl.kernel_counts import KernelCounts
from headwater.etl.linked import Linked
from headwater.etl.worker import ClassWorker, lag
from headwater.log.interface import Log
from headwater.registry.snapshot import Snapshot

_IDLE_S = 0.5
_log = structlog.get_logger()


class _Slot:
    """A class that is owned. ``worker`` is there once its shard is open; who runs it holds ``busy``."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: ClassWorker | None = None
        self.busy = threading.Lock()
        self.lost = False
        self.closed = False
        self.error: str | None = None
        self.wait_s = 0.0
        self.due_at = 0.0


class Workers:
    """Runs the rules of the last snapshot that linked over the key classes that `assign` names.

    Where another process takes a class's shard, or nobody knows whether its last group is there, the class rests until
    `assign` names it again: whoever assigns knows whose it is.
    """

    def __init__(self, log: Log, snapshot: Snapshot, classes: int = 1, udf_batch_ms_max: int = UDF_BATCH_MS_MAX) -> None:
        """Owns no class yet. Raises LinkError where the snapshot cannot run on this log.

        A Python function that takes longer than ``udf_batch_ms_max`` for one batch is disabled.
        """
        self._topics_log = log
        self._classes = classes
        self._udf_batch_ms_max = udf_batch_ms_max
        self._linked = Linked(snapshot, udf_batch_ms_max)
        self._retiring: list[Linked] = []
        self._counts = KernelCounts()
        self._slots: dict[int, _Slot] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._leave = threading.Event()
        self._refused: str | None = None
        try:
            self._check_names(snapshot)
        except LinkError:
            self._linked.close(None)
            raise

    def assign(self, numbers: Iterable[int]) -> None:
        """Owns these classes too, from the next batch on; what rested goes on. Raises ValueError for one that there is not."""
        with self._lock:
            for number in numbers:
                if not 0 <= number < self._classes:
                    raise ValueError(f"there is no key class {number}; there are {self._classes}, from 0 on")
                self._slots.setdefault(number, _Slot(number)).lost = False

    def revoke(self, numbers: Iterable[int]) -> None:
        """Gives these classes up. Returns once their batches under way are done, or failed, and their shards are closed."""
        with self._lock:
            given_up = [slot for number in numbers if (slot := self._slots.pop(number, None)) is not None]
        for slot in given_up:
            with slot.busy:
                self._close(slot)
                slot.closed = True

    @property
    def owned(self) -> frozenset[int]:
        """The classes that it owns."""
        with self._lock:
            return frozenset(self._slots)

    def open(self) -> None:
        """Opens the shards of all classes owned, where a start is to fail if that fails. Raises what `Log.writer` raises."""
        for slot in self._owned():
            with slot.busy:
                self._open(slot)

    def swap(self, snapshot: Snapshot) -> None:
        """Links aside; the next batch of each class runs the new rules. Raises LinkError; then the old ones go on."""
        before = self._linked
        try:
            linked = Linked(snapshot, self._udf_batch_ms_max, before)
        except LinkError as e:
            self._refused = str(e)
            raise
        try:
            self._check_names(snapshot)
        except LinkError as e:
            linked.close(before)
            self._refused = str(e)
            raise
        with self._lock:
            self._linked, self._refused = linked, None
            self._retiring.append(before)
        self._retire()

    def run(self) -> None:
        """Works until `stop`, on as many threads as there are cores or classes, whichever are fewer."""
        count = min(os.cpu_count() or 1, self._classes)
        threads = [threading.Thread(target=self._serve, name=f"etl-{n}", daemon=True) for n in range(1, count)]
        for thread in threads:
            thread.start()
        self._serve()
        for thread in threads:
            thread.join()
        self.revoke(self.owned)
        self._retire()
        self._linked.close(None)

    def stop(self, drain: bool = True) -> None:
        """Asks `run` to end once it has done all that is logged; where it cannot (disk full), at once: nothing is lost.

        Without ``drain`` it ends once the batches under way are done.
        """
        if not drain:
            self._leave.set()
        self._stop.set()

    def work(self) -> bool:
        """One batch of each partition of each class. False where there was nothing to do. Raises what the log raises."""
        worked = False
        for slot in self._owned():
            with slot.busy:
                worked = self._work(slot) or worked
        return worked

    def sources(self) -> tuple[str, ...]:
        """The topics that it reads: the snapshot's source, and any that an earlier snapshot had."""
        return (*{*sources(self._topics_log.state, self._classes), self._linked.snapshot.source},)

    def figures(self) -> dict[str, Any]:
        """See `Figures.view`, summed over the classes owned. And ``snapshot``, the number that runs, ``classes`` owned,
        ``lag`` in records, ``ids_forgotten`` before their window was over, ``functions`` by name (since they were loaded),
        ``errors``: what holds it up, and which functions are disabled, and ``kernel``: see `KernelCounts.view`.
        """
        slots = self._owned()
        known = [slot.worker or self._committed(slot.number) for slot in slots]
        lags = [lag(self._topics_log, self.sources(), slot.number, self._classes) for slot in slots]
        linked = self._linked
        held_up = [error for slot in slots if (error := slot.error)]
        errors = [*dict.fromkeys(held_up), *([self._refused] if self._refused else []), *linked.functions.alarms()]
        return total([each.view() for each in known]) | {
            "kernel": self._counts.view(),
            "snapshot": linked.snapshot.number,
            "classes": sorted(slot.number for slot in slots),
            "lag": sum(lags),
            "ids_forgotten": sum(worker.forgotten for slot in slots if (worker := slot.worker) is not None),
            "functions": msgspec.to_builtins(linked.functions.figures()),
            "errors": errors,
        }

    def _serve(self) -> None:
        """The loop of one thread: takes classes that nobody runs, one after the other."""
        while not self._leave.is_set():
            worked = False
            for slot in self._owned():
                if not self._leave.is_set() and slot.busy.acquire(blocking=False):
                    try:
                        worked = self._attempt(slot) or worked
                    finally:
                        slot.busy.release()
            if worked:
                continue
            if self._stop.is_set():
                break
            self._topics_log.wait(self._idle_s())

    def _idle_s(self) -> float:
        now = clock.monotonic_s()
        waits = [max(slot.due_at - now, 0.01) for slot in self._owned() if slot.wait_s and not slot.lost]
        return min([_IDLE_S, *waits])

    def _attempt(self, slot: _Slot) -> bool:
        """As `_work`, after the pause that a failure brings; failures are kept for `figures` and said once."""
        if slot.closed or slot.lost or clock.monotonic_s() < slot.due_at:
            return False
        try:
            worked = self._work(slot)
        except Exception as error:
            slot.wait_s = min(max(2 * slot.wait_s, RETRY_WAIT_S_MIN), RETRY_WAIT_S_MAX)
            slot.due_at = clock.monotonic_s() + slot.wait_s
            if str(error) != slot.error:
                unforeseen = not isinstance(error, HeadwaterError)
                text = "the worker is held up; it will try again"
                _log.error(text, key_class=slot.number, error=str(error), exc_info=unforeseen)
            slot.error = str(error)
            return False
        slot.wait_s, slot.due_at, slot.error = 0.0, 0.0, None
        return worked

    def _work(self, slot: _Slot) -> bool:
        worker = self._open(slot)
        with self._lock:
            worker.use(self._linked)
        self._retire()
        try:
            return worker.work()
        except (Overtaken, AppendInDoubt):
            self._close(slot)
            slot.lost = True
            raise

    def _open(self, slot: _Slot) -> ClassWorker:
        if slot.worker is None:
            slot.worker = ClassWorker(self._topics_log, slot.number, self._classes, self._linked, self._counts)
        return slot.worker

    def _close(self, slot: _Slot) -> None:
        worker, slot.worker = slot.worker, None
        if worker is not None:
            worker.close()

    def _retire(self) -> None:
        """Ends the programs that no class runs any more."""
        if not self._retiring:
            return
        with self._lock:
            used = {slot.worker.linked for slot in self._slots.values() if slot.worker is not None} | {self._linked}
            unused = [linked for linked in self._retiring if linked not in used]
            self._retiring = [linked for linked in self._retiring if linked in used]
        for linked in unused:
            self._counts.retire(linked.programs())
            if not any(other.functions is linked.functions for other in used):
                linked.close(None)

    def _owned(self) -> list[_Slot]:
        with self._lock:
            return list(self._slots.values())

    def _committed(self, number: int) -> Figures:
        return Figures(self._topics_log.state, number)

    def _check_names(self, snapshot: Snapshot) -> None:
        """The log has one writer for each topic, and a dataset that is a source as well would run in a circle."""
        known = [self._committed(number) for number in range(self._classes)]
        read = {topic for figures in known for topic in figures.sources} | ({self._linked.snapshot.source} - {snapshot.source})
        written = {dataset for figures in known for dataset in figures.written}
        if snapshot.source in written:
            raise LinkError(
                f"snapshot {snapshot.number} does not run: its source {snapshot.source!r} is a dataset that rules wrote before; "
                "name another source"
            )
        for rule in snapshot.rules:
            if rule.into in read:
                raise LinkError(
                    f"snapshot {snapshot.number} does not run: the rule {rule.name!r} writes into {rule.into!r}, "
                    "which was a source before; name another dataset"
                )
