"""Three sites: one is damaged, or cut off under load. What is read is right, writes go on, and nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.core.clock import monotonic_s
from headwater.core.errors import CorruptLog, LogError, StorageUnavailable
from headwater.core.ids import seeded_random
from headwater.log import commit
from headwater.log.interface import AppendGroup
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.testing.log_conformance import batch, read_all
from tests.faults.mutants import admit_empty, believe_records
from tests.faults.world import World, folders, open_sites

WRITES_S_MAX, READS_S_MAX = 15.0, 5.0


def _damaged_somewhere(directory: Path, flips: int, seed: int) -> None:
    """A bit of any object of one site flips: another site has what is asked for, so that nobody sees any of it."""
    world = World()
    log = open_sites(directory, 3, segment_bytes_max=2000)
    writer = log.writer("s-0")
    for _ in range(25):
        world.append(writer)
    log.close()
    random = seeded_random(seed)
    paths = sorted(path for path in (directory / "a").rglob("*") if path.is_file() and path.stat().st_size)
    last = max(
        (path for path in paths if path.parent.parent.name == "segment" and path.name.isdigit()), key=lambda path: path.name
    )
    for _ in range(flips):
        path = random.choice(paths)
        original = path.read_bytes()
        content = bytearray(original)
        bit = random.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        # Cut off at a byte, in every other turn.
        path.write_bytes(content if random.random() < 0.5 else original[: bit // 8])
        _check(directory, path == last, world)
        path.write_bytes(original)


def _check(directory: Path, of_last: bool, world: World) -> None:
    """The end of the last segment may lack for all that one site can tell: it is found when the shard is opened."""
    if of_last:
        copy = directory.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        directory = Path(shutil.copytree(directory, copy))
        log = open_sites(directory, 3)
        writer = log.writer("s-0")
        for _ in range(2):
            writer.stand_behind()
        world.check(log)
        log.close()
    log = open_sites(directory, 3)
    world.check(log)
    log.close()


def test_damage_on_one_site_is_read_from_another(tmp_path: Path) -> None:
    _damaged_somewhere(tmp_path, flips=150, seed=1)


def test_a_closed_segment_that_ends_between_two_groups_is_read_from_another(tmp_path: Path) -> None:
    world = World()
    log = open_sites(tmp_path, 3, segment_bytes_max=2000)
    writer = log.writer("s-0")
    ends: dict[Path, list[int]] = {}
    for _ in range(25):
        world.append(writer)
        last = sorted((tmp_path / "a" / "s-0" / "segment").glob("*/0*"))[-1]
        ends.setdefault(last, []).append(last.stat().st_size)
    log.close()
    assert len(ends) > 2
    for path, at in list(ends.items())[:-1]:
        original = path.read_bytes()
        for end in (int.from_bytes(original[8:12], "little"), *at[:-1]):
            path.write_bytes(original[:end])
            _check(tmp_path, False, world)
        path.write_bytes(original)


@pytest.mark.slow
def test_much_damage_on_one_site_is_read_from_another(tmp_path: Path) -> None:
    _damaged_somewhere(tmp_path, flips=20_000, seed=2)


def test_a_reader_that_believes_its_own_site_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believe_records(monkeypatch)
    with pytest.raises((AssertionError, ValueError, CorruptLog)):
        _damaged_somewhere(tmp_path, flips=400, seed=1)


class Cut:
    """A storage that, while ``cut`` is set, does nothing, and says so after a while."""

    def __init__(self, storage: Storage, cut: threading.Event, waits_s: float) -> None:
        self.name, self.appends = storage.name, storage.appends
        for method in ("put", "append", "get", "list", "delete"):
            setattr(self, method, self._cut(getattr(storage, method), cut, waits_s))

    def _cut(self, call: Callable[..., Any], cut: threading.Event, waits_s: float) -> Callable[..., Any]:
        def cut_or_call(*given: Any) -> Any:
            if cut.is_set():
                threading.Event().wait(waits_s)
                raise StorageUnavailable(f"{self.name} is cut off")
            return call(*given)

        return cut_or_call


class Load:
    """A writer and a reader on threads, and how long each had to wait at most."""

    def __init__(self, log: SharedLog, reader: SharedLog) -> None:
        self.acknowledged: list[int] = []
        self.waited_s = {"write": 0.0, "read": 0.0}
        self._log, self._reader = log, reader
        self._writer = log.writer("s-0")
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(what,)) for what in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def _run(self, what: Callable[[], str]) -> None:
        try:
            while not self._over.is_set():
                began = monotonic_s()
                kind = what()
                self.waited_s[kind] = max(self.waited_s[kind], monotonic_s() - began)
        except BaseException as e:
            self._errors.append(e)

    def _write(self) -> str:
        number = len(self.acknowledged)
        self._writer.append(AppendGroup(batches=(batch("t", number, 1),)))
        self.acknowledged.append(number)
        self._over.wait(0.002)
        return "write"

    def _read(self) -> str:
        end = self._reader.end_offset("t", 0)
        self._reader.read("t", 0, max(0, end - 5), 10_000)
        self._over.wait(0.002)
        return "read"

    def until(self, reached: Callable[[], bool], seconds: float) -> None:
        """Waits until something is so. Fails where it is not by then."""
        ends = monotonic_s() + seconds
        while not reached():
            assert not self._errors, self._errors
            assert monotonic_s() < ends, f"{len(self.acknowledged)} appended, members {self._writer.members}"
            self._over.wait(0.01)

    @property
    def members(self) -> tuple[str, ...]:
        return self._writer.members

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def end(self) -> None:
        self.stop()
        assert not self._errors, self._errors
        self._log.close()
        self._reader.close()


def _cut_under_load(directory: Path, waits_s: float, within_s: float = 60) -> None:
    """A site is cut off and comes back while one appends and another reads; each within that time."""
    cut = threading.Event()

    def opened(first: str) -> SharedLog:
        sites = {name: Cut(storage, cut, waits_s) if name == "b" else storage for name, storage in folders(directory, 3).items()}
        return open_log(sites, settings=LogSettings(first=first))

    load = Load(opened("a"), opened("b"))
    try:
        load.until(lambda: len(load.acknowledged) > 20, 30)
        cut.set()
        load.until(lambda: "b" not in load.members, within_s)
        count = len(load.acknowledged)
        load.until(lambda: len(load.acknowledged) > count + 20, 30)
        cut.clear()
        load.until(lambda: "b" in load.members, within_s)
        count = len(load.acknowledged)
        load.until(lambda: len(load.acknowledged) > count + 20, 30)
    finally:
        cut.clear()
        load.stop()
    load.end()
    assert load.waited_s["write"] <= WRITES_S_MAX, load.waited_s
    assert load.waited_s["read"] <= READS_S_MAX, load.waited_s
    for name in "abc":
        alone = open_sites(directory, 3, only=name)
        assert read_all(alone, "t") == load.acknowledged, f"site {name} has other records"
        alone.close()


def test_a_site_that_is_cut_off_under_load_leaves_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "SITE_LOST_S", 0.5)
    _cut_under_load(tmp_path, waits_s=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("waits_s", [0.01, 1.0, 4.0])
def test_a_site_that_is_cut_off_under_load_holds_up_writes_and_reads_as_long_as_promised(tmp_path: Path, waits_s: float) -> None:
    _cut_under_load(tmp_path, waits_s)


def _never_leave(self: Any, silent: list[Any], reason: str, began: float) -> list[Any]:
    return silent


def _ask_the_first(self: Any, what: Callable[[Any], object], sites: Any = None, *more: Any) -> dict[Any, object]:
    """Sites that do not answer count as if they had."""
    answers = asked(self, what, sites, *more)
    return {site: True if isinstance(answer, StorageUnavailable) else answer for site, answer in answers.items()}


asked = commit.Committer._ask


@pytest.mark.parametrize(
    ("where", "name", "mutant", "match"),
    [
        (commit.Committer, "_leave", _never_leave, "members .*'b'"),
        (commit.Committer, "_ask", _ask_the_first, "members .*'b'|other records|segment"),
        (commit, "admit", admit_empty, "site b has other records|segment"),
    ],
    ids=["a site never leaves", "an acknowledgement does not ask all members", "a site that comes back gets no copy"],
)
def test_a_log_that_cannot_do_without_a_site_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, mutant: Callable[..., object], match: str
) -> None:
    monkeypatch.setattr(commit, "SITE_LOST_S", 0.5)
    monkeypatch.setattr(where, name, mutant)
    with pytest.raises((AssertionError, LogError), match=match):
        _cut_under_load(tmp_path, waits_s=0.05, within_s=5)
