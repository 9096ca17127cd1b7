"""A log in memory: what `Log` promises, without durability."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from headwater.core.errors import LogError
from headwater.core.limits import GROUP_LEASE_S
from headwater.core.record import decode_all
from headwater.log.admissible import check_group, check_shard_name, pack_group
from headwater.log.groups import Membership
from headwater.log.holdings import Owners
from headwater.log.interface import AppendGroup, Fetch, Produced
from headwater.log.runtime import Threads
from headwater.log.takeover import Sites
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.testing.memory_storage import MemoryStorage


class MemoryLog:
    """A `Log` that forgets everything when it goes. Limits the memory it takes by nothing: it is for tests."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owners = Owners()
        self.records: dict[tuple[str, int], list[bytes]] = {}
        self.writers: dict[str, MemoryWriter] = {}
        # Groups and settings of topics are the same on every log: they need a storage alone.
        self._sites = Sites((MemoryStorage(),))
        self._runtime = Threads()
        self._topics = TopicRegistry(self._sites, self._runtime)
        self._appended = threading.Condition()
        self._appends = 0
        self._seen = threading.local()
        self._closed = False

    def writer(self, shard: str) -> MemoryWriter:
        """See `Log`."""
        check_shard_name(shard)
        with self.lock:
            if self._closed:
                raise LogError("the log is closed")
            if shard in self.writers:
                raise LogError(f"shard {shard} has a writer already; a shard has one at a time")
            self.writers[shard] = MemoryWriter(self, shard)
            return self.writers[shard]

    def create_topic(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """See `Log`."""
        return self._topics.create(topic, settings)

    def topic(self, topic: str) -> TopicSettings:
        """See `Log`."""
        return self._topics.get(topic)

    def join(self, group: str, member: str, topics: Mapping[str, int], lease_s: float = GROUP_LEASE_S) -> Membership:
        """See `Log`."""
        return Membership(group, self._sites, self._runtime, member, topics, lease_s=lease_s)

    def partitions(self, topic: str) -> tuple[int, ...]:
        """See `Log`."""
        with self.lock:
            return self.owners.partitions(topic)

    def topics(self) -> tuple[str, ...]:
        """See `Log`."""
        with self.lock:
            return self.owners.topics()

    def end_offset(self, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.owners.end(topic, partition)

    def start_offset(self, topic: str, partition: int) -> int:
        """See `Log`. Nothing is ever removed here."""
        return 0

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """See `Log`."""
        with self.lock:
            records = self.records.get((topic, partition), [])
            return bisect_left(records, time_ms, key=lambda data: next(decode_all(data)).received_time)

    def committed(self, group: str, topic: str, partition: int) -> int:
        """See `Log`."""
        with self.lock:
            return self.owners.committed(group, topic, partition)

    def state(self, name: str) -> bytes | None:
        """See `Log`."""
        with self.lock:
            return self.owners.state(name)

    def read(self, topic: str, partition: int, offset: int, bytes_max: int) -> Fetch:
        """See `Log`. Raises LogError for an offset past the end."""
        with self.lock:
            if self._closed:
                raise LogError("the log is closed")
            records = self.records.get((topic, partition), [])
            if not 0 <= offset <= len(records):
                raise LogError(f"{topic}/{partition} has no offset {offset}; valid are 0 to {len(records)}")
            size, next_offset = 0, offset
            while next_offset < len(records) and (not size or size + len(records[next_offset]) <= bytes_max):
                size += len(records[next_offset])
                next_offset += 1
            return Fetch(data=b"".join(records[offset:next_offset]), first_offset=offset, next_offset=next_offset)

    def read_many(self, topic: str, offsets: Mapping[int, int], bytes_max: int) -> dict[int, Fetch]:
        """See `Log`."""
        share = max(bytes_max // max(len(offsets), 1), 1)
        found = {partition: self.read(topic, partition, offset, share) for partition, offset in offsets.items()}
        return {partition: fetch for partition, fetch in found.items() if fetch.data}

    def wait(self, seconds: float) -> bool:
        """See `Log`. Every thread has its own last call."""
        with self._appended:
            seen = getattr(self._seen, "appends", 0)
            self._appended.wait_for(lambda: self._appends != seen or self._closed, seconds)
            self._seen.appends = self._appends
            return self._appends != seen

    def notify(self) -> None:
        """Wakes those who wait for records."""
        with self._appended:
            self._appends += 1
            self._appended.notify_all()

    def close(self) -> None:
        """See `Log`. A second call does nothing."""
        for writer in list(self.writers.values()):
            writer.close()
        self._closed = True
        with self._appended:
            self._appended.notify_all()


class MemoryWriter:
    """The one writer of a shard of a `MemoryLog`."""

    def __init__(self, log: MemoryLog, shard: str) -> None:
        self._log = log
        self._shard = shard
        self._closed = False

    def append(self, group: AppendGroup) -> tuple[int, ...]:
        """See `ShardWriter`."""
        check_group(group)
        pack_group(group)
        firsts: list[int] = []
        with self._log.lock:
            if self._closed:
                raise LogError(f"shard {self._shard} is closed; nothing can be appended")
            for batch in group.batches:
                partitions = self._log.topic(batch.topic).partitions
                if partitions is not None and batch.partition >= partitions:
                    raise LogError(f"topic {batch.topic} has the partitions 0 to {partitions - 1}; there is no {batch.partition}")
            self._log.owners.claim(self._shard, group)
            holdings = self._log.owners.of(self._shard)
            before = None if group.producer is None else holdings.repeated(group.producer)
            if before is not None:
                return before
            for batch in group.batches:
                records = self._log.records.setdefault((batch.topic, batch.partition), [])
                firsts.append(len(records))
                records.extend(_split(batch.data))
                if records:
                    self._log.owners.extend(self._shard, (batch.topic, batch.partition), len(records))
            produced = () if group.producer is None else (Produced(group.producer.id, group.producer.sequence, tuple(firsts)),)
            holdings.take(group.commits, group.state, produced)
        if any(batch.count for batch in group.batches):
            self._log.notify()
        return tuple(firsts)

    def close(self) -> None:
        """See `ShardWriter`."""
        with self._log.lock:
            if not self._closed:
                self._closed = True
                self._log.writers.pop(self._shard, None)


def _split(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        yield data[at:end]
        at = end
