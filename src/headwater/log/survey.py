"""What the sites of a log say of each shard: who writes it, which sites back it, and which segments a site lacks.

For people who look on: it reads what lies there and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headwater.core.errors import CorruptLog
from headwater.log.follow import last_manifests
from headwater.log.history import read_header
from headwater.log.layout import Layouts
from headwater.log.ledger import numbers_in, object_name
from headwater.log.manifest import Manifest, decode_manifest
from headwater.log.member import MemberSite
from headwater.log.runtime import Runtime
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable
from headwater.log.takeover import Sites, ledger_of


class SiteState(msgspec.Struct):
    """One site of a shard. ``answers``: nothing more is known of one that does not. ``whole``: it has what it was admitted with.

    ``segments``: how many it holds; ``lacks``: the numbers of those that another site has and that count.
    """

    site: str
    member: bool
    answers: bool = True
    whole: bool = False
    segments: int = 0
    lacks: list[int] = []


class ShardState(msgspec.Struct):
    """One shard by its last manifest. ``damage``: what keeps it from being looked at."""

    shard: str
    epoch: int
    writer: str
    host: str
    starts_at: int
    sites: list[SiteState]
    damage: str | None = None


def survey(sites: Sites, runtime: Runtime) -> list[ShardState]:
    """Every shard that a site which answers knows. Raises StorageUnavailable where none answers."""
    names: set[str] = set()
    errors = []
    for storage in sites.storages:
        try:
            names |= {part.removesuffix("/") for part in storage.list("") if storage.list(f"{part.removesuffix('/')}/manifest")}
        except StorageUnavailable as error:
            errors.append(error)
    if len(errors) == len(sites.storages):
        raise errors[0]
    return [_shard(name, sites, runtime) for name in sorted(names)]


def _shard(name: str, sites: Sites, runtime: Runtime) -> ShardState:
    try:
        number, manifest = _manifest(name, sites, runtime)
        starts_at = Layouts(name, sites, runtime).look().starts_at
    except CorruptLog as error:
        return ShardState(name, -1, "", "", 0, [], str(error))
    state = ShardState(name, number, manifest.writer, manifest.host, starts_at, [])
    held: dict[str, set[int]] = {}
    readers: dict[str, MemberSite] = {}
    members = {member.site: member for member in manifest.members}
    for storage in sites.storages:
        site = SiteState(storage.name, storage.name in members)
        state.sites.append(site)
        try:
            held[site.site] = {each for each in _numbers(storage, name) if each >= starts_at}
            site.segments = len(held[site.site])
            if site.member:
                readers[site.site] = MemberSite(storage, name, members[site.site].admission)
                site.whole = readers[site.site].open()
        except StorageUnavailable:
            site.answers = False
        except CorruptLog as error:
            state.damage = str(error)
    state.sites += [SiteState(each, True, False) for each in members if each not in {site.site for site in state.sites}]
    whole = [readers[site.site] for site in state.sites if site.whole]
    counted = _Counted(sorted(set().union(*(held[site.name] for site in whole))), whole)
    for site in state.sites:
        if site.answers:
            lacking = [each for each in counted.numbers if each not in held[site.site]]
            site.lacks = [each for each in lacking if counted.counts(each)]
    return state


def _manifest(shard: str, sites: Sites, runtime: Runtime) -> tuple[int, Manifest]:
    """The last manifest that holds; where no majority answers, the last that is there."""
    try:
        found = [(entry.number, entry.data) for entry in ledger_of(shard, sites, runtime).entries() if entry.holds]
    except StorageUnavailable:
        found = []
    found = found or last_manifests(shard, sites)
    if not found:
        raise CorruptLog(f"shard {shard}: no manifest of it can be read")
    number, data = found[-1]
    return number, decode_manifest(data, number, object_name(f"{shard}/manifest", number))


def _numbers(storage: Storage, shard: str) -> list[int]:
    """The segments of all admissions of a site."""
    directory = f"{shard}/segment"
    admissions = [part.removesuffix("/") for part in storage.list(directory) if part.endswith("/")]
    return [number for each in admissions for number in numbers_in(storage, f"{directory}/{each}")]


class _Counted:
    """Which of the segments that whole members hold count: neither fences nor what was given up when a writer was overtaken."""

    def __init__(self, numbers: Sequence[int], sites: Sequence[MemberSite]) -> None:
        self.numbers = numbers
        self._sites = sites
        self._previous: dict[int, int | None] = {}

    def counts(self, number: int) -> bool:
        """Whether what follows stands behind it; of the last one, whether it is no fence."""
        if self._follows(number) == number:
            return False
        later = next((each for each in self.numbers if each > number and self._follows(each) != each), None)
        return later is None or self._follows(later) == number

    def _follows(self, number: int) -> int | None:
        """The segment before it; itself for a fence, or where its header cannot be read."""
        if number not in self._previous:
            self._previous[number] = number
            for site in self._sites:
                try:
                    found = read_header(site, number)
                except (CorruptLog, ObjectMissing, StorageUnavailable):
                    continue
                if found is not None:
                    self._previous[number] = number if found.header.fence else found.header.previous
                    break
        return self._previous[number]
