"""The corners of a log on one folder: its index, large things, names, and bytes that the kernel is given."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import LogError
from headwater.core.ids import seeded_random
from headwater.core.limits import FETCH_BYTES_MAX, INDEX_INTERVAL_BYTES, RUNS_KNOWN_MAX
from headwater.core.record import Record, encode
from headwater.kernel import block_directory, check_block, decode_ranges, encode_frame, find_later_frame, find_ranges, read_frame
from headwater.log.interface import AppendGroup, Batch, Commit
from headwater.log.segment import Index
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.testing.log_conformance import batch, ids, read_all


def _open(directory: Path, segment_bytes_max: int = 10**8) -> SharedLog:
    settings = LogSettings(segment_bytes_max=segment_bytes_max, follows=False)
    return open_log({"local": FolderStorage(directory)}, settings=settings)


def test_records_commits_and_states_survive_that_their_segment_is_not_read(tmp_path: Path) -> None:
    log = _open(tmp_path / "log", segment_bytes_max=1000)
    writer = log.writer("s-0")
    commit = Commit(group="g", topic="in", partition=3, next_offset=8)
    writer.append(AppendGroup(batches=(batch("rare", 0, 2),), commits=(commit,), state=(("s", b"kept"),)))
    for first in range(0, 400, 10):
        writer.append(AppendGroup(batches=(batch("a", first, 10),)))
    log.close()
    log = _open(tmp_path / "log", segment_bytes_max=1000)
    assert (log.topics(), log.end_offset("rare", 0)) == (("a", "rare"), 2)
    assert (log.committed("g", "in", 3), log.state("s")) == (8, b"kept")
    assert (read_all(log, "rare"), read_all(log, "a")) == ([0, 1], list(range(400)))
    assert log.writer("s-0").append(AppendGroup(batches=(batch("rare", 2, 1),))) == (2,)
    assert read_all(log, "rare") == [0, 1, 2]


def test_what_is_known_of_closed_segments_is_bounded(tmp_path: Path) -> None:
    log = _open(tmp_path / "log", segment_bytes_max=500)
    writer = log.writer("s-0")
    for first in range(0, 400, 10):
        writer.append(AppendGroup(batches=(batch("a", first, 10),)))
    for _ in range(2):
        assert read_all(log, "a", bytes_max=1) == list(range(400))
        view = log.view_of("s-0")
        assert len(view._runs) > 3 * RUNS_KNOWN_MAX
        assert len(view._parts) <= RUNS_KNOWN_MAX
        log.close()
        log = _open(tmp_path / "log")


def test_the_index_is_sparse_and_finds_the_block_before() -> None:
    index = Index()
    for block in range(100):
        index.add("a", 0, block * 10, 500 + block * (INDEX_INTERVAL_BYTES // 4))
    for offset in range(0, 1000, 7):
        position = index.floor("a", 0, offset)
        assert position is not None
        behind = (500 + offset // 10 * (INDEX_INTERVAL_BYTES // 4)) - position
        assert 0 <= behind < INDEX_INTERVAL_BYTES
    assert (index.floor("a", 1, 5), index.floor("b", 0, 5)) == (None, None)


def test_a_rare_partition_among_busy_ones_is_read_in_long_stretches(tmp_path: Path) -> None:
    log = _open(tmp_path / "log")
    writer = log.writer("s-0")
    for turn in range(60):
        writer.append(AppendGroup(batches=(batch("busy", 0, 40, payload_bytes=5000), batch("rare", turn, 1))))
    assert ids(log.read("rare", 0, 0, 10**6).data) == list(range(60))
    for offset in range(60):
        assert ids(log.read("rare", 0, offset, 1).data) == [offset]


def test_a_read_does_not_look_for_ever_for_more(tmp_path: Path) -> None:
    log = _open(tmp_path / "log")
    writer = log.writer("s-0")
    writer.append(AppendGroup(batches=(batch("rare", 0, 1),)))
    noise = Record(payload=seeded_random(1).randbytes(1024 * 1024))
    busy = Batch(topic="busy", partition=0, data=encode(noise), count=1)
    for _ in range(FETCH_BYTES_MAX // len(noise.payload) // 2):
        writer.append(AppendGroup(batches=(busy,)))
    writer.append(AppendGroup(batches=(batch("rare", 1, 1),)))
    for _ in range(FETCH_BYTES_MAX // len(noise.payload) * 2):
        writer.append(AppendGroup(batches=(busy,)))
    writer.append(AppendGroup(batches=(batch("rare", 2, 1),)))
    assert ids(log.read("rare", 0, 0, 10**6).data) == [0, 1]
    assert read_all(log, "rare") == [0, 1, 2]


@pytest.mark.parametrize("payload_bytes", [20_000, 300_000, 3_000_000])
def test_records_larger_than_any_window(tmp_path: Path, payload_bytes: int) -> None:
    log = _open(tmp_path / "log")
    writer = log.writer("s-0")
    for first in range(0, 9, 3):
        writer.append(AppendGroup(batches=(batch("a", first, 3, payload_bytes=payload_bytes), batch("b", first, 1))))
    for _ in range(2):
        assert read_all(log, "a", bytes_max=1) == list(range(9))
        assert read_all(log, "a") == list(range(9))
        assert read_all(log, "b") == [0, 3, 6]
        log.close()
        log = _open(tmp_path / "log")


def test_headers_larger_than_any_window(tmp_path: Path) -> None:
    log = _open(tmp_path / "log", segment_bytes_max=400_000)
    writer = log.writer("s-0")
    many = tuple(batch("a", 0, 1, partition=partition) for partition in range(3000))
    state = (("large", b"s" * 100_000),)
    for _ in range(3):
        writer.append(AppendGroup(batches=many, state=state))
    for _ in range(2):
        assert len(log.partitions("a")) == 3000
        assert [log.end_offset("a", partition) for partition in (0, 1500, 2999)] == [3, 3, 3]
        assert read_all(log, "a", 2999) == [0, 0, 0]
        assert log.state("large") == state[0][1]
        log.close()
        log = _open(tmp_path / "log", segment_bytes_max=400_000)


def test_an_empty_group_writes_nothing(tmp_path: Path) -> None:
    log = _open(tmp_path / "log")
    writer = log.writer("s-0")
    assert writer.append(AppendGroup()) == ()
    assert writer.append(AppendGroup(batches=(batch("a", 0, 0),))) == (0,)
    writer.append(AppendGroup(batches=(batch("b", 0, 1),)))
    (path,) = (tmp_path / "log" / "s-0" / "segment").glob(f"*/{1:020}")
    size = path.stat().st_size
    assert writer.append(AppendGroup(batches=(batch("b", 0, 0),))) == (1,)
    assert path.stat().st_size == size
    assert log.topics() == ("b",)


def test_a_name_is_bounded(tmp_path: Path) -> None:
    writer = _open(tmp_path / "log").writer("s-0")
    with pytest.raises(LogError, match="the name of a state has 1025 bytes; valid are 1 to 1024"):
        writer.append(AppendGroup(state=(("x" * 1025, b""),)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 5), st.booleans())
def test_no_bytes_make_the_kernel_panic(junk: bytes, start: int, framed: bool) -> None:
    data = encode_frame(1, 0, junk) if framed else junk
    part = ((0, len(data), len(junk), start, len(junk), start % 3, 0, 0, 1), data, start)
    calls = (
        lambda: read_frame(data, start, 0),
        lambda: block_directory(data, 0),
        lambda: check_block(data, 0),
        lambda: find_later_frame(data, start, 0),
        lambda: find_ranges(data, 0, len(data), "a", 0, 0, 1000),
        lambda: decode_ranges([part], 0, 1000),
    )
    for call in calls:
        # A panic would be a PanicException, which is neither of these.
        with suppress(ValueError, NotImplementedError):
            call()
