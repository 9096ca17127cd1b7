"""Reading along with the writer of a shard, in another process: from one site, through nothing but its objects.

A writer begins a group when every member has the one before. So a group is shown once something stands behind it: a frame of the
next group in the same segment, or a segment that follows. Whoever takes the shard over keeps all that was ever shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from headwater.core.errors import CorruptLog, LogError
from headwater.log.history import read_header, reader_of
from headwater.log.layout import Layouts
from headwater.log.ledger import numbers_in, object_name
from headwater.log.manifest import decode_manifest
from headwater.log.member import MemberSite
from headwater.log.runtime import Runtime
from headwater.log.segment import Group, Segment, Torn
from headwater.log.shard_view import ShardView
from headwater.log.storage import ObjectMissing, StorageUnavailable
from headwater.log.takeover import Sites, ledger_of, members_of, opened


class Shown(NamedTuple):
    """What may be read, in order: segments that begin, each followed by its groups. ``anew``: in place of all that was known."""

    found: list[Segment | Group]
    anew: bool = False


class _Cursor(NamedTuple):
    """Behind the last group that was found, in its segment. ``unseen``: that group, while nothing stands behind it."""

    segment: Segment
    at: int
    number: int
    chain: int
    unseen: Group | None = None


class Follower:
    """Follows one shard for its view. For one thread at a time; ``show`` takes in what is found."""

    def __init__(self, view: ShardView, sites: Sites, runtime: Runtime, show: Callable[[Shown], None]) -> None:
        self._view = view
        self._sites = sites
        self._runtime = runtime
        self._show = show
        self._ledger = ledger_of(view.name, sites, runtime)
        self._layouts = Layouts(view.name, sites, runtime)
        self._manifest = -1
        self._lists = True
        self._cursor: _Cursor | None = None

    def poll(self) -> bool:
        """Shows what is new. True where anything was. Raises StorageUnavailable where no site answers, CorruptLog."""
        if not self._view.sites:
            self.look()
        if not self._view.sites:
            return False
        lists, self._lists = self._lists, False
        try:
            shown = self._view.from_any(partial(self._poll, lists))
        except CorruptLog:
            self._lists = lists
            if not self._was_compacted():
                raise
            self._cursor = None
            shown = self._view.from_any(partial(self._poll, True))
        except LogError:
            self._lists = lists
            raise
        if shown.found:
            self._show(shown)
        return bool(shown.found)

    def _was_compacted(self) -> bool:
        """Whether segments may have been deleted under the eyes of a process that was paused for longer than the grace.

        Raises StorageUnavailable where nobody can tell just now.
        """
        before = self._view.layout
        # Of its own, since another thread may look.
        self._view.layout = layout = Layouts(self._view.name, self._sites, self._runtime).read()
        return layout != before or (self._cursor is not None and self._cursor.segment.header.number < layout.starts_at)

    def look(self) -> None:
        """Looks who is a member now. Waits for sites that are silent; another thread may poll meanwhile."""
        self._lists = True
        self._view.layout = self._layouts.look()
        try:
            entries = self._ledger.entries(self._manifest - 1)
            found = [(entry.number, entry.data) for entry in entries if entry.holds]
        except StorageUnavailable:
            # Without a majority: whoever is a member by any manifest has all that was acknowledged before it.
            found = [] if self._view.sites else last_manifests(self._view.name, self._sites)
        if not found or found[-1][0] == self._manifest:
            return
        number, data = found[-1]
        manifest = decode_manifest(data, number, object_name(f"{self._view.name}/manifest", number))
        whole = opened(self._runtime, members_of(manifest, self._sites))
        if whole:
            self._view.read_from(whole)
            self._manifest = number

    def _poll(self, lists: bool, site: MemberSite) -> Shown:
        found: list[Segment | Group] = []
        cursor, anew = self._cursor, False
        if cursor is None:
            anew = True
            cursor = _open(site, found)
        while cursor is not None:
            cursor = _read_on(site, cursor, found)
            following = _following(site, cursor.segment.header.number, lists)
            if following is None:
                break
            if following.header.previous != cursor.segment.header.number:
                # The last segment does not count. Nothing of it was shown, and what was is found again.
                found.clear()
                anew, cursor = True, _open(site, found)
                continue
            cursor = _go_on(site, cursor, following, found)
        self._cursor = cursor
        return Shown(found, anew)


def _following(site: MemberSite, number: int, lists: bool) -> Segment | None:
    """The segment that stands behind the last one, past fences; None where there is none yet."""
    while True:
        number += 1
        found = read_header(site, number)
        if found is not None and not found.header.fence:
            return found
        if found is None:
            # A site that came back has no fences: there numbers are missing.
            later = [each for each in site.numbers() if each > number] if lists else []
            if not later:
                return None
            number = later[0] - 1


def last_manifests(shard: str, sites: Sites) -> list[tuple[int, bytes]]:
    """Number and bytes of the last manifest of each site that answers, the newest last."""
    found = []
    directory = f"{shard}/manifest"
    for site in sites.storages:
        try:
            numbers = numbers_in(site, directory)
            if numbers:
                found.append((numbers[-1], site.get(object_name(directory, numbers[-1]))))
        except (ObjectMissing, StorageUnavailable):
            continue
    return sorted(found)


def _open(site: MemberSite, found: list[Segment | Group]) -> _Cursor | None:
    """All that may be read since the last checkpoint; the last segment only begins here."""
    last = None
    for number in reversed(site.numbers()):
        last = read_header(site, number)
        if last is not None and not last.header.fence:
            break
        last = None
    if last is None:
        return None
    chain = [last]
    while not chain[-1].header.checkpoint:
        previous = chain[-1].header.previous
        before = None if previous is None else read_header(site, previous)
        if before is None:
            raise CorruptLog(f"{site.name}: {site.place(chain[-1].header.number)}: what it follows is not there")
        chain.append(before)
    chain.reverse()
    cursor = _at_start(chain[0])
    found.append(chain[0])
    for following in chain[1:]:
        cursor = _go_on(site, cursor, following, found)
    return cursor


def _at_start(segment: Segment) -> _Cursor:
    return _Cursor(segment, segment.start, segment.group, segment.start_chain)


def _read_on(site: MemberSite, cursor: _Cursor, found: list[Segment | Group]) -> _Cursor:
    """Past the groups of the segment that have something behind them."""
    segment, at, number, chain, unseen = cursor
    if not site.appends and at > segment.start:
        return cursor  # An object stays as it was put.
    reader = reader_of(site, segment.header.number)
    while (group := reader.next_group(at, number, chain)) is not None:
        if unseen is not None:
            found.append(unseen)
        unseen = group
        at, number, chain = group.end, group.number + 1, group.chain
    if reader.begins_later(at, number) and reader_of(site, segment.header.number).next_group(at, number, chain) is None:
        raise CorruptLog(f"{site.name}: {site.place(segment.header.number)}: byte {at}: group {number} is damaged")
    if unseen is not None and reader.begins_group(at, number):
        found.append(unseen)
        unseen = None
    return _Cursor(segment, at, number, chain, unseen)


def _go_on(site: MemberSite, cursor: _Cursor, following: Segment, found: list[Segment | Group]) -> _Cursor:
    """To the segment that follows: the one before counts as far as that one says."""
    end = following.header.previous_end
    segment, at, number, chain, unseen = cursor
    if unseen is not None and unseen.end <= end:
        found.append(unseen)
    if at < end:
        reader = reader_of(site, segment.header.number, end)
        try:
            while at < end:
                group = reader.group(at, number, chain)
                found.append(group)
                at, number, chain = group.end, group.number + 1, group.chain
        except Torn as e:
            raise CorruptLog(f"{site.name}: {site.place(segment.header.number)}: byte {e.at}: {e}") from None
    found.append(following)
    return _at_start(following)
