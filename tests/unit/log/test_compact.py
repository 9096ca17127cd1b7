"""Compaction and retention: what is read stays the same, what is past its time goes, and nothing is deleted too early."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from headwater.core.clock import set_wall_clock
from headwater.core.errors import LogError
from headwater.log import commit, compact
from headwater.log.interface import AppendGroup
from headwater.log.layout import Layouts
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.log.upkeep import UpkeepSettings
from headwater.testing.log_conformance import batch, read_all
from headwater.testing.memory_storage import MemoryStorage
from tests.unit.log.keeping import GRACE_S, Clock, contents, fill, open_at, storages


@pytest.fixture(params=["folder", "objects"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Storage]:
    return storages(request.param, tmp_path)


def _segments(storage: Storage) -> int:
    admissions = storage.list("s-0/segment")
    return sum(name.isdigit() for each in admissions for name in storage.list(f"s-0/segment/{each.removesuffix('/')}"))


def _tidy(sites: dict[str, Storage], clock: Clock, force: bool = True) -> None:
    """One look, by a writer that was opened for it, and the one after the grace."""
    log = open_at(sites, clock)
    log.writer("s-0")
    log.keeper.step(force)
    clock.time_s += GRACE_S
    log.keeper.step()
    assert log.keeper.figures.failed == 0
    log.close()


def test_what_was_compacted_reads_as_before_on_each_site_alone(sites: dict[str, Storage]) -> None:
    log = open_at(sites)
    fill(log, 200)
    before = contents(log)
    log.close()
    many = _segments(sites["a"])
    _tidy(sites, Clock())
    assert _segments(sites["a"]) < many / 2
    for name in sites:
        again = open_at({name: sites[name], **{other: sites[other] for other in sites if other != name}}, first=name)
        assert again.view_of("s-0").layout.compacted
        assert contents(again) == before
        again.close()


def test_more_can_be_appended_and_compacted_again(sites: dict[str, Storage]) -> None:
    clock = Clock()
    for begin in range(0, 120, 30):
        log = open_at(sites)
        fill(log, 30, begin)
        before = contents(log)
        log.close()
        _tidy(sites, clock)
        again = open_at(sites, first="b")
        assert contents(again) == before
        for place, data in before.items():
            end = again.end_offset(*place)
            assert data
            assert again.start_offset(*place) == 0 < end
        again.close()


def test_nothing_is_deleted_before_the_grace_is_over(sites: dict[str, Storage]) -> None:
    log = open_at(sites)
    fill(log, 100)
    many = _segments(sites["a"])
    clock = Clock()
    keeping = open_at(sites, clock, first="b")
    keeping.writer("s-0")
    keeping.keeper.step(force=True)
    assert _segments(sites["a"]) >= many
    # A reader that did not look since goes on with what it knows.
    before = contents(log)
    clock.time_s += GRACE_S - 1
    keeping.keeper.step()
    assert _segments(sites["a"]) >= many
    assert contents(log) == before
    clock.time_s += 1
    keeping.keeper.step()
    assert _segments(sites["a"]) < many
    # And when they are gone, it looks anew.
    assert contents(log) == before
    for each in (log, keeping):
        each.close()


def test_what_is_past_its_time_goes_and_the_rest_stays(sites: dict[str, Storage]) -> None:
    clock = Clock()
    log = open_at(sites, clock)
    fill(log, 100)
    log.close()
    topics = TopicRegistry(log.sites, clock)
    topics.create("t", TopicSettings(retention_ms=100))
    set_wall_clock(lambda: 250 * 1_000_000)
    try:
        _tidy(sites, clock)
        log = open_at(sites)
        start = log.start_offset("t", 0)
        assert 0 < start <= 150
        assert log.start_offset("u", 0) == 0
        kept = contents(log)
        assert kept["t", 0]
        assert kept["u", 0]
        with pytest.raises(LogError, match=f"t/0 has no offset {start - 1} any more; valid are {start} to 300"):
            log.read("t", 0, start - 1, 100)
        assert log.read("t", 0, start, 100).first_offset == start
        fill(log, 20, 100)
        log.close()
        topics.create("u", TopicSettings(retention_ms=100))
        set_wall_clock(lambda: 10**6 * 1_000_000)
        clock.time_s += 10
        _tidy(sites, clock)
        _tidy(sites, clock)
        log = open_at(sites)
        assert not Layouts("s-0", log.sites, clock).read().compacted
        assert 300 <= log.start_offset("u", 0) <= log.end_offset("u", 0) == 360
        contents(log)
        assert not any(each for storage in sites.values() for each in storage.list("s-0/compacted"))
        log.close()
    finally:
        set_wall_clock(None)


def test_a_partition_keeps_its_last_bytes(sites: dict[str, Storage]) -> None:
    clock = Clock()
    log = open_at(sites, clock)
    topics = TopicRegistry(log.sites, clock)
    for topic in ("t", "u"):
        topics.create(topic, TopicSettings(retention_bytes=5000))
    starts = []
    for begin in range(0, 200, 40):
        fill(log, 40, begin)
        log.close()
        _tidy(sites, clock)
        log = open_at(sites, clock)
        starts.append(log.start_offset("t", 0))
        assert len(contents(log)["t", 0]) >= 5000
    log.close()
    assert starts == sorted(starts)
    assert starts[-1] > starts[0] == 0


def test_a_site_that_comes_back_gets_the_copies(tmp_path: Path) -> None:
    sites = storages("objects", tmp_path)
    clock = Clock()
    log = open_at(sites, clock)
    fill(log, 100)
    before = contents(log)
    log.close()
    _tidy(sites, clock)
    sites["b"] = storages("objects", tmp_path)["b"]
    log = open_at(sites, clock)
    writer = log.writer("s-0")
    assert writer.members == ("a", "c")
    assert writer.readmit(log.sites.storages[1])
    log.close()
    # The others burn down.
    alone = {"b": sites["b"], **{name: storages("objects", tmp_path)[name] for name in "ac"}}
    log = open_at(alone, first="b")
    view = log.view_of("s-0")
    assert view.layout.compacted
    assert contents(log) == before
    log.close()


def _back_at(sites: dict[str, Storage], patched: pytest.MonkeyPatch, module: object, name: str, tidies: bool) -> SharedLog:
    """Site b, erased, becomes a member again while a compaction is about to end, whichever of the two is faster."""
    sites["b"] = MemoryStorage("b", appends=False)
    log = open_at(sites, Clock())
    writer = log.writer("s-0")
    assert writer.members == ("a", "c")
    real = getattr(module, name)
    done: list[bool] = []

    def beside(*given: Any, **named: Any) -> Any:
        if done:
            return real(*given, **named)
        patched.setattr(module, name, real)
        if not tidies:
            done.append(writer.readmit(log.sites.storages[1]))
            return real(*given, **named)
        found = real(*given, **named)
        log.keeper.step(force=True)
        done.append(log.keeper.figures.compacted > 0)
        return found

    patched.setattr(module, name, beside)
    if tidies:
        assert writer.readmit(log.sites.storages[1])
    else:
        log.keeper.step(force=True)
    assert done == [True]
    assert writer.members == ("a", "c", "b")
    assert log.keeper.figures.failed == 0
    return log


@pytest.mark.parametrize(
    ("module", "name", "tidies"),
    [
        pytest.param(compact, "_complete", False, id="before the layout that names the copy is proposed"),
        pytest.param(commit, "encode_manifest", True, id="before the manifest that names the site is proposed"),
    ],
)
def test_a_site_that_comes_back_while_a_copy_is_made_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, tidies: bool
) -> None:
    sites = storages("objects", tmp_path)
    log = open_at(sites)
    fill(log, 100)
    before = contents(log)
    log.close()
    log = _back_at(sites, monkeypatch, module, name, tidies)
    log.close()
    alone = {"b": sites["b"], **{name: storages("objects", tmp_path)[name] for name in "ac"}}
    log = open_at(alone, first="b")
    assert log.view_of("s-0").layout.compacted
    assert contents(log) == before
    log.close()


def test_a_member_that_lacks_a_copy_does_not_hide_it_from_readers(sites: dict[str, Storage]) -> None:
    log = open_at(sites)
    fill(log, 100)
    before = contents(log)
    log.close()
    _tidy(sites, Clock())
    log = open_at(sites)
    for name in sites["a"].list("s-0/compacted"):
        sites["a"].delete(f"s-0/compacted/{name}")
    view = log.view_of("s-0")
    view.read_from([site for site in view.sites if site.name == "a"])
    assert contents(log) == before
    log.close()


def test_readers_read_on_while_all_is_compacted_and_deleted(sites: dict[str, Storage]) -> None:
    upkeep = UpkeepSettings(segments_min=1, source_bytes_min=1, grace_s=0.02, look_s=0.005, part_bytes_max=3000)
    log = open_log(sites, settings=LogSettings(first="a", segment_bytes_max=1500, flush_s=0.0, upkeep=upkeep))
    other = open_log(sites, settings=LogSettings(first="b", flush_s=0.0))
    stop, wrong, looks = threading.Event(), list[BaseException](), [0, 0]

    def reads(reader: SharedLog, which: int) -> None:
        try:
            while not stop.is_set():
                found = read_all(reader, "t", bytes_max=2000)
                assert found == list(range(len(found)))
                looks[which] += 1
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=reads, args=each) for each in ((log, 0), (other, 1))]
    for thread in threads:
        thread.start()
    writer = log.writer("s-0")
    number = 0
    while not wrong and number < 2000 and (log.keeper.figures.deleted < 20 or number < 200 or min(looks) < 3):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
        number += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert log.keeper.figures.compacted > 0
    assert log.keeper.figures.deleted > 0
    assert log.keeper.figures.failed == 0
    assert read_all(log, "t") == list(range(number))
    log.close()
    other.close()
