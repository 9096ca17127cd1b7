"""Input files of a batch run: opened, decompressed by their first bytes and cut into chunks at line ends."""

from __future__ import annotations

import gzip
import io
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import zstandard
from isal import igzip, igzip_lib

from headwater.core.errors import InputError
from headwater.core.limits import BATCH_CHUNK_BYTES, BATCH_LINE_BYTES_MAX
from headwater.kernel import whole_messages

if TYPE_CHECKING:
    from typing_extensions import Buffer

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Frames to be skipped, as parallel compressors write them in front: 0x184D2A50 to 0x184D2A5F, little-endian.
ZSTD_SKIPPABLE_MAGIC_END = b"\x2a\x4d\x18"

# A zstd block of 4 bytes may hold 128 KiB, so 8 KiB of input give at most 256 MiB at once.
_ZSTD_READ_BYTES = 8 * 1024


class Chunk(NamedTuple):
    """Whole lines or messages of a file. ``first_line`` numbers the first, from 1; ``read_bytes``: how far the file is read."""

    data: bytes
    first_line: int
    read_bytes: int


class SourceFile:
    """One input: a path, or ``-`` for standard input. gzip and zstd are known by their first bytes, not by the name.

    It holds lines or, with ``messages``, Protobuf messages, each behind its length.
    """

    def __init__(
        self,
        path: str,
        chunk_bytes: int = BATCH_CHUNK_BYTES,
        line_bytes_max: int = BATCH_LINE_BYTES_MAX,
        messages: bool = False,
    ) -> None:
        self.name = "standard input" if path == "-" else path
        self._path = path
        self._chunk_bytes = chunk_bytes
        self._line_bytes_max = line_bytes_max
        self._messages = messages

    def size(self) -> int | None:
        """Bytes as stored (compressed), or None where it cannot be known. Raises InputError where the file is not there."""
        if self._path == "-":
            return None
        try:
            status = Path(self._path).stat()
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        except OSError as e:
            raise InputError(f"cannot read {self.name}: {e.strerror}") from e

    def chunks(self) -> Iterator[Chunk]:
        """The lines or messages, in chunks. Raises InputError for what cannot be opened, read or decompressed to its end."""
        if self._path == "-" and sys.stdin is None:
            raise InputError(f"cannot read {self.name}: it is closed")
        try:
            # Unbuffered: a buffer would read on after a signal until it is full.
            raw = io.FileIO(sys.stdin.fileno() if self._path == "-" else self._path, closefd=self._path != "-")
        except OSError as e:
            raise InputError(f"cannot read {self.name}: {e.strerror}") from e
        with raw, _Counted(raw) as counted:
            try:
                cut = self._cut_messages if self._messages else self._cut
                yield from cut(_decompressed(counted), counted)
            except EOFError as e:
                raise InputError(f"{self.name} is truncated: it ends in the middle of its compressed data") from e
            except (zstandard.ZstdError, gzip.BadGzipFile, igzip_lib.IsalError) as e:  # type: ignore[misc]
                raise InputError(f"{self.name} is damaged: {e}") from e
            except OSError as e:
                raise InputError(f"cannot read {self.name}: {e.strerror or e}") from e

    def _cut(self, read: Callable[[int], bytes], counted: _Counted) -> Iterator[Chunk]:
        """Cuts at line ends; parts of a long line are joined once, so that it costs no more than its length."""
        line = 1
        parts: list[bytes] = []
        held = 0
        while data := read(self._chunk_bytes):
            parts.append(data)
            held += len(data)
            if held < self._chunk_bytes:
                continue
            if cut := data.rfind(b"\n") + 1:
                parts[-1] = data[:cut]
                yield Chunk(b"".join(parts), line, counted.read_bytes)
                line += _line_feeds(parts)
                parts = [data[cut:]]
                held = len(parts[0])
            elif held > self._chunk_bytes + self._line_bytes_max:
                number = line + _line_feeds(parts)
                raise InputError(f"{self.name}: line {number} is longer than {self._line_bytes_max:,} bytes")
        if held:
            yield Chunk(b"".join(parts), line, counted.read_bytes)

    def _cut_messages(self, read: Callable[[int], bytes], counted: _Counted) -> Iterator[Chunk]:
        """Cuts between messages. A long one is not looked at before all of it can be there."""
        number = 1
        parts: list[bytes] = []
        held = wanted = 0
        while data := read(self._chunk_bytes):
            parts.append(data)
            held += len(data)
            if held < wanted:
                continue
            joined = b"".join(parts)
            whole, count, wanted = whole_messages(joined)
            if wanted > self._line_bytes_max:
                limit = f"{self._line_bytes_max:,} bytes"
                raise InputError(f"{self.name}: message {number + count} is longer than {limit}, or has no length")
            if count:
                yield Chunk(joined[:whole], number, counted.read_bytes)
            number += count
            parts, held = [joined[whole:]], len(joined) - whole
        if held:
            raise InputError(f"{self.name} is truncated: it ends in the middle of message {number}")


def _line_feeds(parts: list[bytes]) -> int:
    return sum(part.count(b"\n") for part in parts)


class _Counted(io.RawIOBase):
    """The stored bytes, counted, with the first ones readable twice."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._head = b""
        self.read_bytes = 0

    def head(self, size: int) -> bytes:
        """The first bytes, which stay to be read. A pipe may give fewer at a time, so it asks until it has them."""
        while len(self._head) < size and (more := self._raw.read(size - len(self._head))):
            self._head += more
        return self._head

    def readable(self) -> bool:
        return True

    def readinto(self, into: Buffer, /) -> int:
        """Fills ``into`` as far as there is input; 0 at the end. `read` of the base class is made of it."""
        view = memoryview(into)
        if self._head:
            data, self._head = self._head[: len(view)], self._head[len(view) :]
            view[: len(data)] = data
            size = len(data)
        else:
            size = self._raw.readinto(view) or 0
        self.read_bytes += size
        return size


def _decompressed(counted: _Counted) -> Callable[[int], bytes]:
    head = counted.head(4)
    if head.startswith(GZIP_MAGIC):
        gzip_read: Callable[[int], bytes] = igzip.open(counted, "rb").read  # type: ignore[no-untyped-call]
        return gzip_read
    if head == ZSTD_MAGIC or (head[1:] == ZSTD_SKIPPABLE_MAGIC_END and head[0] & 0xF0 == 0x50):
        pieces = _zstd(counted)
        return lambda _size: next(pieces, b"")
    return counted.read


def _zstd(counted: _Counted) -> Iterator[bytes]:
    """Decompresses frame after frame. zstandard's own stream reader takes a truncated frame for the end of the file."""
    waiting: list[bytes] = []
    held = 0
    data = b""
    started = False
    frame = zstandard.ZstdDecompressor().decompressobj()
    while data or (data := counted.read(_ZSTD_READ_BYTES)):
        piece, started = frame.decompress(data), True
        data = b""
        if piece:
            waiting.append(piece)
            held += len(piece)
        if frame.eof:
            data = frame.unused_data
            frame, started = zstandard.ZstdDecompressor().decompressobj(), False
        if held >= BATCH_CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, held = [], 0
    if held:
        yield b"".join(waiting)
    if started:
        raise EOFError
