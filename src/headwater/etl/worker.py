"""The first hop of the stream: ingest topic → deduplicate → rules → datasets, each logged record once.

The outputs of a batch, its dead letters, the offset it was read up to and the figures are one append group: all there, or none.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import structlog

from headwater.core.errors import HeadwaterError, LinkError, LogError
from headwater.core.limits import (
    RETRY_WAIT_S_MAX,
    RETRY_WAIT_S_MIN,
    UDF_BATCH_MS_MAX,
    WORKER_FETCH_BYTES_MAX,
    WORKER_OUTPUT_BYTES_MAX,
)
from headwater.etl.dead_letter import letter_for_too_large, letters
from headwater.etl.deduplication import STATE as DEDUPLICATION
from headwater.etl.deduplication import restore
from headwater.etl.figures import Figures
from headwater.etl.kernel_counts import KernelCounts
from headwater.etl.linked import Linked
from headwater.kernel import Deduplicator
from headwater.log.interface import AppendGroup, Batch, Commit, Log
from headwater.registry.snapshot import Snapshot

GROUP = "etl"
SHARD = "etl-0"
DEAD_LETTERS = ("dead_letters", 1)
_IDLE_S = 0.5
_log = structlog.get_logger()


class _Work(msgspec.Struct):
    """A batch under way: read and deduplicated, which must not be done twice, since the second time every event is a repeat."""

    topic: str
    partition: int
    next_offset: int
    read: int
    duplicates: int
    records: bytes
    window: bytes
    group: AppendGroup | None = None


class Worker:
    """Runs the rules of the last snapshot that linked over everything that the ingest topic gets."""

    def __init__(self, log: Log, snapshot: Snapshot, udf_batch_ms_max: int = UDF_BATCH_MS_MAX) -> None:
        """Raises LinkError where the snapshot cannot run on this log, LogError where another worker has the shard.

        A Python function that takes longer than ``udf_batch_ms_max`` for one batch is disabled.
        """
        self._linked = Linked(snapshot, udf_batch_ms_max)
        self._udf_batch_ms_max = udf_batch_ms_max
        self._topics_log = log
        try:
            self._writer = log.writer(SHARD)
        except LogError:
            self._linked.close(None)
            raise
        self._figures = Figures(log.state)
        self._counts = KernelCounts()
        self._deduplicator: Deduplicator | None = None
        self._next: Linked | None = None
        self._work: _Work | None = None
        self._fetch_bytes = WORKER_FETCH_BYTES_MAX
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: str | None = None
        self._refused: str | None = None
        try:
            self._check_names(snapshot)
        except LinkError:
            self._writer.close()
            self._linked.close(None)
            raise
        self._link(self._linked)

    def _check_names(self, snapshot: Snapshot) -> None:
        """The log has one writer for each topic, and a dataset that is a source as well would run in a circle."""
        with self._lock:
            sources, written = self._figures.sources, self._figures.written
        if snapshot.source in written:
            raise LinkError(
                f"snapshot {snapshot.number} does not run: its source {snapshot.source!r} is a dataset that rules wrote before; "
                "name another source"
            )
        for rule in snapshot.rules:
            if rule.into in sources:
                raise LinkError(
                    f"snapshot {snapshot.number} does not run: the rule {rule.name!r} writes into {rule.into!r}, "
                    "which was a source before; name another dataset"
                )

    def swap(self, snapshot: Snapshot) -> None:
        """Links aside; the next batch runs the new rules. Raises LinkError; then the old ones go on."""
        before = self._next or self._linked
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
            passed_over, self._next, self._refused = self._next, linked, None
        if passed_over is not None and passed_over.functions is not self._linked.functions:
            passed_over.close(linked)

    def run(self) -> None:
        """Works until `stop`, and then until all that was logged before is done."""
        wait_s = 0.0
        while True:
            try:
                worked = self.work()
                wait_s, self._error = 0.0, None
            except Exception as error:
                worked, wait_s = False, min(max(2 * wait_s, RETRY_WAIT_S_MIN), RETRY_WAIT_S_MAX)
                self._fail(error)
                if self._stop.wait(wait_s):
                    break
            if not worked and not wait_s:
                if self._stop.is_set():
                    break
                self._topics_log.wait(_IDLE_S)
        self._writer.close()
        self._linked.close(None)

    def stop(self) -> None:
        """Asks `run` to end once it has done all that is logged; where it cannot (disk full), at once: nothing is lost."""
        self._stop.set()

    def work(self) -> bool:
        """One batch of each partition. False where there was nothing to do. Raises what the log raises; call it again then."""
        self._take_next()
        if self._work is not None:
            self._finish(self._work)
            return True
        worked = False
        for topic in self.sources():
            for partition in self._topics_log.partitions(topic):
                self._work = self._read(topic, partition)
                if self._work is not None:
                    self._finish(self._work)
                    worked = True
        return worked

    def sources(self) -> tuple[str, ...]:
        """The topics that it reads: the snapshot's source, and any that an earlier snapshot had."""
        return self._figures.sources

    def figures(self) -> dict[str, Any]:
        """See `Figures.view`: since the beginning of the log, whatever was restarted. And ``snapshot``, the number that runs,
        ``lag`` in records, ``ids_forgotten`` before their window was over, ``functions`` by name (since they were loaded),
        ``errors``: what holds it up, and which functions are disabled, and ``kernel``: see `KernelCounts.view`.
        """
        with self._lock:
            view = self._figures.view() | {"kernel": self._counts.view()}
        lag = sum(self._lag(topic, partition) for topic in self.sources() for partition in self._topics_log.partitions(topic))
        linked = self._linked
        errors = [*(error for error in (self._error, self._refused) if error), *linked.functions.alarms()]
        functions = msgspec.to_builtins(linked.functions.figures())
        forgotten = self._deduplicator.forgotten if self._deduplicator else 0
        more = {"snapshot": linked.snapshot.number, "lag": lag, "ids_forgotten": forgotten}
        return view | more | {"functions": functions, "errors": errors}

    def _lag(self, topic: str, partition: int) -> int:
        return self._topics_log.end_offset(topic, partition) - self._topics_log.committed(GROUP, topic, partition)

    def _take_next(self) -> None:
        with self._lock:
            linked, self._next = self._next, None
        if linked is not None:
            before = self._linked
            self._link(linked)
            before.close(linked)

    def _link(self, linked: Linked) -> None:
        with self._lock:
            self._linked = linked
            self._counts.link()
            self._figures.link(linked.snapshot.source, [ref for refs in linked.rules.values() for ref in refs])

    def _read(self, topic: str, partition: int) -> _Work | None:
        offset = self._topics_log.committed(GROUP, topic, partition)
        fetch = self._topics_log.read(topic, partition, offset, self._fetch_bytes)
        if not fetch.data:
            return None
        if self._deduplicator is None:
            self._deduplicator = restore(self._topics_log)
        unique = self._deduplicator.run(fetch.data, topic, partition, fetch.first_offset)
        read = fetch.next_offset - fetch.first_offset
        return _Work(topic, partition, fetch.next_offset, read, unique.duplicates, unique.records, self._deduplicator.state())

    def _finish(self, work: _Work) -> None:
        if work.group is None:
            work.group = self._run_rules(work)
        if work.group is None:
            self._read_less(work)
            return
        self._writer.append(work.group)
        self._work = None
        self._fetch_bytes = min(2 * self._fetch_bytes, WORKER_FETCH_BYTES_MAX)

    def _read_less(self, work: _Work) -> None:
        """Takes the batch back. The window has seen it, so the window is made again from what is committed."""
        self._fetch_bytes = len(work.records) // 2
        self._deduplicator = None
        self._work = None

    def _run_rules(self, work: _Work) -> AppendGroup | None:
        """None where the outputs of the batch are more than an append group holds."""
        linked = self._linked
        # The records carry their origin, so the topic and offset given here are never used.
        program = linked.program(work.topic)
        result = program.run_records(work.records, work.topic, work.partition, 0, linked.snapshot.number)
        rules = linked.rules.get(work.topic, [])
        rows = result.rows
        batches = [Batch(dataset, 0, data, rows[dataset]) for dataset, data in result.outputs.items() if rows[dataset]]
        dead, count = letters(work.records, result, [rule.name for rule in rules], linked.snapshot.number)
        if count:
            batches.append(Batch(*DEAD_LETTERS, dead, count))
        too_large = sum(len(batch.data) for batch in batches) > WORKER_OUTPUT_BYTES_MAX
        if too_large and work.read > 1:
            return None
        with self._lock:
            if too_large:
                # One event alone: without this letter the worker would be held up by it for ever.
                batches = [Batch(*DEAD_LETTERS, letter_for_too_large(work.records, linked.snapshot.number), 1)]
                self._figures.add_dead(work.topic)
            else:
                self._figures.add(work.topic, work.read, work.duplicates, result, rules)
                self._counts.add(program, result)
            state = ((DEDUPLICATION, work.window), *self._figures.take_changed())
        commit = Commit(GROUP, work.topic, work.partition, work.next_offset)
        return AppendGroup(batches=tuple(batches), commits=(commit,), state=state)

    def _fail(self, error: Exception) -> None:
        if str(error) != self._error:
            _log.error(
                "the worker is held up; it will try again", error=str(error), exc_info=not isinstance(error, HeadwaterError)
            )
        self._error = str(error)
