"""The log: shards on any number of sites, each written by one process and read by all. `docs/formats/log.md` says what is stored.

A log keeps nothing of its own: whoever opens it finds everything on the sites.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from headwater.core.errors import LogError
from headwater.core.ids import new_id
from headwater.core.limits import GROUP_LEASE_S, OBJECT_FLUSH_S, SEGMENT_BYTES_MAX
from headwater.core.record import decode_all
from headwater.log.admissible import check_shard_name
from headwater.log.commit import Committer
from headwater.log.follow import Shown
from headwater.log.groups import Membership
from headwater.log.interface import AppendGroup, Commit, Fetch
from headwater.log.keeper import Keeper
from headwater.log.known_topics import KnownTopics
from headwater.log.layout import Layouts
from headwater.log.named_storage import NamedStorage
from headwater.log.quarantine import Quarantine
from headwater.log.reader import Reader
from headwater.log.runtime import Runtime, Threads
from headwater.log.segment import Group, Segment
from headwater.log.shard_view import ShardView
from headwater.log.shard_writer import SharedWriter
from headwater.log.shards import Shards
from headwater.log.storage import Storage
from headwater.log.takeover import Claim, Sites, take_over
from headwater.log.topics import TopicSettings
from headwater.log.upkeep import UpkeepSettings
from headwater.log.watch import Watch

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
    site answers, CorruptLog where every shard is damaged on all of its sites. Where some are, the others can be read and written,
    `alarms` names them, and whatever belongs to no shard that could be read raises CorruptLog: it may be theirs.
    """

    def __init__(self, sites: Sites, runtime: Runtime, settings: LogSettings) -> None:
        self.sites = sites
        self.quarantine = Quarantine()
        self._runtime = runtime
        self._settings = settings
        self._appended = threading.Condition()
        self._appends = 0
        self._seen = threading.local()
        self._stop = threading.Event()
        self._topics = KnownTopics(sites, runtime)
        self._shards = Shards(settings.first or sites.storages[0].name, sites.storages)
        self.lock = self._shards.lock
        self.owners = self._shards.owners
        self.keeper = Keeper(sites, runtime, self._shards.written, settings.upkeep)
        self._reader = Reader(self._shards, sites, runtime, self.keeper, self.quarantine)
        self._watch = Watch(self._shards, sites, runtime, self._topics, self._take_in, settings.flush_s, self._stop)
        self._watch.begin()
        if settings.follows:
            self._watch.start()
            self.keeper.start()

    def writer(self, shard: str) -> SharedWriter:
        """See `Log`."""
        check_shard_name(shard)
        self._check_open()
        with self._shards.changing:
            if shard in self._shards.writers:
                raise LogError(f"shard {shard} has a writer already; a shard has one at a time")
            claim = take_over(shard, self.sites, self._runtime, new_id(), self._settings.host)
            self._watch.follow_no_more(shard)
            view = self._shards.view(shard)
            self._take_claim(view, claim)
            committer = Committer(
                claim,
                self.sites,
                self._runtime,
                lambda: self.owners.of(shard).checkpoint(),
                lambda site, why: self._lost(shard, site, why),
                self._settings.segment_bytes_max,
            )
            self._shards.writers[shard] = SharedWriter(self, view, committer, self._settings.flush_s)
            return self._shards.writers[shard]

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
        self._shards.take_in(view, shown)
        self.appended(bool(shown.found))

    def claim(self, shard: str, group: AppendGroup) -> None:
        """See `Owners.claim`. Raises LogError also for a partition that its topic was created without."""
        self._topics.check_partitions(group)
        with self.lock:
            self.owners.claim(shard, group)

    def sync_within_s(self, group: AppendGroup) -> float | None:
        """See `KnownTopics.sync_within_s`."""
        return self._topics.sync_within_s(group)

    def create_topic(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """See `Log`."""
        return self._topics.create(topic, settings)

    def topic(self, topic: str) -> TopicSettings:
        """See `Log`."""
        return self._topics.of(topic)

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
            view = self._shards.views.get(owner) if owner is not None else None
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
        with self._shards.changing:
            return tuple(sorted(self._shards.views))

    def view_of(self, shard: str) -> ShardView:
        """A shard that is there, as this process reads it."""
        with self._shards.changing:
            return self._shards.views[shard]

    def state(self, name: str) -> bytes | None:
        """See `Log`."""
        with self.lock:
            return self.owners.state(name)

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """See `Log`. Raises LogError for an offset past the end, or one that retention removed."""
        self._check_open()
        return self._reader.read(topic, partition, offset, bytes_max)

    def read_many(self, topic: str, offsets: Mapping[int, int], bytes_max: int) -> dict[int, Fetch]:
        """See `Log`."""
        self._check_open()
        return self._reader.read_many(topic, offsets, bytes_max)

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
        with self._shards.changing:
            if self._shards.writers.get(writer.shard) is writer:
                del self._shards.writers[writer.shard]

    def refresh(self) -> bool:
        """See `Watch.refresh`: looks for what other processes appended, in every shard, and for new shards."""
        return self._watch.refresh()

    def alarms(self) -> list[str]:
        """See `Watch.alarms`: what is wrong now, for people."""
        return self._watch.alarms()

    def _check_open(self) -> None:
        if self._stop.is_set():
            raise LogError("the log is closed")

    def close(self) -> None:
        """See `Log`. A second call does nothing."""
        for writer in list(self._shards.writers.values()):
            writer.close()
        self._stop.set()
        self.keeper.close()
        with self._appended:
            self._appended.notify_all()
        self._watch.wait()
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
