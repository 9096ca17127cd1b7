"""The deduplication window over restarts: its state is committed with the offsets, its ids are read again from the log."""

from __future__ import annotations

from headwater.core.limits import DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW_MS, FETCH_BYTES_MAX
from headwater.kernel import Deduplicator
from headwater.log.interface import Log

STATE = "etl/deduplication"


def restore(log: Log) -> Deduplicator:
    """The window as the last committed batch left it. Reads up to a window's worth of the ingest topic. Raises CorruptLog."""
    state = log.state(STATE)
    if state is None:
        return Deduplicator(DEDUPLICATION_WINDOW_MS, DEDUPLICATION_IDS_MAX)
    deduplicator = Deduplicator.restore(state, DEDUPLICATION_WINDOW_MS, DEDUPLICATION_IDS_MAX)
    for topic, partition, offset, end in deduplicator.replay_ranges():
        while offset < end:
            fetch = log.read(topic, partition, offset, FETCH_BYTES_MAX)
            deduplicator.replay(fetch.data, topic, partition, fetch.first_offset)
            offset = fetch.next_offset
    return deduplicator
