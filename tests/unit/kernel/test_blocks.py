"""Blocks through the Python front: packing, placing, and each way of reading. `kernel/tests/blocks.rs` has the rest."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.record import Record, encode
from headwater.kernel import (
    Block,
    Packed,
    block_directory,
    block_times,
    check_block,
    decode_ranges,
    encode_block,
    find_ranges,
    index_at_time,
    read_frame,
    split_block,
)

BASE = 5000


def records(first: int, count: int, payload_bytes: int = 60) -> bytes:
    """Records received at the ms ``first``, ``first + 1`` …; their payloads have about that size."""
    return b"".join(
        encode(Record(payload=b'{"n":%d,"pad":"%s"}' % (n, b"x" * payload_bytes), event_id=str(n), received_time=n))
        for n in range(first, first + count)
    )


def encoded(block: Block | None) -> bytes:
    assert block is not None
    return block.joined()


def header(block: bytes) -> bytes:
    found = read_frame(block, 0, BASE)
    assert isinstance(found, tuple)
    return block[: found[2]]


def read(block: bytes, topic: str, partition: int, offset: int, bytes_max: int = 1 << 30) -> tuple[bytes, int]:
    ranges, _, _ = find_ranges(block, BASE, BASE + len(block), topic, partition, offset, bytes_max)
    return decode_ranges([(each, block, each[0] - BASE) for each in ranges], offset, bytes_max)


Batches = list[tuple[str, int, int]]
callers = st.lists(
    st.lists(st.tuples(st.sampled_from(["a", "b", "é"]), st.integers(0, 5), st.integers(0, 40)), max_size=12), max_size=4
)


@settings(max_examples=150, deadline=None)
@given(callers, st.sampled_from([1, 3000, 1 << 30]), st.integers(0, 5000))
def test_what_several_callers_pack_is_read_again(callers: list[Batches], bytes_max: int, payload_bytes: int) -> None:
    expected: dict[tuple[str, int], list[bytes]] = {}
    packed, firsts, received = [], [], 0
    for batches in callers:
        given_batches, first_offsets = [], []
        for topic, partition, count in batches:
            made = [records(n, 1, payload_bytes) for n in range(received, received + count)]
            received += count
            held = expected.setdefault((topic, partition), [])
            first_offsets.append(len(held))
            held += made
            given_batches.append((topic, partition, count, b"".join(made)))
        packed.append(Packed(given_batches))
        firsts.append(first_offsets)
    expected = {place: held for place, held in expected.items() if held}
    made = encode_block(3, packed, firsts)
    if made is None:
        assert not expected
        return
    block = made.joined()
    assert (len(made), made.joined(b"before", b"after")) == (len(block), b"before" + block + b"after")
    frame = read_frame(block, 0, 0)
    assert isinstance(frame, tuple)
    assert made.checksum == frame[4]
    check_block(block, BASE)
    assert sum(each.records for each in packed) == received
    assert sum(each.raw_bytes for each in packed) == sum(len(record) for held in expected.values() for record in held)
    assert block_directory(header(block), BASE) == [(*place, 0, len(held)) for place, held in sorted(expected.items())]
    assert block_times(header(block), BASE)[2:] == (0, received - 1)
    for (topic, partition), held in expected.items():
        found, offset = b"", 0
        while offset < len(held):
            data, offset = read(block, topic, partition, offset, bytes_max)
            found += data
        assert found == b"".join(held)
    assert_splits(block, expected)


def assert_splits(block: bytes, expected: dict[tuple[str, int], list[bytes]]) -> None:
    """`split_block` gives of each partition from its second record on."""
    for topic in ("a", "b", "é", "none"):
        found: dict[int, list[bytes]] = {}
        wanted = dict.fromkeys(range(7), 1)
        for partition, first, count, data in split_block(block, BASE, topic, wanted):
            assert first == wanted[partition]
            assert count > 0
            wanted[partition] += count
            found.setdefault(partition, []).append(data)
        assert {partition: b"".join(parts) for partition, parts in found.items()} == {
            partition: b"".join(held[1:]) for (name, partition), held in expected.items() if name == topic and len(held) > 1
        }


def test_split_gives_nothing_that_is_not_asked_for() -> None:
    block = encoded(encode_block(0, [Packed([("a", p, 2, records(0, 2)) for p in range(4)])], [[10, 20, 30, 40]]))
    assert split_block(block, 0, "a", {1: 21, 2: 32, 9: 0}) == [(1, 21, 1, records(1, 1))]
    assert split_block(block, 0, "b", {1: 0}) == []


def test_a_thousand_small_batches_are_compressed_together() -> None:
    batches = [("a", partition, 1, records(partition, 1, 400)) for partition in range(1000)]
    packed = Packed(batches)
    block = encoded(encode_block(0, [packed], [[0] * 1000]))
    assert len(block) - len(header(block)) < packed.raw_bytes / 10
    assert len(header(block)) < 1000 * 33


def test_bad_batches_are_refused_by_name() -> None:
    data = records(0, 2)
    with pytest.raises(ValueError, match=r"a batch for t/7 holds 2 records, not 3"):
        Packed([("s", 0, 2, data), ("t", 7, 3, data)])
    with pytest.raises(ValueError, match=rf"a batch for t/7 is not whole records: byte {len(data) // 2}: a record is cut off"):
        Packed([("t", 7, 2, data[:-1])])
    future = data[:4] + b"\x02" + data[5:]
    with pytest.raises(ValueError, match=r"a batch for t/7 is not whole records: byte 0: record version 2 .* is not known"):
        Packed([("t", 7, 2, future)])


def test_offsets_that_do_not_follow_are_refused() -> None:
    data = records(0, 2)
    twice = Packed([("t", 7, 2, data), ("t", 7, 2, data)])
    with pytest.raises(ValueError, match="offset 3 follows 2 in t"):
        encode_block(0, [twice], [[0, 3]])
    with pytest.raises(ValueError, match="not one first offset for each batch"):
        encode_block(0, [twice], [[0]])


def test_a_walk_over_blocks_stops_before_what_does_not_fit() -> None:
    data = records(0, 100)
    block = encoded(encode_block(0, [Packed([("t", 0, 100, data)])], [[0]]))
    after = encoded(encode_block(0, [Packed([("t", 0, 100, data)])], [[100]]))
    both = block + after

    def found(raw_max: int, raw: int = 0) -> tuple[int, int]:
        ranges, position, need = find_ranges(both, BASE, BASE + len(both) + 9, "t", 0, 0, raw_max, raw)
        assert need == 0
        return len(ranges), position - BASE

    assert found(2 * len(data)) == (2, len(both))
    assert found(2 * len(data) - 1) == (1, len(both) + 9)
    assert found(1) == (1, len(both) + 9)
    assert found(2 * len(data), 1) == (1, len(both) + 9)
    assert found(1, 1) == (0, len(both) + 9)
    ranges, position, need = find_ranges(both[: len(block) + 10], BASE, BASE + len(both), "t", 0, 0, 1 << 30)
    assert (len(ranges), position, need > 10) == (1, BASE + len(block), True)


def test_the_first_record_of_a_time_is_found() -> None:
    data = records(10, 5)
    assert [index_at_time(data, time) for time in (0, 10, 12, 14, 15)] == [0, 0, 2, 4, 5]
    with pytest.raises(ValueError, match="cut off"):
        index_at_time(data[:-1], 100)


def test_threads_pack_at_once() -> None:
    data = records(0, 2000, 200)
    made: list[bytes] = []

    def work() -> None:
        for _ in range(5):
            made.append(encoded(encode_block(0, [Packed([("t", 0, 2000, data)])], [[0]])))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 20
    assert set(made) == {made[0]}
    assert read(made[0], "t", 0, 0) == (data, 2000)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_block_gives_the_right_records_or_an_error(data: st.DataObject) -> None:
    block = encoded(encode_block(0, [Packed([("a", 0, 30, records(0, 30)), ("a", 1, 3, records(0, 3))])], [[0, 0]]))
    damaged = bytearray(block)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    damaged = damaged[: data.draw(st.integers(0, len(block)))]
    if bytes(damaged) != block:
        with pytest.raises((ValueError, NotImplementedError)):
            check_block(bytes(damaged), 0)
    for partition, count in ((0, 30), (1, 3)):
        with suppress(ValueError, NotImplementedError):
            assert read(bytes(damaged), "a", partition, 0) in ((records(0, count), count), (b"", 0))
    with suppress(ValueError, NotImplementedError):
        assert split_block(bytes(damaged), 0, "a", {1: 0}) == [(1, 0, 3, records(0, 3))]
