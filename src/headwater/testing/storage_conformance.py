"""What every `Storage` must do. A test module subclasses `StorageConformance`, named `Test…`, and gives `open`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from headwater.core.errors import HeadwaterError, LogError
from headwater.log.storage import ObjectMissing, Storage

T = TypeVar("T")
# What a path, a shell, a URL or a file system takes for something else.
REFUSED_NAMES = (
    *("", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", ".hidden", "a/.hidden"),
    *("a b", "a\\b", "a\0b", "a\nb", "a%2fb", "a?b", "a#b", "a*b", "ä", "a:b", "x" * 201, "/".join(["x" * 100] * 10)),
)


@contextmanager
def refused(error: type[HeadwaterError], *words: str) -> Iterator[None]:
    """Expects just that error, whose text has all these words."""
    caught: HeadwaterError | None = None
    try:
        yield
    except HeadwaterError as e:
        caught = e
    assert type(caught) is error, f"expected {error.__name__}, got {type(caught).__name__}: {caught}"
    missing = [word for word in words if word not in str(caught)]
    assert not missing, f"{missing} not in the error: {caught}"


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """What the calls give, begun at the same moment in threads of their own."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], T]) -> T:
        barrier.wait(60)
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def _offer(storage: Storage, data: bytes, name: str) -> tuple[bool, bytes]:
    return storage.put(name, data), storage.get(name)


class StorageConformance:
    """The suite. Every `open` of one test gives a storage over the same objects, as another process would; first there are none.

    ``threads`` and ``rounds``: how many put at once, and how often.
    """

    threads = 8
    rounds = 25

    def open(self) -> Storage:
        raise NotImplementedError

    def test_an_object_is_put_once(self) -> None:
        storage, other = self.open(), self.open()
        assert storage.put("a/b/c", b"first") is True
        assert storage.put("a/b/c", b"second") is False
        assert other.put("a/b/c", b"third") is False
        assert storage.put("a/b/c", b"first") is False
        assert storage.get("a/b/c") == other.get("a/b/c") == b"first"
        assert other.put("a/b/d", b"", sync=False) is True
        assert storage.get("a/b/d") == b""
        assert storage.put("a/b/d", b"x", sync=False) is False

    def test_of_many_who_put_at_once_one_wins_and_all_see_its_bytes(self) -> None:
        storages = [self.open() for _ in range(self.threads)]
        for number in range(self.rounds):
            name = f"race/{number:020}"
            # Of lengths of their own, so that a mixture of two shows.
            offers = [bytes([65 + thread]) * (1000 * (thread + 1) + number) for thread in range(self.threads)]

            given = at_once([partial(_offer, *offered, name) for offered in zip(storages, offers, strict=True)])
            winners = [thread for thread, (won, _) in enumerate(given) if won]
            assert len(winners) == 1, f"{name}: threads {winners} were all told that they put it"
            assert {seen for _, seen in given} == {offers[winners[0]]}, f"{name}: somebody saw other bytes than the winner's"
        assert len(storages[0].list("race")) == self.rounds

    def test_what_is_seen_of_an_object_is_all_of_it(self) -> None:
        storage, reader = self.open(), self.open()
        size = 3_000_000
        done = threading.Event()

        def watch() -> set[int]:
            seen = set()
            while not done.is_set():
                for name in reader.list("whole"):
                    seen.add(len(reader.get(f"whole/{name}")))
            return seen

        def put() -> set[int]:
            try:
                for number in range(5):
                    assert storage.put(f"whole/{number}", bytes(size))
            finally:
                done.set()
            return {size}

        for seen in at_once([watch, put]):
            assert seen <= {size}, f"objects of {size} bytes were seen with {seen - {size}}"

    def test_ranges(self) -> None:
        storage = self.open()
        data = bytes(range(256)) * 300
        storage.put("r", data)
        for start, length in ((0, 1), (0, 0), (1, 10), (255, 70_000), (76_790, 10), (76_799, 1), (76_799, 5), (0, 10**9)):
            assert storage.get("r", start, length) == data[start : start + length], (start, length)
        assert storage.get("r", 76_000) == data[76_000:]
        for start in (76_800, 76_801, 10**9):
            assert storage.get("r", start) == storage.get("r", start, 10) == b"", start
        storage.put("empty", b"")
        assert storage.get("empty", 0, 10) == storage.get("empty", 3) == b""
        with refused(LogError, "-1"):
            storage.get("r", -1)
        with refused(LogError, "-1"):
            storage.get("r", 0, -1)

    def test_a_list_is_sorted_and_of_one_directory(self) -> None:
        storage, other = self.open(), self.open()
        numbers = [f"{number:020}" for number in (0, 1, 7, 10, 11, 100, 10**19)]
        for number in reversed(numbers):
            storage.put(f"s/segment/{number}", b"1")
        for name in ("top", "s/other", "s/segment-x/1", "s/segment.x", "s/a/b/c/d", "t/x"):
            storage.put(name, b"1")
        assert other.list("s/segment") == numbers
        assert other.list("") == ["s/", "t/", "top"]
        assert other.list("s") == ["a/", "other", "segment-x/", "segment.x", "segment/"]
        assert other.list("s/a") == ["b/"]
        assert other.list("s/seg") == other.list("none") == other.list("s/none/x") == []

    def test_a_list_from_behind_a_name_on(self) -> None:
        storage = self.open()
        for name in ("d/a", "d/b", "d/c/x", "d/d"):
            storage.put(name, b"")
        assert storage.list("d", after="a") == ["b", "c/", "d"]
        assert storage.list("d", after="aa") == ["b", "c/", "d"]
        assert storage.list("d", after="b") == ["c/", "d"]
        assert storage.list("d", after="c/") == ["d"]
        assert storage.list("d", after="d") == storage.list("d", after="z") == []
        assert storage.list("", after="c") == ["d/"]

    def test_a_list_longer_than_a_page(self) -> None:
        storage = self.open()
        names = [f"{number:020}" for number in range(1100)]
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda name: storage.put(f"long/{name}", b"1", sync=False), names))
        assert storage.list("long") == names
        assert storage.list("long", after=names[49]) == names[50:]

    def test_what_is_deleted_is_gone_and_its_name_is_free(self) -> None:
        storage, other = self.open(), self.open()
        storage.put("d/a", b"1")
        storage.put("d/b", b"2")
        other.delete("d/a")
        other.delete("d/a")
        other.delete("d/none")
        other.delete("none/none")
        assert storage.list("d") == ["b"]
        with refused(ObjectMissing, "d/a"):
            storage.get("d/a")
        assert storage.put("d/a", b"anew") is True
        assert other.get("d/a") == b"anew"

    def test_what_is_not_there_is_missing(self) -> None:
        storage = self.open()
        storage.put("d/a", b"1")
        for name in ("b", "d/b", "x/y/z"):
            with refused(ObjectMissing, name):
                storage.get(name)
            with refused(ObjectMissing, name):
                storage.get(name, 5, 10)
        with refused(ObjectMissing, "d"):
            storage.get("d")

    def test_names_that_some_storage_would_not_take_are_refused_by_all(self) -> None:
        storage = self.open()
        for name in REFUSED_NAMES:
            with refused(LogError, "no name for an object"):
                storage.put(name, b"1")
            with refused(LogError, "no name for an object"):
                storage.get(name)
            with refused(LogError, "no name for an object"):
                storage.delete(name)
            if name:
                with refused(LogError, "no name for an object"):
                    storage.list(name)
        assert storage.list("") == []
        for name in ("A-b_c.d", "x" * 200, "0/1/2/3", "_", "-", "a..b", "a."):
            assert storage.put(name, name.encode()) is True
            assert storage.get(name) == name.encode()

    def test_large_objects(self) -> None:
        storage = self.open()
        data = bytes(range(251)) * 50_000
        assert storage.put("large", data) is True
        assert storage.get("large") == data
        assert storage.get("large", 12_000_000, 1000) == data[12_000_000:12_001_000]

    def test_appends(self) -> None:
        storage, other = self.open(), self.open()
        storage.put("s/1", b"head")
        if not storage.appends:
            return
        storage.append("s/1", 4, b"-one")
        assert other.get("s/1") == b"head-one"
        storage.append("s/1", 8, b"-two", sync=False)
        storage.append("s/1", 12, b"")
        assert other.get("s/1") == b"head-one-two"
        storage.append("s/1", 8, b"-2")
        assert other.get("s/1") == b"head-one-2wo"
        storage.append("s/1", 4, b"")
        assert other.get("s/1") == b"head-one-2wo"
        other.append("s/1", 4, b"-other, longer")
        assert storage.get("s/1", 5) == b"other, longer"
        storage.append("s/1", 18, b"!")
        assert other.get("s/1") == b"head-other, longer!"
        assert other.put("s/1", b"x") is False

    def test_an_append_that_would_leave_a_gap_is_refused(self) -> None:
        storage = self.open()
        storage.put("s/1", b"head")
        if not storage.appends:
            with refused(LogError, "append"):
                storage.append("s/1", 4, b"x")
            return
        for at in (5, 10**9, -1):
            with refused(LogError, "s/1", "4 bytes", str(at)):
                storage.append("s/1", at, b"x")
        assert storage.get("s/1") == b"head"
        storage.append("s/1", 4, b"x")
        assert storage.get("s/1") == b"headx"

    def test_an_append_needs_an_object(self) -> None:
        storage, other = self.open(), self.open()
        if not storage.appends:
            return
        for name in ("none", "s/none"):
            with refused(ObjectMissing, name):
                storage.append(name, 0, b"x")
        assert storage.list("") == []
        storage.put("s/1", b"old")
        storage.append("s/1", 3, b"er")
        other.delete("s/1")
        with refused(ObjectMissing, "s/1"):
            storage.append("s/1", 5, b"x")
        other.put("s/1", b"new")
        storage.append("s/1", 3, b"er")
        assert other.get("s/1") == b"newer"
        with refused(LogError, "no name for an object"):
            storage.append("../x", 0, b"x")

    def test_appends_of_many_threads_to_objects_of_their_own(self) -> None:
        storage = self.open()
        if not storage.appends:
            return

        def write(thread: int) -> bytes:
            name, data = f"s-{thread}/1", b""
            storage.put(name, data)
            for number in range(self.rounds):
                more = f"{thread}:{number};".encode()
                storage.append(name, len(data), more, sync=number % 5 == 0)
                data += more
            return data

        expected = at_once([partial(write, thread) for thread in range(self.threads)])
        assert [self.open().get(f"s-{thread}/1") for thread in range(self.threads)] == expected
