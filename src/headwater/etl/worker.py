"""The first hop of the stream, of one key class: ingest topic → deduplicate → rules → datasets, each logged record once.

The outputs of a batch, its dead letters, the offset it was read up to and the figures are one append group: all there, or none.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from headwater.core.limits import WORKER_FETCH_BYTES_MAX, WORKER_OUTPUT_BYTES_MAX
from headwater.etl.dead_letter import letter_for_too_large, letters
from headwater.etl.deduplication import restore, state_name
from headwater.etl.figures import Figures
from headwater.etl.kernel_counts import KernelCounts
from headwater.etl.linked import Linked
from headwater.kernel import Deduplicator
from headwater.log.interface import AppendGroup, Batch, Commit, Log

GROUP = "etl"
DEAD_LETTERS = "dead_letters"


def shard_name(number: int) -> str:
    """The shard that the worker of a key class writes."""
    return f"etl-{number}"


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


class ClassWorker:
    """Runs rules over what a key class gets: every partition p of the sources with p mod ``classes`` = ``number``.

    It writes partition ``number`` of every dataset, and dead letters into partition 2 · ``number`` + 1. Used by one thread at a
    time; any may ask for what it counted. After Overtaken or AppendInDoubt it is of no use any more: `close` it, and make
    another one, which goes on from what is committed.
    """

    def __init__(self, log: Log, number: int, classes: int, linked: Linked, counts: KernelCounts) -> None:
        """Takes the shard. ``counts`` gets what the kernel counts. Raises what `Log.writer` raises."""
        self.number = number
        self._topics_log = log
        self._classes = classes
        self.linked = linked
        self._counts = counts
        self._writer = log.writer(shard_name(number))
        self._figures = Figures(log.state, number)
        self._deduplicator: Deduplicator | None = None
        self._work: _Work | None = None
        self._fetch_bytes = WORKER_FETCH_BYTES_MAX
        self._lock = threading.Lock()
        self._link()

    def use(self, linked: Linked) -> None:
        """From the next batch on, these rules."""
        if linked is not self.linked:
            self.linked = linked
            self._link()

    def _link(self) -> None:
        linked = self.linked
        with self._lock:
            self._figures.link(linked.snapshot.source, [ref for refs in linked.rules.values() for ref in refs])

    def work(self) -> bool:
        """One batch of each partition. False where there was nothing to do. Raises what the log raises; call it again then."""
        if self._work is not None:
            self._finish(self._work)
            return True
        worked = False
        for topic in self._figures.sources:
            for partition in self._partitions(topic):
                self._work = self._read(topic, partition)
                if self._work is not None:
                    self._finish(self._work)
                    worked = True
        return worked

    def close(self) -> None:
        """Gives the shard up, with all that is not committed."""
        self._writer.close()

    def view(self) -> dict[str, Any]:
        """See `Figures.view`: since the beginning of the log, whatever was restarted."""
        with self._lock:
            return self._figures.view()

    @property
    def forgotten(self) -> int:
        """Ids forgotten before their window was over."""
        deduplicator = self._deduplicator
        return deduplicator.forgotten if deduplicator else 0

    def _partitions(self, topic: str) -> list[int]:
        return [each for each in self._topics_log.partitions(topic) if each % self._classes == self.number]

    def _read(self, topic: str, partition: int) -> _Work | None:
        offset = self._topics_log.committed(GROUP, topic, partition)
        if offset >= self._topics_log.end_offset(topic, partition):
            return None  # Behind it where another process, which saw more of the log, had the class before.
        fetch = self._topics_log.read(topic, partition, offset, self._fetch_bytes)
        if self._deduplicator is None:
            self._deduplicator = restore(self._topics_log, self.number, self._classes)
        if not fetch.data or self._deduplicator is None:
            return None
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
        linked = self.linked
        # The records carry their origin, so the topic and offset given here are never used.
        program = linked.program(work.topic)
        result = program.run_records(work.records, work.topic, work.partition, 0, linked.snapshot.number)
        rules = linked.rules.get(work.topic, [])
        rows = result.rows
        batches = [Batch(dataset, self.number, data, rows[dataset]) for dataset, data in result.outputs.items() if rows[dataset]]
        letters_partition = 2 * self.number + 1
        dead, count = letters(work.records, result, [rule.name for rule in rules], linked.snapshot.number)
        if count:
            batches.append(Batch(DEAD_LETTERS, letters_partition, dead, count))
        too_large = sum(len(batch.data) for batch in batches) > WORKER_OUTPUT_BYTES_MAX
        if too_large and work.read > 1:
            return None
        with self._lock:
            if too_large:
                # One event alone: without this letter the worker would be held up by it for ever.
                letter = letter_for_too_large(work.records, linked.snapshot.number)
                batches = [Batch(DEAD_LETTERS, letters_partition, letter, 1)]
                self._figures.add_dead(work.topic)
            else:
                self._figures.add(work.topic, work.read, work.duplicates, result, rules)
                self._counts.add(program, result)
            state = ((state_name(self.number), work.window), *self._figures.take_changed())
        commit = Commit(GROUP, work.topic, work.partition, work.next_offset)
        return AppendGroup(batches=tuple(batches), commits=(commit,), state=state)


def lag(log: Log, topics: tuple[str, ...], number: int, classes: int) -> int:
    """Records of a class that are logged and not done."""
    places = ((topic, partition) for topic in topics for partition in log.partitions(topic) if partition % classes == number)
    return sum(max(log.end_offset(*place) - log.committed(GROUP, *place), 0) for place in places)
