"""Carries every dataset of the log to its sink: reads, writes, syncs, saves the checkpoint, and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from headwater.core import clock
from headwater.core.limits import FETCH_BYTES_MAX, RETRY_WAIT_S_MAX, RETRY_WAIT_S_MIN, SINK_SYNC_THREADS, SINKS_OPEN_MAX
from headwater.deliver.checkpoints import Checkpoints
from headwater.deliver.delay import DelayWindow
from headwater.deliver.sink import Checkpoint, Sink, SinkBatch
from headwater.deliver.sinks.ndjson import NdjsonSink
from headwater.kernel import record_delays
from headwater.log.interface import Log

_IDLE_S = 0.5
_log = structlog.get_logger()


class Deliverer:
    """One sink for each topic that is not a source, in `<out_dir>/<topic>/`; new topics are found as they appear."""

    def __init__(
        self,
        log: Log,
        out_dir: Path,
        checkpoints: Path,
        sources: Callable[[], Collection[str]],
        make_sink: Callable[[Path], Sink] = NdjsonSink,
    ) -> None:
        """``checkpoints`` is the file that keeps how far the sinks are. Raises SinkError where it cannot be read."""
        self._topics_log = log
        self._out_dir = out_dir
        self._sources = sources
        self._make_sink = make_sink
        self._checkpoints = Checkpoints(checkpoints)
        self._deliveries: dict[str, _Delivery] = {}
        self._delays = DelayWindow()
        self._syncing = ThreadPoolExecutor(SINK_SYNC_THREADS, thread_name_prefix="sync")
        self._stop = threading.Event()
        self._drain = True

    def run(self) -> None:
        """Delivers until `stop`, then, where it is to drain, what is left to deliver by then."""
        while not self._stop.is_set():
            if not self.deliver():
                self._topics_log.wait(_IDLE_S)
        while self._drain and self.deliver():
            pass
        self._syncing.shutdown()
        for delivery in self._deliveries.values():
            delivery.sink.close()

    def stop(self, drain: bool = True) -> None:
        """Asks `run` to end; it may take half a second to notice, and then as long as delivering the rest takes.

        Without ``drain`` the rest stays for the next time.
        """
        self._drain = drain
        self._stop.set()

    def deliver(self) -> bool:
        """One round over all datasets: at most a fetch of each partition. True where any of it was delivered."""
        for topic in set(self._topics_log.topics()).difference(self._sources(), self._deliveries):
            sink = self._make_sink(self._out_dir / topic)
            self._deliveries[topic] = _Delivery(topic, self._topics_log, sink, self._checkpoints)
        deliveries = tuple(self._deliveries.values())
        groups = [deliveries[first : first + SINKS_OPEN_MAX] for first in range(0, len(deliveries), SINKS_OPEN_MAX)]
        return sum(self._deliver_group(group) for group in groups) > 0

    def _deliver_group(self, group: Sequence[_Delivery]) -> bool:
        self._save({delivery.topic: checkpoint for delivery in group if (checkpoint := delivery.open())})
        wrote = [delivery for delivery in group if delivery.write()]
        checkpoints = self._syncing.map(_Delivery.sync, wrote)
        synced = {delivery.topic: checkpoint for delivery, checkpoint in zip(wrote, checkpoints, strict=True) if checkpoint}
        if not self._save(synced):
            return False
        for topic in synced:
            self._delays.add(self._deliveries[topic].delivered())
        return True

    def _save(self, checkpoints: dict[str, Checkpoint]) -> bool:
        """True where there were any and they are durable; else their sinks go back."""
        try:
            if checkpoints:
                self._checkpoints.save(checkpoints)
            return bool(checkpoints)
        except Exception as error:
            for topic in checkpoints:
                self._deliveries[topic].fail(error)
            return False

    def figures(self) -> dict[str, dict[str, Any]]:
        """Per dataset: ``read`` from the log, ``written`` rows, ``lag`` in records, and the ``error`` holding it up, or None."""
        return {topic: delivery.figures() for topic, delivery in sorted(self._deliveries.items())}

    def delays(self) -> dict[str, int | None]:
        """p50 and p99 of the last minute, in ms, from the collector's stamp until the row is durable in its sink."""
        return self._delays.percentiles()


class _Delivery:
    """One dataset on its way. An error closes the sink; after a pause it goes on from the last saved checkpoint."""

    def __init__(self, topic: str, log: Log, sink: Sink, checkpoints: Checkpoints) -> None:
        self.topic = topic
        self.sink = sink
        self._log = log
        self._checkpoints = checkpoints
        self._opened = False
        self._offsets: dict[int, int] = {}
        self._written: list[tuple[int, list[tuple[int, int]]]] = []
        self._error: str | None = None
        self._wait_s = 0.0
        self._retry_at = 0.0

    def open(self) -> Checkpoint | None:
        """Opens the sink where it is not, once the pause after an error is over. Gives the checkpoint where it is to be saved."""
        if self._opened or clock.monotonic_s() < self._retry_at:
            return None
        try:
            saved = self._checkpoints.get(self.topic)
            checkpoint = self.sink.open(saved)
        except Exception as error:
            self.fail(error)
            return None
        self._offsets = dict(checkpoint.next_offsets)
        self._opened = True
        return None if checkpoint == saved else checkpoint

    def write(self) -> bool:
        """Reads what is new and hands it to the sink. True where there was anything."""
        if not self._opened:
            return False
        try:
            return sum(self._write_partition(partition) for partition in self._log.partitions(self.topic)) > 0
        except Exception as error:
            self.fail(error)
            return False

    def sync(self) -> Checkpoint | None:
        """None where it failed."""
        try:
            return self.sink.sync()
        except Exception as error:
            self.fail(error)
            return None

    def delivered(self) -> list[tuple[int, int]]:
        """Notes that the checkpoint is saved; gives the delays of what it covers."""
        self._error, self._wait_s = None, 0.0
        now = clock.now_ms()
        delays = [(delay_ms + now - at_ms, records) for at_ms, counts in self._written for delay_ms, records in counts]
        self._written = []
        return delays

    def fail(self, error: Exception) -> None:
        """Puts the sink aside for a while: 0.1 s, then twice as long each time, up to 5 s."""
        self._wait_s = min(max(2 * self._wait_s, RETRY_WAIT_S_MIN), RETRY_WAIT_S_MAX)
        self._retry_at = clock.monotonic_s() + self._wait_s
        if str(error) != self._error:
            _log.error("delivery is held up; it will be tried again", dataset=self.topic, error=str(error))
        self._error = str(error)
        self._opened = False
        self._written = []
        self.sink.close()

    def figures(self) -> dict[str, Any]:
        checkpoint = self._checkpoints.get(self.topic) or Checkpoint()
        read = sum(checkpoint.next_offsets.values())
        end = sum(self._log.end_offset(self.topic, partition) for partition in self._log.partitions(self.topic))
        return {"read": read, "written": checkpoint.rows, "lag": max(end - read, 0), "error": self._error}

    def _write_partition(self, partition: int) -> bool:
        offset = self._offsets.get(partition, 0)
        fetch = self._log.read(self.topic, partition, offset, FETCH_BYTES_MAX)
        if not fetch.data:
            return False
        self.sink.write(SinkBatch(partition, fetch.data, fetch.first_offset, fetch.next_offset))
        self._offsets[partition] = fetch.next_offset
        now = clock.now_ms()
        self._written.append((now, record_delays(fetch.data, now)))
        return True
