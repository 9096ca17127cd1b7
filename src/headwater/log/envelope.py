"""What every small object of the log begins with: magic, version and a checksum. See `docs/formats/log.md`."""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from headwater.core.errors import CorruptLog
from headwater.kernel import checksum

T = TypeVar("T")
# Magic, version, three bytes of 0, CRC32C of all that follows. They stay where they are in every version.
_HEAD = struct.Struct("<4sB3xI")


class Shape(Generic[T]):
    """A persisted shape: ``what`` it is called in messages, its magic and version, and its type as a MessagePack map.

    ``numbered``: the object also says its own number, so that it cannot stand for another.
    """

    def __init__(self, what: str, magic: bytes, version: int, kind: Any, numbered: bool) -> None:
        self.what = what
        self.version = version
        self._magic = magic
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._numbered = numbered

    def encode(self, value: T, number: int = 0) -> bytes:
        """The object."""
        body = struct.pack("<Q", number) * self._numbered + msgspec.msgpack.encode(value)
        return _HEAD.pack(self._magic, self.version, checksum(body)) + body

    def decode(self, data: bytes, label: str, number: int = 0) -> T:
        """Reads it back. Raises CorruptLog, naming ``label``: damaged, of another number, or of a version that is not known."""
        body = data[_HEAD.size :]
        if len(data) < _HEAD.size + 8 * self._numbered or not data.startswith(self._magic):
            raise CorruptLog(f"{label}: {len(data)} bytes that do not begin as {self.what} does")
        _, version, crc = _HEAD.unpack_from(data)
        if checksum(body) != crc:
            raise CorruptLog(f"{label}: the checksum of {self.what} does not fit its bytes")
        if version != self.version:
            raise CorruptLog(f"{label}: {self.what} of version {version}; this program knows version {self.version}")
        if any(data[5:8]):
            raise CorruptLog(f"{label}: bytes 5 to 7 of {self.what} are 0 in version {version}, and are {data[5:8].hex()} here")
        if self._numbered and body[:8] != struct.pack("<Q", number):
            found = int.from_bytes(body[:8], "little")
            raise CorruptLog(f"{label}: {self.what} {found} stands where number {number} belongs")
        try:
            return self._decoder.decode(body[8:] if self._numbered else body)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise CorruptLog(f"{label}: {self.what} is intact and cannot be read: {e}") from None
