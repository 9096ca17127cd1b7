"""Looks at every entry of every ledger: manifests and layouts of shards, and the journals beside them. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from headwater.core.errors import CorruptLog
from headwater.log import group_state, groups, roster, topics
from headwater.log.layout import LAYOUT, layout_directory
from headwater.log.ledger import numbers_in, object_name
from headwater.log.manifest import decode_manifest
from headwater.log.storage import ObjectMissing, StorageUnavailable
from headwater.log.takeover import Sites

Progress = Callable[[str, str], None]
"""Told of each object before it is read: its shard, its name."""


class Finding(NamedTuple):
    """What is wrong with an object of a site, at a byte (None: all of it). ``whole_at``: a site that has it whole.

    ``kind``: base, manifest, layout, journal, segment, tail (the last segment), fence (or a segment that does not count), copy;
    or shard, where nothing on any site is meant. ``number`` and ``end`` are those of a segment, as far as it counts.
    """

    shard: str
    site: str
    name: str
    at: int | None
    what: str
    whole_at: str | None
    kind: str
    number: int = -1
    end: int = 0


class _Directory(NamedTuple):
    """Where a ledger is, whose it is, and how an entry is read: bytes, number, name."""

    name: str
    shard: str
    kind: str
    decode: Callable[[bytes, int, str], object]


def verify_shard_ledgers(shard: str, sites: Sites, progress: Progress) -> Iterator[Finding]:
    """Manifests and layouts of a shard that are damaged."""
    for each in (
        _Directory(f"{shard}/manifest", shard, "manifest", decode_manifest),
        _Directory(layout_directory(shard), shard, "layout", lambda data, number, name: LAYOUT.decode(data, name, number)),
    ):
        yield from _entries(each, sites, progress)


def verify_journals(sites: Sites, progress: Progress) -> Iterator[Finding]:
    """Entries of groups, of the settings of topics and of the numbered names that are damaged."""
    found = {f"{groups.DIRECTORY}/{part}": group_state.SHAPE for part in _groups(sites)}
    for name, shape in (*found.items(), (topics.DIRECTORY, topics.SHAPE), (roster.DIRECTORY, roster.SHAPE)):
        each = _Directory(name, name, "journal", lambda data, number, label, shape=shape: shape.decode(data, label, number))  # type: ignore[misc]
        yield from _entries(each, sites, progress)


def _groups(sites: Sites) -> list[str]:
    found: set[str] = set()
    for storage in (*sites.storages, *sites.witnesses):
        try:
            found.update(part.removesuffix("/") for part in storage.list(groups.DIRECTORY))
        except StorageUnavailable:
            continue  # Said where the other journals are looked for.
    return sorted(found)


def _entries(directory: _Directory, sites: Sites, progress: Progress) -> Iterator[Finding]:
    """Entries that are damaged. What a site does not have, or has otherwise than others, it may have voted for rightly."""
    storages = (*sites.storages, *sites.witnesses)
    whole: dict[int, dict[bytes, list[str]]] = {}
    damaged: list[tuple[str, int, str]] = []
    for storage in storages:
        try:
            for number in numbers_in(storage, directory.name):
                name = object_name(directory.name, number)
                progress(directory.shard, name)
                data = storage.get(name)
                try:
                    directory.decode(data, number, name)
                    whole.setdefault(number, {}).setdefault(data, []).append(storage.name)
                except CorruptLog as e:
                    damaged.append((storage.name, number, str(e).removeprefix(f"{name}: ")))
        except ObjectMissing:
            continue  # Trimmed meanwhile.
        except StorageUnavailable as e:
            yield Finding(directory.shard, storage.name, directory.name, None, str(e), None, directory.kind)
    for site, number, what in damaged:
        most: list[str] = max(whole.get(number, {}).values(), key=len, default=[])
        # Only what holds without the damaged vote may stand in its place.
        whole_at = most[0] if len(most) > len(storages) // 2 else None
        yield Finding(directory.shard, site, object_name(directory.name, number), 0, what, whole_at, directory.kind, number)
