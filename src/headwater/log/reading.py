"""Reading the records of one partition out of a segment on one site."""

from __future__ import annotations

from headwater.core.errors import CorruptLog
from headwater.core.limits import FETCH_BYTES_MAX
from headwater.kernel import decode_ranges, find_ranges
from headwater.log.member import MemberSite
from headwater.log.shard_view import Part

_WINDOW_BYTES_MIN = 64 * 1024
_WINDOW_BYTES_MAX = 1024 * 1024
_Range = tuple[int, int, int, int, int, int, int, int, int]


def read_records(
    site: MemberSite, part: Part, start: int, end: int, topic: str, partition: int, offset: int, bytes_max: int
) -> tuple[bytes, int]:
    """Records from ``offset`` on, and the offset behind them; ``start`` is where to walk from, ``end`` how far to look.

    Raises CorruptLog, ObjectMissing, StorageUnavailable.
    """
    label = f"{site.name}: {site.place(part.number)}"
    parts: list[tuple[_Range, bytes, int]] = []
    position, need, raw, first_found, size = start, 0, 0, start, _WINDOW_BYTES_MIN
    try:
        while position < end and raw < bytes_max and position - first_found <= FETCH_BYTES_MAX:
            window = site.get(part.number, position, min(max(need, size), end - position))
            if len(window) < need or not window:
                raise CorruptLog(f"{label}: byte {position}: the segment ends here; it was durable up to byte {end}")
            ranges, after, need = find_ranges(window, position, end, topic, partition, offset, bytes_max, raw)
            for found in ranges:
                raw += found[2]
                at, stored = found[0], found[1]
                if at + stored <= position + len(window):
                    parts.append((found, window, at - position))
                else:
                    parts.append((found, site.get(part.number, at, stored), 0))
            if parts:
                size = min(2 * size, _WINDOW_BYTES_MAX)
            else:
                first_found = after
            position = after
        data, next_offset = decode_ranges(parts, offset, bytes_max)
    except (ValueError, NotImplementedError) as e:
        raise CorruptLog(f"{label}: {e}") from None
    if next_offset == offset:
        raise CorruptLog(f"{label}: byte {start}: {topic}/{partition} {offset} is not found from here on")
    return data, next_offset
