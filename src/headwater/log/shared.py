"""The log: shards on any number of sites, each written by one process and read by all. `docs/formats/log.md` says what is stored.

A log keeps nothing of its own: whoever opens it finds everything on the sites.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from headwater.core.errors import CorruptLog, LogError
from headwater.core.ids import new_id
from headwater.core.limits import (
    FOLLOW_OBJECTS_S_MAX,
    FOLLOW_WAIT_S_MAX,
    FOLLOW_WAIT_S_MIN,
    GROUP_LEASE_S,
    MEMBERS_LOOK_S,
    OBJECT_FLUSH_S,
    READMIT_LOOK_S,
    SEGMENT_BYTES_MAX,
    SHARDS_LOOK_S,
    STORAGE_TIMEOUT_S,
)
from headwater.core.record import decode_all
from headwater.log.admissible import check_shard_name, is_shard_name
from headwater.log.commit import Committer
from headwater.log.follow import Follower, Shown
from headwater.log.groups import Membership
from headwater.log.holdings import Owners
from headwater.log.interface import AppendGroup, Commit, Fetch
from headwater.log.keeper import Keeper
from headwater.log.layout import Layouts
from headwater.log.member import MemberSite
from headwater.log.named_storage import NamedStorage
from headwater.log.quarantine import Quarantine, Stretch, read_past
from headwater.log.reading import read_blocks, read_records
from headwater.log.runtime import Runtime, Threads
from headwater.log.segment import Group, Mark, Segment, SegmentHeader
from headwater.log.shard_view import Part, ShardView
from headwater.log.shard_writer import SharedWriter
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable
from headwater.log.takeover import Claim, Sites, take_over
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.log.upkeep import UpkeepSettings

T = TypeVar("T")
_DEFAULTS = TopicSettings()
_log = structlog.get_logger()


class LogSettings(NamedTuple):
    """How a process uses a log.

    ``first`` names the site to read from while it can be, the first one by default. ``host`` tells other processes whose
    writer it is. ``follows``: what others append is looked for in the background; else `SharedLog.refresh` does it.
    """

    first: str = ""
    host: str = ""
    segment_bytes_max: int = SEGMENT_BYTES_MAX
    flush_s: float = OBJECT_FLUSH_S
    follows: bool = True
    upkeep: UpkeepSettings = UpkeepSettings()


class SharedLog:
    """A `Log` on sites. Made by `open_log`.

    Sees at once what this process appends, and within a quarter of a second what others do. Raises StorageUnavailable where no
    site answers, CorruptLog where a shard is damaged on all of its sites.
    """

    def __init__(self, sites: Sites, runtime: Runtime, settings: LogSettings) -> None:
        self.lock = threading.Lock()
        self.owners = Owners()
        self.quarantine = Quarantine()
        self.sites = sites
        self._runtime = runtime
        self._settings = settings
        self._first = settings.first or sites.storages[0].name
        self._views: dict[str, ShardView] = {}
        self._followers: dict[str, Follower] = {}
        self._writers: dict[str, SharedWriter] = {}
        self._opening = threading.RLock()  # Held while the set of writers and followers changes, and while followers look.
        self._appended = threading.Condition()
        self._appends = 0
        self._seen = threading.local()
        self._stop = threading.Event()
        self._shards_looked_s = -SHARDS_LOOK_S
        self._members_looked_s = runtime.now()
        self._readmit_looked_s = runtime.now()
        self._wrong: dict[str, str] = {}
        self._topics = TopicRegistry(sites, runtime)
        self._created: dict[str, TopicSettings] = {}
        with suppress(StorageUnavailable):  # Without a majority, what there is can be read.
            self._created = self._topics.list()
        self.refresh()
        self._threads = [threading.Thread(target=run, name="log", daemon=True) for run in (self._run, self._run_sites)]
        self.keeper = Keeper(sites, runtime, self._written, settings.upkeep)
        for thread in self._threads if settings.follows else ():
            thread.start()
        if settings.follows:
            self.keeper.start()

    def writer(self, shard: str) -> SharedWriter:
        """See `Log`."""
        check_shard_name(shard)
        self._check_open()
        with self._opening:
            if shard in self._writers:
                raise LogError(f"shard {shard} has a writer already; a shard has one at a time")
            claim = take_over(shard, self.sites, self._runtime, new_id(), self._settings.host)
            self._followers.pop(shard, None)
            view = self._views.setdefault(shard, ShardView(shard, self.lock, self._first))
            self._take_claim(view, claim)
            committer = Committer(
                claim,
                self.sites,
                self._runtime,
                lambda: self.owners.of(shard).checkpoint(),
                lambda site, why: self._lost(shard, site, why),
                self._settings.segment_bytes_max,
            )
            self._writers[shard] = SharedWriter(self, view, committer, self._settings.flush_s)
            return self._writers[shard]

    def _written(self) -> list[ShardView]:
        with self._opening:
            return [self._views[shard] for shard in self._writers]

    def _take_claim(self, view: ShardView, claim: Claim) -> None:
        found: list[Segment | Group] = []
        for counted in claim.counted:
            found += [counted.segment, *counted.groups]
        layout = Layouts(view.name, self.sites, self._runtime).look()
        with self.lock:
            view.read_from(claim.members)
            view.layout = layout
        self._take_in(view, Shown(found, anew=True))

    def _take_in(self, view: ShardView, shown: Shown) -> None:
        with self.lock:
            if shown.anew:
                self.owners.forget(view.name)
                view.reset()
            holdings = self.owners.of(view.name)
            for one in shown.found:
                if isinstance(one, Segment):
                    self._begin(view, one, shown.anew)
                    continue
                directory = [entry for _, _, entries in one.blocks for entry in entries]
                self._claim(view.name, one.mark, ((topic, partition) for topic, partition, _, _ in directory))
                for topic, partition, first, count in directory:
                    end = holdings.ends.get((topic, partition), 0)
                    if first != end:
                        raise CorruptLog(
                            f"shard {view.name}: group {one.number} has {topic}/{partition} {first} where {end} belongs"
                        )
                    self.owners.extend(view.name, (topic, partition), first + count)
                holdings.take(one.mark.commits, one.mark.state, one.mark.produced)
                view.add(one.start, one.end, directory)
        if shown.found:
            self.appended(True)

    def _begin(self, view: ShardView, segment: Segment, anew: bool) -> None:
        header = segment.header
        view.begin(segment)
        if anew and header.checkpoint:
            self._claim(view.name, header, ((topic, partition) for topic, partition, _ in header.ends))
            for topic, partition, end in header.ends:
                self.owners.extend(view.name, (topic, partition), end)
            self.owners.of(view.name).take(header.commits, header.state, header.produced)

    def _claim(self, shard: str, names: SegmentHeader | Mark, places: Iterable[tuple[str, int]]) -> None:
        try:
            self.owners.claim_partitions(shard, places)
            self.owners.claim_names(shard, names.commits, names.state)
        except LogError as e:
            raise CorruptLog(str(e)) from None

    def claim(self, shard: str, group: AppendGroup) -> None:
        """See `Owners.claim`. Raises LogError also for a partition that its topic was created without."""
        self._check_partitions(group)
        with self.lock:
            self.owners.claim(shard, group)

    def _check_partitions(self, group: AppendGroup) -> None:
        for batch in group.batches if self._created else ():
            partitions = self.topic(batch.topic).partitions
            if partitions is not None and batch.partition >= partitions:
                raise LogError(f"topic {batch.topic} has the partitions 0 to {partitions - 1}; there is no {batch.partition}")

    def sync_within_s(self, group: AppendGroup) -> float | None:
        """How long the group may wait to be durable: 0, then it is so before it is acknowledged; None for ever."""
        if not self._created or not group.batches:
            return 0.0
        least: float | None = None
        for settings in map(self.topic, {batch.topic for batch in group.batches}):
            if settings.durability == "fsync":
                return 0.0
            if settings.durability == "interval":
                least = min(settings.interval_ms / 1000, least or settings.interval_ms / 1000)
        return least

    def create_topic(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """See `Log`."""
        settled = TopicRegistry(self.sites, self._runtime).create(topic, settings)
        self._created = {**self._created, topic: settled}
        return settled

    def topic(self, topic: str) -> TopicSettings:
        """See `Log`."""
        return self._created.get(topic, _DEFAULTS)

    def join(self, group: str, member: str, topics: Mapping[str, int], lease_s: float = GROUP_LEASE_S) -> Membership:
        """See `Log`."""
        return Membership(group, self.sites, self._runtime, member, topics, self._settings.host, lease_s)

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return self._runtime.now()

    def _lost(self, shard: str, site: str, why: str) -> None:
        _log.error(
            "a site left a shard; appends go on without it, and it comes back once it answers", shard=shard, site=site, why=why
        )

    def topics(self) -> tuple[str, ...]:
        """See `Log`."""
        with self.lock:
            return self.owners.topics()

    def partitions(self, topic: str) -> tuple[int, ...]:
        """See `Log`."""
        with self.lock:
            return self.owners.partitions(topic)

    def end_offset(self, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.owners.end(topic, partition)

    def start_offset(self, topic: str, partition: int) -> int:
        """See `Log`. Raises StorageUnavailable, CorruptLog: it may have to look."""
        with self.lock:
            owner = self.owners.owner(topic, partition)
            view = self._views.get(owner) if owner is not None else None
        return view.start_offset(topic, partition) if view is not None else 0

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """See `Log`. Raises StorageUnavailable, CorruptLog."""
        low, high = self.start_offset(topic, partition), self.end_offset(topic, partition)
        while low < high:
            middle = (low + high) // 2
            record = next(decode_all(self.read(topic, partition, middle, 1).data))
            if record.received_time < time_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def committed(self, group: str, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.owners.committed(group, topic, partition)

    def commits(self) -> list[Commit]:
        """The offsets that all groups committed beside records, sorted by group, topic and partition."""
        with self.lock:
            return self.owners.commits()

    def shard_of(self, topic: str, partition: int) -> str | None:
        """The shard that a partition belongs to; None where there is no such partition."""
        with self.lock:
            return self.owners.owner(topic, partition)

    def shards(self) -> tuple[str, ...]:
        """The shards that are there, sorted."""
        with self._opening:
            return tuple(sorted(self._views))

    def view_of(self, shard: str) -> ShardView:
        """A shard that is there, as this process reads it."""
        with self._opening:
            return self._views[shard]

    def state(self, name: str) -> bytes | None:
        """See `Log`."""
        with self.lock:
            return self.owners.state(name)

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """See `Log`. Raises LogError for an offset past the end, or one that retention removed."""
        self._check_open()
        with self.lock:
            end = self.owners.end(topic, partition)
            if not 0 <= offset <= end:
                raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {end}")
            if offset == end:
                return Fetch(data=b"", first_offset=offset, next_offset=offset)
            owner = self.owners.owner(topic, partition)
            assert owner is not None
            view = self._views[owner]
        layout = view.layout
        try:
            return self._read(view, topic, partition, offset, end, bytes_max)
        except CorruptLog as e:
            # What lay there may have been compacted or removed since this process looked, which a paused one may have missed.
            view.layout = Layouts(view.name, self.sites, self._runtime).look()
            if view.layout != layout:
                return self._read(view, topic, partition, offset, end, bytes_max)
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
                self.keeper.damaged(view, part, site)
                raise

        return view.from_any(reads)

    def read_many(self, topic: str, offsets: Mapping[int, int], bytes_max: int) -> dict[int, Fetch]:
        """See `Log`."""
        self._check_open()
        by_shard: dict[str, dict[int, int]] = {}
        with self.lock:
            for partition, offset in offsets.items():
                end = self.owners.end(topic, partition)
                if not 0 <= offset <= end:
                    raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {end}")
                owner = self.owners.owner(topic, partition)
                if offset < end and owner is not None:
                    by_shard.setdefault(owner, {})[partition] = offset
        fetches: dict[int, Fetch] = {}
        for shard, wanted in sorted(by_shard.items()):
            view, share = self._views[shard], max(bytes_max // len(by_shard), 1)
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
            self.quarantine.passed_over(view.name, topic, partition, offset, goes_on, str(error))
            return self.read(topic, partition, goes_on, bytes_max)
        if fetch.first_offset > offset:
            self.quarantine.passed_over(view.name, topic, partition, offset, fetch.first_offset, str(error))
        return fetch

    def wait(self, seconds: float) -> bool:
        """See `Log`. Every thread has its own last call."""
        with self._appended:
            seen = getattr(self._seen, "appends", 0)
            self._appended.wait_for(lambda: self._appends != seen or self._stop.is_set(), seconds)
            self._seen.appends = self._appends
            return self._appends != seen

    def appended(self, records: bool) -> None:
        """Wakes those who wait for records."""
        if records:
            with self._appended:
                self._appends += 1
                self._appended.notify_all()

    def released(self, writer: SharedWriter) -> None:
        """The writer is gone: its shard is followed like any other."""
        with self._opening:
            if self._writers.get(writer.shard) is writer:
                del self._writers[writer.shard]

    def refresh(self) -> bool:
        """Looks for what other processes appended, in every shard, and for new shards. True where there was anything.

        Raises what is wrong with the first shard that cannot be followed, once it has looked at all.
        """
        self._look_around()
        return self._follow()

    def _look_around(self) -> None:
        """Asks all sites for shards and who is a member of them. Waits for those that are silent."""
        now = self._runtime.now()
        if now - self._shards_looked_s >= SHARDS_LOOK_S:
            self._shards_looked_s = now
            self._look_for_shards()
        if now - self._members_looked_s >= MEMBERS_LOOK_S:
            self._members_looked_s = now
            for follower in list(self._followers.values()):
                follower.look()
            for view in list(self._views.values()):
                view.read_from(view.sites)
            with suppress(StorageUnavailable):
                self._created = self._topics.list()

    def _follow(self) -> bool:
        any_new = False
        errors: list[LogError] = []
        with self._opening:
            for shard, view in list(self._views.items()):
                if shard not in self._writers:
                    try:
                        any_new = self._follower(shard, view).poll() or any_new
                        self._wrong.pop(shard, None)
                    except LogError as e:
                        errors.append(e)
                        self._say(shard, str(e))
        if errors:
            raise errors[0]
        return any_new

    def _follower(self, shard: str, view: ShardView) -> Follower:
        if shard not in self._followers:
            show = partial(self._take_in, view)
            self._followers[shard] = Follower(view, self.sites, self._runtime, show)
        return self._followers[shard]

    def _look_for_shards(self) -> None:
        errors = []
        for storage in self.sites.storages:
            try:
                for name in storage.list(""):
                    shard = name.removesuffix("/")
                    if is_shard_name(shard) and shard not in self._views and storage.list(f"{shard}/manifest"):
                        self._views[shard] = ShardView(shard, self.lock, self._first)
            except StorageUnavailable as e:
                errors.append(e)
        if len(errors) == len(self.sites.storages):
            raise errors[0]

    def _run(self) -> None:
        # Object stores charge for a look, and have something new once a flush at most.
        appends = any(storage.appends for storage in self.sites.storages)
        least_s, most_s = (FOLLOW_WAIT_S_MIN, FOLLOW_WAIT_S_MAX) if appends else (self._settings.flush_s, FOLLOW_OBJECTS_S_MAX)
        wait_s = least_s
        while not self._stop.wait(wait_s):
            quiet = True
            due: list[float | None] = []
            with suppress(LogError):  # Said already, and tried again.
                quiet = not self._follow()
            for writer in list(self._writers.values()):
                quiet = writer.stand_behind() and quiet
                due.append(writer.sync_if_due(self.now()))
            wait_s = min(2 * wait_s, most_s) if quiet else least_s
            wait_s = max(0.0, min([wait_s, *(each - self.now() for each in due if each is not None)]))

    def _run_sites(self) -> None:
        # Apart from the thread that follows: a silent site must hold up nobody who reads another one.
        while not self._stop.wait(SHARDS_LOOK_S):
            try:
                self._look_around()
            except LogError as e:
                self._say("", str(e))
            else:
                self._wrong.pop("", None)
            self._readmit()

    def _say(self, shard: str, why: str) -> None:
        if self._wrong.get(shard) != why:
            self._wrong[shard] = why
            _log.error("a shard of the log cannot be followed; it will be tried again", shard=shard, error=why)

    def alarms(self) -> list[str]:
        """What is wrong now, for people: sites that are no members of a shard of this process, shards that cannot be read."""
        writers = list(self._writers.values())
        names = [storage.name for storage in self.sites.storages]
        lacking = [(site, [one.shard for one in writers if site not in one.members]) for site in names]
        left = [f"the sites: {why}" for shard, why in self._wrong.items() if not shard]
        left += [f"site {site} left {', '.join(shards)}; it comes back once it answers" for site, shards in lacking if shards]
        return left + [f"shard {shard}: {why}" for shard, why in sorted(self._wrong.items()) if shard]

    def _readmit(self) -> None:
        now = self._runtime.now()
        if now - self._readmit_looked_s < READMIT_LOOK_S:
            return
        self._readmit_looked_s = now
        for writer in list(self._writers.values()):
            for storage in self.sites.storages:
                if storage.name not in writer.members:
                    try:
                        if writer.readmit(storage):
                            _log.info("a site is back", shard=writer.shard, site=storage.name)
                    except LogError as e:
                        _log.error("a site cannot come back", shard=writer.shard, site=storage.name, error=str(e))

    def _check_open(self) -> None:
        if self._stop.is_set():
            raise LogError("the log is closed")

    def close(self) -> None:
        """See `Log`. A second call does nothing."""
        for writer in list(self._writers.values()):
            writer.close()
        self._stop.set()
        self.keeper.close()
        with self._appended:
            self._appended.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STORAGE_TIMEOUT_S)
        if isinstance(self._runtime, Threads):
            self._runtime.close()


def open_log(
    sites: Mapping[str, Storage],
    witnesses: Mapping[str, Storage] | None = None,
    settings: LogSettings | None = None,
    runtime: Runtime | None = None,
) -> SharedLog:
    """Opens the log that lies on these sites, by name; the names stay what they are for as long as the log lives.

    ``witnesses`` take part in claims and hold no records: two sites need one, to go on without one of them. Raises LogError,
    StorageUnavailable, CorruptLog.
    """
    settings = settings or LogSettings()
    if not sites:
        raise LogError("a log needs one site at least")
    if settings.first and settings.first not in sites:
        raise LogError(f"there is no site {settings.first!r} to read from; there are {', '.join(sites)}")
    named = Sites(
        tuple(NamedStorage(name, storage) for name, storage in sites.items()),
        tuple(NamedStorage(name, storage) for name, storage in (witnesses or {}).items()),
    )
    return SharedLog(named, runtime or Threads(), settings)
