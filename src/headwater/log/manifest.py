"""Manifests: who writes a shard and which sites back an acknowledgement. See `docs/formats/log.md`."""

from __future__ import annotations

import msgspec

from headwater.log.envelope import Shape


class Member(msgspec.Struct, frozen=True):
    """A site that backs acknowledgements, and the admission under which it has the shard's segments."""

    site: str
    admission: str


class Manifest(msgspec.Struct, frozen=True):
    """An entry of a shard's ledger. Its number is the epoch of ``writer``, an id made anew each time a shard is opened.

    ``members`` must all have a group before it is acknowledged. ``host`` tells people where the writer is.
    """

    shard: str
    writer: str
    members: tuple[Member, ...]
    host: str = ""


MANIFEST: Shape[Manifest] = Shape("a manifest", b"\xf5HWM", 1, Manifest, numbered=True)


def encode_manifest(manifest: Manifest, number: int) -> bytes:
    """The object of a manifest."""
    return MANIFEST.encode(manifest, number)


def decode_manifest(data: bytes, number: int, label: str) -> Manifest:
    """Reads it back. Raises CorruptLog, naming ``label``: damaged, of another number, or of a version that is not known."""
    return MANIFEST.decode(data, label, number)
