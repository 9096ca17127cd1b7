"""Reading records out of a segment on one site: those of one partition, or of many at once."""

from __future__ import annotations

from headwater.core.errors import CorruptLog
from headwater.core.limits import FETCH_BYTES_MAX
from headwater.kernel import decode_ranges, find_ranges, read_frame, split_block
from headwater.log.member import MemberSite
from headwater.log.segment import BLOCK
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
    name = part.place(site)
    label = f"{site.name}: {name}"
    parts: list[tuple[_Range, bytes, int]] = []
    position, need, raw, first_found, size = start, 0, 0, start, _WINDOW_BYTES_MIN
    try:
        while position < end and raw < bytes_max and position - first_found <= FETCH_BYTES_MAX:
            window = site.storage.get(name, position, min(max(need, size), end - position))
            if len(window) < need or not window:
                raise CorruptLog(f"{label}: byte {position}: the segment ends here; it was durable up to byte {end}")
            ranges, after, need = find_ranges(window, position, end, topic, partition, offset, bytes_max, raw)
            for found in ranges:
                raw += found[2]
                at, stored = found[0], found[1]
                if at + stored <= position + len(window):
                    parts.append((found, window, at - position))
                else:
                    parts.append((found, site.storage.get(name, at, stored), 0))
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


def read_blocks(
    site: MemberSite, part: Part, start: int, end: int, topic: str, wanted: dict[int, int], bytes_max: int
) -> list[tuple[int, int, int, bytes]]:
    """(partition, first offset, count, records) of the wanted partitions, each from its offset on, block by block.

    Every block is read once, whole, until there are ``bytes_max`` bytes of records. Raises as `read_records` does.
    """
    name = part.place(site)
    label = f"{site.name}: {name}"
    found: list[tuple[int, int, int, bytes]] = []
    position, size, window, at = start, 0, b"", start
    wanted = dict(wanted)
    try:
        while position < end and size < bytes_max:
            need = _frame_bytes(window, position - at, position)
            if need > len(window) - (position - at):
                window, at = site.storage.get(name, position, min(max(need, _WINDOW_BYTES_MAX), end - position)), position
                if len(window) < min(need, end - position):
                    raise CorruptLog(f"{label}: byte {position}: the segment ends here; it was durable up to byte {end}")
                continue
            frame = window[position - at : position - at + need]
            for one in split_block(frame, position, topic, wanted) if frame[5] == BLOCK else ():
                partition, first, count, records = one
                wanted[partition] = first + count
                size += len(records)
                found.append(one)
            position += need
    except (ValueError, NotImplementedError) as e:
        raise CorruptLog(f"{label}: {e}") from None
    return found


def _frame_bytes(window: bytes, start: int, position: int) -> int:
    """Bytes of the frame there, or at least so many where its header is not all in the window."""
    header = read_frame(window, start, position) if start < len(window) else 1
    return header if isinstance(header, int) else header[2] + header[3]
