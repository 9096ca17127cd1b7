"""Input files: compression by the first bytes, chunks at line ends, errors that name the file."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from headwater.core.errors import InputError
from headwater.core.ids import seeded_random
from headwater.etl.source_file import Chunk, SourceFile
from headwater.kernel import whole_messages

TEXT = b"".join(b'{"n":%d}\n' % n for n in range(1000))
SKIP = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
Store = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def pzstd(data: bytes) -> bytes:
    """Two frames with a skippable one in front of each, of which one lacks its content size."""
    half = len(data) // 2
    return SKIP + zstd(data[:half]) + SKIP + zstandard.ZstdCompressor(write_content_size=False).compress(data[half:])


def members(data: bytes) -> bytes:
    return gzip.compress(data[:100]) + gzip.compress(data[100:])


def read(path: Path, chunk_bytes: int = 64) -> list[Chunk]:
    return list(SourceFile(str(path), chunk_bytes).chunks())


@pytest.mark.parametrize("stored", [bytes, gzip.compress, members, zstd, pzstd])
@pytest.mark.parametrize("chunk_bytes", [1, 64, 10_000, 1_000_000])
def test_all_lines_arrive_whole_and_numbered(tmp_path: Path, stored: Store, chunk_bytes: int) -> None:
    path = tmp_path / "events"
    path.write_bytes(stored(TEXT))
    chunks = read(path, chunk_bytes)
    assert b"".join(chunk.data for chunk in chunks) == TEXT
    line = 1
    for chunk in chunks:
        assert chunk.data.endswith(b"\n")
        assert chunk.first_line == line
        line += chunk.data.count(b"\n")
    assert chunks[-1].read_bytes == path.stat().st_size == SourceFile(str(path)).size()


@pytest.mark.parametrize("data", [b"", b"\n", b"a", b"a\nb", b"\n\n\nx\n\n", b"long" * 100 + b"\nb\n" + b"long" * 100])
def test_odd_ends(tmp_path: Path, data: bytes) -> None:
    for stored in (data, gzip.compress(data), zstd(data)):
        path = tmp_path / "events"
        path.write_bytes(stored)
        assert b"".join(chunk.data for chunk in read(path)) == data


def test_a_line_longer_than_a_chunk_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"a\n" + b"x" * 10_000 + b"\nb\n")
    chunks = read(path)
    assert b"".join(chunk.data for chunk in chunks) == path.read_bytes()
    assert all(chunk.data.endswith(b"\n") for chunk in chunks)
    assert len(chunks) <= 3


def test_a_line_beyond_the_limit_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"a\nb\n" + b"x" * 10_000)
    with pytest.raises(InputError, match=r"events: line 3 is longer than 5,000 bytes"):
        list(SourceFile(str(path), 64, line_bytes_max=5_000).chunks())


def whole_frames(store: Store, data: bytes) -> set[int]:
    """Where a stored text may end without being truncated."""
    if store is members:
        return {len(gzip.compress(data[:100]))}
    if store is pzstd:
        first = len(SKIP) + len(zstd(data[: len(data) // 2]))
        return {len(SKIP), first, first + len(SKIP)}
    return set()


@pytest.mark.parametrize("stored", [gzip.compress, members, zstd, pzstd])
def test_a_truncated_file_is_an_error_at_every_cut(tmp_path: Path, stored: Store) -> None:
    whole = stored(TEXT[:200])
    path = tmp_path / "events"
    for size in set(range(5, len(whole))) - whole_frames(stored, TEXT[:200]):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"events is (truncated|damaged)"):
            read(path)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    noise = seeded_random(1).randbytes(5000)
    for stored in (gzip.compress(noise), zstandard.ZstdCompressor(write_checksum=True).compress(noise)):
        damaged = bytearray(stored)
        damaged[2500] ^= 0xFF
        path = tmp_path / "events"
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="events is damaged"):
            read(path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for file in (SourceFile(str(tmp_path / "none")), SourceFile(str(tmp_path))):
        with pytest.raises(InputError, match=f"cannot read {tmp_path}"):
            list(file.chunks())
    with pytest.raises(InputError, match="none"):
        SourceFile(str(tmp_path / "none")).size()


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="cannot read standard input: it is closed"):
        list(SourceFile("-").chunks())


@pytest.mark.parametrize("stored", [bytes, gzip.compress, zstd])
def test_standard_input_may_be_a_slow_pipe(monkeypatch: pytest.MonkeyPatch, stored: Store) -> None:
    data = stored(TEXT)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        for byte in data:
            os.write(writer, bytes([byte]))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        file = SourceFile("-", 100)
        assert file.size() is None
        assert b"".join(chunk.data for chunk in file.chunks()) == TEXT
    os.waitpid(pid, 0)


def test_a_small_file_that_holds_much_is_read_in_parts(tmp_path: Path) -> None:
    """Blocks of a few bytes stand for 128 KiB each: the parts stay far below the whole."""
    raw = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as writer:
        for _ in range(512):
            writer.write((b"x" * 1023 + b"\n") * 1024)
    path = tmp_path / "events"
    path.write_bytes(raw.getvalue())
    sizes = [len(chunk.data) for chunk in SourceFile(str(path)).chunks()]
    assert sum(sizes) == 512 * 1024 * 1024
    assert max(sizes) < 300 * 1024 * 1024


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


MESSAGES = [b"", b"\x08\x01", b"x" * 127, b"y" * 128, b"z" * 5000, b"", b"w" * 300]


@pytest.mark.parametrize("stored", [bytes, gzip.compress, zstd])
@pytest.mark.parametrize("chunk_bytes", [1, 64, 1000, 1_000_000])
def test_all_messages_arrive_whole_and_numbered(tmp_path: Path, stored: Store, chunk_bytes: int) -> None:
    path = tmp_path / "events.pb"
    data = b"".join(varint(len(message)) + message for message in MESSAGES)
    path.write_bytes(stored(data))
    chunks = list(SourceFile(str(path), chunk_bytes, messages=True).chunks())
    assert b"".join(chunk.data for chunk in chunks) == data
    number = 1
    for chunk in chunks:
        whole, count, _wanted = whole_messages(chunk.data)
        assert (whole, chunk.first_line) == (len(chunk.data), number)
        number += count
    assert number == len(MESSAGES) + 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01a\x05bc", "ends in the middle of message 2"),
        (b"\x01a\x80", "ends in the middle of message 2"),
        (b"\x01a\xff\xff\xff\xff\xff", "message 2 is longer than 1,000 bytes, or has no length"),
        (b"\x01a\xe9\x07" + b"b" * 1001, "message 2 is longer than 1,000 bytes"),
    ],
)
def test_messages_that_are_not_whole_end_the_run(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "events.pb"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        list(SourceFile(str(path), 4, 1000, messages=True).chunks())
