"""What every `Log` must do. A test module subclasses `LogConformance` under a name that begins with `Test` and gives `open`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from headwater.core.errors import LogError
from headwater.core.limits import APPEND_PENDING_BYTES_MAX, PRODUCER_SEQUENCES_MAX
from headwater.core.record import Record, decode_all, encode
from headwater.log.interface import AppendGroup, Batch, Commit, Log, Producer
from headwater.log.topics import TopicSettings

T = TypeVar("T")


def batch(topic: str, first: int, count: int, partition: int = 0, payload_bytes: int = 40) -> Batch:
    """A batch of ``count`` records whose event_ids are ``first``, ``first + 1`` … and whose payloads have about that size."""
    data = b"".join(
        encode(
            Record(payload=b'{"n":%d,"pad":"%s"}' % (n, b"x" * payload_bytes), key=f"k{n % 7}", event_id=str(n), received_time=n)
        )
        for n in range(first, first + count)
    )
    return Batch(topic=topic, partition=partition, data=data, count=count)


def ids(data: bytes) -> list[int]:
    """The numbers that `batch` gave the records."""
    return [int(record.event_id) for record in decode_all(data)]


def read_all(log: Log, topic: str, partition: int = 0, bytes_max: int = 1 << 20) -> list[int]:
    """Reads a partition from its start to its end; checks on the way that offsets are dense."""
    found: list[int] = []
    while len(found) < log.end_offset(topic, partition):
        fetch = log.read(topic, partition, len(found), bytes_max)
        numbers = ids(fetch.data)
        assert fetch.first_offset == len(found), f"asked for offset {len(found)}, got {fetch.first_offset}"
        assert fetch.next_offset == fetch.first_offset + len(numbers) > fetch.first_offset
        found += numbers
    return found


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Passes where the block raises LogError and its text has every one of the words."""
    said = None
    try:
        yield
    except LogError as e:
        said = str(e)
    assert said is not None, "nothing was refused"
    missing = [word for word in words if word not in said]
    assert not missing, f"{said!r} does not say {missing}"


def until(look: Callable[[], T]) -> T:
    """What ``look`` gives once it gives anything; a member of a group looks at it now and then alone."""
    for _ in range(600):
        found = look()
        if found:
            return found
        threading.Event().wait(0.02)
    raise AssertionError("it never came")


class LogConformance:
    """The suite. ``durable``: closing and opening again gives the same log."""

    durable = True

    def open(self) -> Log:
        """Opens the log of this test; again after `close`, the same one."""
        raise NotImplementedError

    def _reopened(self, log: Log) -> Log:
        if not self.durable:
            return log
        log.close()
        return self.open()

    def test_an_empty_log_holds_nothing(self) -> None:
        log = self.open()
        assert (log.topics(), log.partitions("a"), log.end_offset("a", 0)) == ((), (), 0)
        assert (log.committed("g", "a", 0), log.state("s")) == (0, None)
        fetch = log.read("a", 0, 0, 1000)
        assert (fetch.data, fetch.first_offset, fetch.next_offset) == (b"", 0, 0)
        log.close()

    def test_offsets_are_dense_from_zero_in_each_partition(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        group = AppendGroup(batches=(batch("a", 0, 3), batch("b", 0, 2), batch("a", 3, 4), batch("a", 0, 1, partition=2)))
        assert writer.append(group) == (0, 0, 3, 0)
        assert writer.append(AppendGroup(batches=(batch("b", 2, 1), batch("a", 7, 1)))) == (2, 7)
        for _ in range(2):
            assert (log.topics(), log.partitions("a"), log.partitions("b")) == (("a", "b"), (0, 2), (0,))
            assert (log.end_offset("a", 0), log.end_offset("a", 2), log.end_offset("b", 0)) == (8, 1, 3)
            assert read_all(log, "a") == list(range(8))
            assert read_all(log, "b") == list(range(3))
            log = self._reopened(log)
        log.close()

    def test_a_read_gives_whole_records_from_any_offset(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        for first in range(0, 60, 10):
            writer.append(AppendGroup(batches=(batch("other", first, 30), batch("a", first, 10))))
        size = len(batch("a", 0, 10).data) // 10
        for offset in range(60):
            for bytes_max in (1, size - 1, size * 3 + 5, 10**6):
                fetch = log.read("a", 0, offset, bytes_max)
                numbers = ids(fetch.data)
                assert fetch.first_offset == offset
                assert numbers == list(range(offset, fetch.next_offset))
                assert len(fetch.data) <= bytes_max or len(numbers) == 1
        assert read_all(log, "a", bytes_max=1) == list(range(60))
        log.close()

    def test_many_partitions_are_read_at_once(self) -> None:
        log = self.open()
        writers = [log.writer("s-0"), log.writer("s-1")]
        for first in range(0, 90, 3):
            partitions = (first % 2, 2 + first % 14 // 2 * 2, 20)
            batches = tuple(batch("a", first + n, 1, partition=2 * p + first % 2) for n, p in enumerate(partitions))
            writers[first % 2].append(AppendGroup(batches=(batch("b", 0, 1, partition=first % 2), *batches)))
        for _ in range(2):
            expected = {partition: read_all(log, "a", partition) for partition in log.partitions("a")}
            assert sum(map(len, expected.values())) == 90
            for bytes_max in (1, 500, 10**6):
                found: dict[int, list[int]] = {partition: [] for partition in expected}
                while fetches := log.read_many("a", {p: len(numbers) for p, numbers in found.items()}, bytes_max):
                    for partition, fetch in fetches.items():
                        assert fetch.first_offset == len(found[partition])
                        found[partition] += ids(fetch.data)
                        assert fetch.next_offset == len(found[partition])
                assert found == expected
            log = self._reopened(log)
        with refused("a/0", "1000"):
            log.read_many("a", {0: 1000}, 10)
        assert log.read_many("a", {77: 0}, 10) == {}
        log.close()

    def test_an_offset_that_cannot_be_is_refused(self) -> None:
        log = self.open()
        log.writer("s-0").append(AppendGroup(batches=(batch("a", 0, 3),)))
        assert log.read("a", 0, 3, 100).data == b""
        with refused("a/0", "4", "0 to 3"):
            log.read("a", 0, 4, 100)
        with refused("-1"):
            log.read("a", 0, -1, 100)
        log.close()

    def test_commits_and_states_go_with_their_group(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        commit = Commit(group="g", topic="in", partition=0, next_offset=5)
        assert writer.append(AppendGroup(commits=(commit,), state=(("s", b"1"), ("t", b"")))) == ()
        again = Commit(group="g", topic="in", partition=0, next_offset=9)
        writer.append(AppendGroup(batches=(batch("a", 0, 1),), commits=(again,), state=(("s", b"2"),)))
        for _ in range(2):
            assert log.committed("g", "in", 0) == 9
            assert (log.committed("g", "in", 1), log.committed("h", "in", 0)) == (0, 0)
            assert (log.state("s"), log.state("t"), log.state("u")) == (b"2", b"", None)
            assert log.topics() == ("a",)
            log = self._reopened(log)
        log.close()

    def test_a_group_that_no_log_could_hold_is_refused_and_leaves_nothing(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        good = batch("a", 0, 2)
        for bad, words in (
            (Batch(topic="a", partition=0, data=good.data, count=3), ("a/0", "2", "3")),
            (Batch(topic="a", partition=0, data=good.data[:-1], count=2), ("a/0", "cut off")),
            (Batch(topic="a", partition=0, data=b"", count=1), ("0 records",)),
            (Batch(topic="", partition=0, data=good.data, count=2), ("topic",)),
            (Batch(topic="a", partition=-1, data=good.data, count=2), ("-1",)),
        ):
            with refused(*words):
                writer.append(AppendGroup(batches=(good, bad)))
        with refused("larger than"):
            writer.append(AppendGroup(state=(("s", b"x" * (APPEND_PENDING_BYTES_MAX + 1)),)))
        with refused("-1"):
            writer.append(AppendGroup(commits=(Commit(group="g", topic="a", partition=0, next_offset=-1),)))
        assert log.topics() == ()
        assert writer.append(AppendGroup(batches=(good,))) == (0,)
        log.close()

    def test_a_repeated_append_is_there_once(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        for _ in range(2):
            for sequence in range(3, 6):
                for _ in range(3):
                    group = AppendGroup(
                        batches=(batch("a", sequence * 2, 2), batch("b", sequence, 1)),
                        state=(("s", b"%d" % sequence),),
                        producer=Producer("p", sequence),
                    )
                    first = sequence - 3
                    assert writer.append(group) == (first * 2, first)
            assert (log.end_offset("a", 0), log.end_offset("b", 0), log.state("s")) == (6, 3, b"5")
            log = self._reopened(log)
            writer = log.writer("s-0") if self.durable else writer
        other = AppendGroup(batches=(batch("a", 100, 1),), producer=Producer("q", 3))
        assert writer.append(other) == (6,)
        for sequence in range(6, 6 + PRODUCER_SEQUENCES_MAX):
            writer.append(AppendGroup(batches=(batch("a", 100, 1),), producer=Producer("p", sequence)))
        with refused("p", "5", str(5 + PRODUCER_SEQUENCES_MAX)):
            writer.append(AppendGroup(batches=(batch("a", 10, 2),), producer=Producer("p", 5)))
        assert log.end_offset("a", 0) == 7 + PRODUCER_SEQUENCES_MAX
        log.close()

    def test_the_same_append_by_many_threads_is_there_once(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        firsts: list[tuple[int, int]] = []

        def appending() -> None:
            for sequence in range(20):
                group = AppendGroup(batches=(batch("a", sequence, 1),), producer=Producer("p", 2 * sequence))
                try:
                    firsts.append((sequence, writer.append(group)[0]))
                except LogError:
                    continue  # Another thread was far ahead.

        threads = [threading.Thread(target=appending) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read_all(log, "a") == list(range(20))
        assert all(sequence == first for sequence, first in firsts)
        log.close()

    def test_reading_begins_at_a_time(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        for first in range(10, 60, 10):
            writer.append(AppendGroup(batches=(batch("a", first, 10),)))
        for _ in range(2):
            assert [log.offset_at("a", 0, time) for time in (0, 10, 11, 35, 59, 60, 1000)] == [0, 0, 1, 25, 49, 50, 50]
            assert (log.offset_at("a", 1, 5), log.offset_at("b", 0, 5), log.start_offset("a", 0)) == (0, 0, 0)
            log = self._reopened(log)
        log.close()

    def test_topics_have_the_settings_that_they_were_created_with(self) -> None:
        log = self.open()
        assert log.topic("a").partitions is None
        settings = TopicSettings(partitions=2, retention_ms=1000, durability="interval", interval_ms=20)
        assert log.create_topic("a", settings).partitions == 2
        log.create_topic("a", settings)
        with refused("a", "partitions", "2", "3"):
            log.create_topic("a", TopicSettings(partitions=3))
        writer = log.writer("s-0")
        writer.append(AppendGroup(batches=(batch("a", 0, 2, partition=1), batch("b", 0, 1, partition=9))))
        with refused("a", "0 to 1", "2"):
            writer.append(AppendGroup(batches=(batch("b", 1, 1, partition=9), batch("a", 2, 1, partition=2))))
        for _ in range(2):
            found = log.topic("a")
            assert (found.partitions, found.retention_ms, found.durability, found.interval_ms) == (2, 1000, "interval", 20)
            assert (read_all(log, "a", 1), read_all(log, "b", 9)) == ([0, 1], [0])
            log = self._reopened(log)
        log.close()

    def test_every_durability_keeps_what_was_appended_over_a_restart(self) -> None:
        log = self.open()
        log.create_topic("now", TopicSettings(durability="fsync"))
        log.create_topic("soon", TopicSettings(durability="interval", interval_ms=10))
        log.create_topic("some time", TopicSettings(durability="none"))
        writer = log.writer("s-0")
        names = ("soon", "some time", "soon", "now", "some time", "some time")
        for number, name in enumerate(names * 20):
            writer.append(AppendGroup(batches=(batch(name, number, 1),)))
        for _ in range(2):
            for name in set(names):
                assert read_all(log, name) == [number for number, each in enumerate(names * 20) if each == name]
            log = self._reopened(log)
        log.close()

    def test_a_consumer_group_shares_partitions_and_refuses_who_has_lost_them(self) -> None:
        log = self.open()
        one = log.join("g", "one", {"a": 4})
        assert sorted(one.poll().units) == [("a", number) for number in range(4)]
        one.commit({("a", 0): 5, ("a", 3): 7})
        two = log.join("g", "two", {"a": 4})
        assert not two.poll().units
        removed = until(lambda: one.poll().removed)
        assert len(removed) == 2
        one.release(removed)
        mine = until(lambda: two.poll().units)
        assert sorted(mine) == sorted(removed)
        with refused("a"):
            one.commit({removed[0]: 9})
        two.commit(dict.fromkeys(mine, 8))
        one.leave()
        until(lambda: len(two.poll().units) == 4)
        assert {two.committed(("a", number)) for number in range(4)} <= {None, 5, 7, 8}
        two.leave()
        log.close()

    def test_a_shard_has_one_writer_at_a_time(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        with refused("s-0", "one at a time"):
            log.writer("s-0")
        writer.append(AppendGroup(batches=(batch("a", 0, 2),)))
        writer.close()
        writer.close()
        with refused("closed"):
            writer.append(AppendGroup(batches=(batch("a", 0, 1),)))
        assert log.writer("s-0").append(AppendGroup(batches=(batch("a", 2, 1),))) == (2,)
        assert read_all(log, "a") == [0, 1, 2]
        for name in ("", "..", "a/b", "A", "x" * 101):
            with refused("shard"):
                log.writer(name)
        log.close()

    def test_a_partition_belongs_to_one_shard(self) -> None:
        log = self.open()
        log.writer("s-0").append(AppendGroup(batches=(batch("a", 0, 2),), state=(("s", b"1"),)))
        for _ in range(2):
            other = log.writer("s-1")
            with refused("a/0", "s-0", "s-1"):
                other.append(AppendGroup(batches=(batch("a", 0, 1),)))
            with refused("state", "s-0"):
                other.append(AppendGroup(state=(("s", b"2"),)))
            log = self._reopened(log)
            if not self.durable:
                break
        assert (log.end_offset("a", 0), log.state("s")) == (2, b"1")
        log.close()

    def test_appends_of_many_threads_are_each_there_once_and_whole(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        firsts: list[tuple[int, int]] = []

        def appending(thread: int) -> None:
            for i in range(40):
                number = (thread * 40 + i) * 3
                firsts.append((writer.append(AppendGroup(batches=(batch("a", number, 3),)))[0], number))
                assert log.end_offset("a", 0) >= firsts[-1][0] + 3

        threads = [threading.Thread(target=appending, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(2):
            found = read_all(log, "a", bytes_max=5000)
            assert len(found) == len(firsts) * 3 == 960
            assert all(found[first : first + 3] == [number, number + 1, number + 2] for first, number in firsts)
            log = self._reopened(log)
        log.close()

    def test_wait_tells_each_thread_of_appends(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        log.wait(0)
        assert log.wait(0) is False
        woken: list[bool] = []
        threads = [threading.Thread(target=lambda: woken.append(log.wait(30))) for _ in range(3)]
        for thread in threads:
            thread.start()
        writer.append(AppendGroup(batches=(batch("a", 0, 1),)))
        for thread in threads:
            thread.join()
        assert woken == [True] * 3
        assert log.wait(30) is True
        writer.append(AppendGroup(state=(("s", b"1"),)))
        assert log.wait(0) is False
        log.close()

    def test_a_closed_log_refuses(self) -> None:
        log = self.open()
        writer = log.writer("s-0")
        writer.append(AppendGroup(batches=(batch("a", 0, 1),)))
        log.close()
        log.close()
        with refused("closed"):
            writer.append(AppendGroup(batches=(batch("a", 1, 1),)))
        with refused("closed"):
            log.read("a", 0, 0, 100)
        with refused("closed"):
            log.writer("s-1")
