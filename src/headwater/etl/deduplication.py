"""The deduplication window over restarts: its state is committed with the offsets, its ids are read again from the log."""

from __future__ import annotations

from headwater.core.limits import DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW_MS, FETCH_BYTES_MAX
from headwater.kernel import Deduplicator
from headwater.log.interface import Log


def state_name(number: int) -> str:
    """Where the window of a key class is kept."""
    return f"etl/{number}/deduplication"


def restore(log: Log, number: int, classes: int) -> Deduplicator | None:
    """The window of a class as its last committed batch left it. Reads up to a window's worth of its records. Raises CorruptLog.

    None where this process does not see all of these records yet, which another process read before it. All classes together
    remember DEDUPLICATION_IDS_MAX ids, wherever they run.
    """
    ids_max = max(DEDUPLICATION_IDS_MAX // classes, 1)
    state = log.state(state_name(number))
    if state is None:
        return Deduplicator(DEDUPLICATION_WINDOW_MS, ids_max)
    deduplicator = Deduplicator.restore(state, DEDUPLICATION_WINDOW_MS, ids_max)
    ranges = deduplicator.replay_ranges()
    if any(end > log.end_offset(topic, partition) for topic, partition, _, end in ranges):
        return None
    for topic, partition, offset, end in ranges:
        while offset < end:
            fetch = log.read(topic, partition, offset, FETCH_BYTES_MAX)
            deduplicator.replay(fetch.data, topic, partition, fetch.first_offset)
            offset = fetch.next_offset
    return deduplicator
