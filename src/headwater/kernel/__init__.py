"""The kernel: batches of events in, batches of rows out. The only room that imports the native module."""

from headwater.kernel._native import (
    Deduplicated,
    Deduplicator,
    __version__,
    block_directory,
    check_block,
    checksum,
    count_records,
    decode_ranges,
    encode_block,
    encode_frame,
    find_later_frame,
    find_ranges,
    payload_lines,
    read_frame,
    record_delays,
)

__all__ = [
    "Deduplicated",
    "Deduplicator",
    "__version__",
    "block_directory",
    "check_block",
    "checksum",
    "count_records",
    "decode_ranges",
    "encode_block",
    "encode_frame",
    "find_later_frame",
    "find_ranges",
    "payload_lines",
    "read_frame",
    "record_delays",
]
