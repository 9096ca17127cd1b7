"""Processes that are killed while they compact, delete or repair; and broken builds that these tests must catch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from headwater.core.clock import set_wall_clock
from headwater.log import commit, compact, repair, upkeep
from headwater.log.repair import repair as repair_log
from headwater.log.storage import Storage
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.log.verify import verify
from headwater.testing.memory_storage import MemoryStorage
from tests.unit.log.keeping import GRACE_S, Clock, Dead, Mortal, contents, fill, open_at

Contents = dict[tuple[str, int], bytes]
GROUPS = 12


class Place:
    """Three sites whose processes can be killed, and the clock that all processes share."""

    def __init__(self, appends: bool, retention_ms: int | None = None) -> None:
        self.stored: dict[str, Storage] = {name: MemoryStorage(name, appends=appends) for name in "abc"}
        self.clock = Clock()
        log = open_at(self.stored, self.clock)
        fill(log, GROUPS)
        self.before = contents(log)
        if retention_ms is not None:
            TopicRegistry(log.sites, self.clock).create("t", TopicSettings(retention_ms=retention_ms))
        log.close()

    def mortal(self, calls: int) -> dict[str, Storage]:
        """The sites as a process has them that is killed at that call."""
        life = [calls]
        made: dict[str, Storage] = {}
        for name, storage in self.stored.items():
            site = Mortal(storage)
            site.life = life
            made[name] = site
        self.life = life
        return made

    def tidy(self, sites: dict[str, Storage]) -> None:
        """Compacts all there is, and deletes it after the grace."""
        log = open_at(sites, self.clock, part_bytes_max=3000)
        log.writer("s-0")
        log.keeper.step(force=True)
        self.clock.time_s += GRACE_S
        log.keeper.step(force=True)
        log.keeper.step(force=True)

    def check(self, kept_from: Callable[[Contents, Contents], bool]) -> None:
        """Reads by a process that was just opened, on each site first; and verifies."""
        for first in self.stored:
            log = open_at(self.stored, self.clock, first=first)
            found = contents(log)
            assert found.keys() == self.before.keys()
            assert kept_from(found, self.before), f"reads from {first} are not what they were"
            assert [each for each in verify(log.sites, self.clock) if each.kind != "tail"] == []


def _same(found: Contents, before: Contents) -> bool:
    return found == before


def _ends_as_before(found: Contents, before: Contents) -> bool:
    """Whether topic ``u`` is there whole, and of ``t`` nothing but old records is missing."""
    return all(data == found[place] if place[0] == "u" else data.endswith(found[place]) for place, data in before.items())


def _killed_at_every_call(
    appends: bool, retention_ms: int | None, kept: Callable[[Contents, Contents], bool], every: int = 1
) -> int:
    """Runs that are killed at each changing call in turn, each then tidied up by another process; how many there were."""
    calls = 0
    while True:
        place = Place(appends, retention_ms)
        with suppress(Dead):
            place.tidy(place.mortal(calls))
        if place.life[0] >= 0:
            return calls
        place.check(kept)
        place.tidy(place.stored)
        place.clock.time_s += GRACE_S
        place.tidy(place.stored)
        place.check(kept)
        calls += every


@pytest.mark.parametrize("appends", [True, False], ids=["appends", "puts"])
def test_a_process_killed_at_any_call_loses_nothing(appends: bool) -> None:
    assert _killed_at_every_call(appends, None, _same, every=7) > 50


@pytest.mark.slow
@pytest.mark.parametrize("appends", [True, False], ids=["appends", "puts"])
def test_a_process_killed_at_every_call_loses_nothing(appends: bool) -> None:
    assert _killed_at_every_call(appends, None, _same) > 50


def test_a_process_killed_while_records_expire_loses_no_others() -> None:
    set_wall_clock(lambda: 20 * 1_000_000)
    try:
        assert _killed_at_every_call(False, 5, _ends_as_before, every=7) > 50
    finally:
        set_wall_clock(None)


@pytest.fixture(autouse=True)
def _small_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of few segments; calls of several sites one after the other, so that a kill ends them all."""
    monkeypatch.setattr(commit, "CHECKPOINT_SEGMENTS_MAX", 2)

    def together(self: Clock, asked: Any, timeout_s: float) -> list[object]:
        given: list[object] = []
        for call in asked:
            try:
                given.append(call())
            except Exception as e:
                given.append(e)
        return given

    monkeypatch.setattr(Clock, "together", together)


def test_a_repair_killed_at_any_call_loses_nothing() -> None:
    for appends in (True, False):
        place = Place(appends)
        place.tidy(place.stored)
        log = open_at(place.stored, place.clock)
        fill(log, 6, GROUPS)
        place.before = contents(log)
        log.close()
        calls = 0
        while True:
            for name in _objects(place.stored["b"]):
                if "/segment/" in name or "/compacted/" in name:
                    _damage(place.stored["b"], name)
            log = open_at(place.stored, place.clock)
            sites = place.mortal(calls)
            with suppress(Dead):
                list(repair_log(log.sites._replace(storages=tuple(sites.values())), place.clock))
            alive = place.life[0] >= 0
            assert contents(open_at(place.stored, place.clock)) == place.before
            list(repair_log(log.sites, place.clock))
            if alive:
                break
            calls += 1
        assert calls > 3


def _objects(storage: Storage, directory: str = "s-0") -> list[str]:
    found = []
    for name in storage.list(directory):
        path = f"{directory}/{name}"
        found += _objects(storage, path.removesuffix("/")) if name.endswith("/") else [path]
    return found


def _damage(storage: Storage, name: str) -> None:
    data = bytearray(storage.get(name))
    if len(data) > 600:
        data[-300] ^= 4
        storage.delete(name)
        storage.put(name, bytes(data))


def _caught(run: Callable[[], object]) -> bool:
    try:
        run()
    except Exception:
        return True
    return False


def test_a_build_that_deletes_before_the_layout_holds_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = compact.Compaction._finish

    def finishes_by_deleting(self: Any, first: int, last: int) -> Any:
        made = finish(self, first, last)
        for site in self._view.sites:
            for number in range(first, last + 1):
                site.storage.delete(site.place(number))
        return made

    monkeypatch.setattr(compact.Compaction, "_finish", finishes_by_deleting)
    assert _caught(lambda: _killed_at_every_call(False, None, _same, every=7))


def test_a_build_that_forgets_a_partition_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = compact.sorted_blocks

    def forgetful(gathered: Any, number: Any) -> Any:
        return original({place: pieces for place, pieces in gathered.items() if place != ("u", 0)}, number)

    monkeypatch.setattr(compact, "sorted_blocks", forgetful)
    assert _caught(lambda: _killed_at_every_call(False, None, _same, every=7))


def test_a_build_that_does_not_look_whether_all_members_have_the_copy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        place = Place(False)
        original, loses = place.stored["b"].put, [True]
        # A site that takes what it is given, and loses it.
        monkeypatch.setattr(
            place.stored["b"],
            "put",
            lambda name, data, sync=True: (loses[0] and "/compacted/" in name) or original(name, data, sync),
        )
        log = open_at(place.stored, place.clock)
        log.writer("s-0")
        log.keeper.step(force=True)
        place.clock.time_s += GRACE_S
        log.keeper.step()
        assert log.keeper.figures.deleted == 0 or careless
        loses[0] = False
        place.clock.time_s += GRACE_S
        log.keeper.step()
        place.check(_same)

    careless = False
    run()
    careless = True
    monkeypatch.setattr(upkeep.Upkeep, "_make_whole", lambda self, layout: None)
    assert _caught(run)


def test_a_build_that_repairs_from_what_it_did_not_check_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        place = Place(False)
        names = [name for name in _objects(place.stored["a"]) if "/segment/" in name and name[-20:].isdigit()]
        for name in names[2:5]:
            _damage(place.stored["a"], name)
            _damage(place.stored["b"], name)
        log = open_at(place.stored, place.clock)
        list(repair_log(log.sites, place.clock))
        place.check(_same)

    run()
    monkeypatch.setattr(repair, "check_segment", lambda *given: None)
    assert _caught(run)
