"""The record: what topics hold. A header, then the payload (JSON text). `docs/formats/record.md` describes the bytes.

This is the plain codec, for single records (dead letters, tests, tools). Batches are made and read in the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

VERSION = 1
_FIXED = struct.Struct("<IBBHqqQIIHHHH")
_NO_TIME = -(2**63)


class Record(msgspec.Struct, frozen=True):
    """One record. Times are ms since 1970, UTC; ``event_time`` None where the event had none.

    ``origin`` is (topic, partition, offset) of the ingest record it was made from; None on an ingest record, whose origin is
    its own place. ``rule`` is "" on a record that no rule wrote. The record's id is its origin and its rule.
    """

    payload: bytes
    key: str = ""
    tier: int = 3
    event_time: int | None = None
    received_time: int = 0
    event_id: str = ""
    origin: tuple[str, int, int] | None = None
    rule: str = ""
    snapshot: int = 0


def encode(record: Record) -> bytes:
    """The stored form. Raises struct.error where a header text is over 65,535 bytes."""
    key, event_id, rule = record.key.encode(), record.event_id.encode(), record.rule.encode()
    topic, partition, offset = record.origin or ("", 0, 0)
    texts = key + event_id + topic.encode() + rule
    return (
        _FIXED.pack(
            _FIXED.size - 4 + len(texts) + len(record.payload),
            VERSION,
            record.tier,
            len(key),
            _NO_TIME if record.event_time is None else record.event_time,
            record.received_time,
            offset,
            partition,
            record.snapshot,
            len(event_id),
            len(topic.encode()),
            len(rule),
            0,
        )
        + texts
        + record.payload
    )


def decode_all(data: bytes) -> Iterator[Record]:
    """Every record of a batch. Raises ValueError for a version that is not known or bytes that end early."""
    at = 0
    while at < len(data):
        if at + _FIXED.size > len(data):
            raise ValueError(f"a record header is cut off at byte {at} of {len(data)}")
        length, version, tier, key_n, event_time, received, offset, partition, snapshot, id_n, topic_n, rule_n, _flags = (
            _FIXED.unpack_from(data, at)
        )
        if version != VERSION:
            raise ValueError(f"record version {version} is not known; this Headwater reads version {VERSION}")
        start, end = at + _FIXED.size, at + 4 + length
        if end > len(data) or start + key_n + id_n + topic_n + rule_n > end:
            raise ValueError(f"a record is cut off at byte {at} of {len(data)}")
        texts = []
        for size in (key_n, id_n, topic_n, rule_n):
            texts.append(data[start : start + size].decode())
            start += size
        key, event_id, topic, rule = texts
        yield Record(
            payload=data[start:end],
            key=key,
            tier=tier,
            event_time=None if event_time == _NO_TIME else event_time,
            received_time=received,
            event_id=event_id,
            origin=(topic, partition, offset) if topic else None,
            rule=rule,
            snapshot=snapshot,
        )
        at = end
