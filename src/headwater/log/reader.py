"""Reading records of the partitions of all shards, from whichever site has them whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from headwater.core.errors import CorruptLog, LogError
from headwater.log.interface import Fetch
from headwater.log.keeper import Keeper
from headwater.log.layout import Layouts
from headwater.log.member import MemberSite
from headwater.log.quarantine import Quarantine, Stretch, read_past
from headwater.log.reading import read_blocks, read_records
from headwater.log.runtime import Runtime
from headwater.log.shard_view import Part, ShardView
from headwater.log.shards import Shards
from headwater.log.storage import ObjectMissing
from headwater.log.takeover import Sites

T = TypeVar("T")


class Reader:
    """See `Log.read`. ``keeper`` is told of what is damaged on a site; what is so on all of them is counted in ``quarantine``."""

    def __init__(self, shards: Shards, sites: Sites, runtime: Runtime, keeper: Keeper, quarantine: Quarantine) -> None:
        self._shards = shards
        self._sites = sites
        self._runtime = runtime
        self._keeper = keeper
        self._quarantine = quarantine

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """See `Log`. Raises LogError for an offset past the end, or one that retention removed."""
        with self._shards.lock:
            end = self._shards.owners.end(topic, partition)
            if not 0 <= offset <= end:
                raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {end}")
            if offset == end:
                return Fetch(data=b"", first_offset=offset, next_offset=offset)
            owner = self._shards.owners.owner(topic, partition)
            assert owner is not None
            view = self._shards.views[owner]
        while True:
            layout = view.layout
            try:
                return self._read(view, topic, partition, offset, end, bytes_max)
            except CorruptLog as e:
                # What lay there may have been compacted or removed since this process looked, which a paused one may have missed.
                # Where nobody can tell, nothing is passed over.
                view.layout = Layouts(view.name, self._sites, self._runtime).read()
                if view.layout == layout:
                    return self._read_past(view, topic, partition, offset, bytes_max, e)

    def _read(self, view: ShardView, topic: str, partition: int, offset: int, end: int, bytes_max: int) -> Fetch:
        part, at = self._found(view, topic, partition, offset, end)
        limit = part.end
        data, next_offset = self._from_any(
            view, part, lambda site: read_records(site, part, at, limit, topic, partition, offset, max(bytes_max, 1))
        )
        return Fetch(data=data, first_offset=offset, next_offset=next_offset)

    def _found(self, view: ShardView, topic: str, partition: int, offset: int, end: int) -> tuple[Part, int]:
        found = view.find(topic, partition, offset)
        if found is None:
            start = view.start_offset(topic, partition)
            if offset < start:
                raise LogError(f"{topic}/{partition} has no offset {offset} any more; valid are {start} to {end}")
            raise CorruptLog(f"shard {view.name}: {topic}/{partition} {offset} is in none of its segments")
        return found

    def _from_any(self, view: ShardView, part: Part, read: Callable[[MemberSite], T]) -> T:
        """As the view's; a site that has the part damaged or not at all is repaired."""

        def reads(site: MemberSite) -> T:
            try:
                return read(site)
            except (CorruptLog, ObjectMissing):
                if site in view.sites:
                    self._keeper.damaged(view, part, site)
                raise

        return view.from_any(reads, of_copy=part.copy is not None)

    def read_many(self, topic: str, offsets: Mapping[int, int], bytes_max: int) -> dict[int, Fetch]:
        """See `Log`."""
        by_shard: dict[str, dict[int, int]] = {}
        with self._shards.lock:
            for partition, offset in offsets.items():
                end = self._shards.owners.end(topic, partition)
                if not 0 <= offset <= end:
                    raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {end}")
                owner = self._shards.owners.owner(topic, partition)
                if offset < end and owner is not None:
                    by_shard.setdefault(owner, {})[partition] = offset
        fetches: dict[int, Fetch] = {}
        for shard, wanted in sorted(by_shard.items()):
            view, share = self._shards.views[shard], max(bytes_max // len(by_shard), 1)
            try:
                fetches |= self._read_many(view, topic, wanted, share)
            except CorruptLog:
                # One by one each partition goes on behind what no site has whole.
                fetches |= {partition: self.read(topic, partition, offset, share) for partition, offset in wanted.items()}
        return fetches

    def _read_many(self, view: ShardView, topic: str, wanted: dict[int, int], bytes_max: int) -> dict[int, Fetch]:
        part, at = view.first_of(topic, wanted)
        end = part.end
        parts: dict[int, list[bytes]] = {}
        next_offsets: dict[int, int] = {}
        for partition, first, count, records in self._from_any(
            view, part, lambda site: read_blocks(site, part, at, end, topic, wanted, bytes_max)
        ):
            if next_offsets.setdefault(partition, wanted[partition]) != first:
                where = f"shard {view.name}: segment {part.number}"
                raise CorruptLog(f"{where} has {topic}/{partition} {first} where {next_offsets[partition]} belongs")
            parts.setdefault(partition, []).append(records)
            next_offsets[partition] = first + count
        return {p: Fetch(b"".join(found), wanted[p], next_offsets[p]) for p, found in parts.items()}

    def _read_past(self, view: ShardView, topic: str, partition: int, offset: int, bytes_max: int, error: CorruptLog) -> Fetch:
        """What can still be read behind damage that is on every site; what is passed over is counted. Not in compacted copies."""
        found = view.find(topic, partition, offset)
        if found is None or found[0].copy is not None:
            raise error
        part, at = found
        stretches = [Stretch(part.number, at, part.end)]
        stretches += [Stretch(other.number, other.start, other.end) for other in view.behind(part)]
        fetch = read_past(view.sites, stretches, topic, partition, offset, max(bytes_max, 1))
        if fetch is None:
            goes_on = view.next_run_at(part, topic, partition)
            if goes_on is None or goes_on <= offset:
                raise error
            self._quarantine.passed_over(view.name, topic, partition, offset, goes_on, str(error))
            return self.read(topic, partition, goes_on, bytes_max)
        if fetch.first_offset > offset:
            self._quarantine.passed_over(view.name, topic, partition, offset, fetch.first_offset, str(error))
        return fetch
