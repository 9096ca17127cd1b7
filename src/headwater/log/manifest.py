"""Manifests: who writes a shard and which sites back an acknowledgement. See `docs/formats/log.md`."""

from __future__ import annotations

import struct

import msgspec

from headwater.core.errors import CorruptLog
from headwater.kernel import checksum

MAGIC, VERSION = b"\xf5HWM", 1
# Magic, version, CRC32C of all that follows it, number. Magic, version and CRC stay where they are in every version.
_HEADER = struct.Struct("<4sB3xIQ")
_CHECKED_FROM = 12


class Member(msgspec.Struct, frozen=True):
    """A site that backs acknowledgements, and the admission under which it has the shard's segments."""

    site: str
    admission: str


class Manifest(msgspec.Struct, frozen=True):
    """An entry of a shard's ledger. Its number is the epoch of ``writer``, an id made anew each time a shard is opened.

    ``members`` must all have a group before it is acknowledged. ``host`` tells people where the writer is.
    ``starts_at`` is the first segment that is still there, a checkpoint: what comes before was removed.
    """

    shard: str
    writer: str
    members: tuple[Member, ...]
    host: str = ""
    starts_at: int = 0


def encode_manifest(manifest: Manifest, number: int) -> bytes:
    """The object of a manifest."""
    rest = struct.pack("<Q", number) + msgspec.msgpack.encode(manifest)
    return struct.pack("<4sB3xI", MAGIC, VERSION, checksum(rest)) + rest


def decode_manifest(data: bytes, number: int, label: str) -> Manifest:
    """Reads it back. Raises CorruptLog, naming ``label``: damaged, of another number, or of a version that is not known."""
    if len(data) < _HEADER.size or not data.startswith(MAGIC):
        raise CorruptLog(f"{label}: {len(data)} bytes that do not begin as a manifest does")
    _, version, crc, found = _HEADER.unpack_from(data)
    if checksum(data[_CHECKED_FROM:]) != crc:
        raise CorruptLog(f"{label}: the manifest's checksum does not fit its bytes")
    if version != VERSION:
        raise CorruptLog(f"{label}: a manifest of version {version}; this program knows version {VERSION}")
    if found != number:
        raise CorruptLog(f"{label}: manifest {found} stands where manifest {number} belongs")
    try:
        return msgspec.msgpack.decode(data[_HEADER.size :], type=Manifest)
    except msgspec.DecodeError as e:
        raise CorruptLog(f"{label}: an intact manifest cannot be read: {e}") from None
