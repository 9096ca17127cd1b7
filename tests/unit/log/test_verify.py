"""Verify finds every byte that is not as it was written and says where; repair brings it from a site that has it whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.log.repair import repair
from headwater.log.storage import Storage
from headwater.log.takeover import Sites
from headwater.log.verify import verify
from headwater.log.verify_ledgers import Finding
from headwater.testing.log_conformance import batch
from headwater.testing.memory_storage import MemoryStorage
from tests.unit.log.keeping import GRACE_S, Clock, contents, fill, open_at, storages


@pytest.fixture(params=["folder", "objects"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Storage]:
    """Three sites with compacted copies and segments behind them."""
    made = storages(request.param, tmp_path)
    clock = Clock()
    log = open_at(made, clock)
    fill(log, 70)
    log.writer("s-0")
    log.keeper.step(force=True)
    clock.time_s += GRACE_S
    log.keeper.step()
    log.close()
    log = open_at(made, clock)
    fill(log, 70, 70)
    log.close()
    return made


def _named(sites: dict[str, Storage]) -> Sites:
    return open_at(sites).sites


def _find(sites: dict[str, Storage]) -> list[Finding]:
    return list(verify(_named(sites), Clock()))


def _objects(storage: Storage, directory: str = "") -> list[str]:
    found = []
    for name in storage.list(directory):
        path = f"{directory}/{name}" if directory else name
        found += _objects(storage, path.removesuffix("/")) if name.endswith("/") else [path]
    return found


def _flip(storage: Storage, name: str, at: int) -> bytes:
    """Turns a bit of the byte, behind the storage's back; the object as it was."""
    before = storage.get(name)
    damaged = bytearray(before)
    damaged[at] ^= 1 << (at % 8)
    storage.delete(name)
    storage.put(name, bytes(damaged))
    return before


def _restore(storage: Storage, name: str, data: bytes) -> None:
    storage.delete(name)
    storage.put(name, data)


def test_a_log_that_is_whole_gives_nothing(sites: dict[str, Storage]) -> None:
    seen: list[str] = []
    assert list(verify(_named(sites), Clock(), lambda shard, name: seen.append(name))) == []
    assert any("/compacted/" in name for name in seen)
    assert any("/segment/" in name for name in seen)


def test_a_flipped_bit_is_found_in_every_object_and_repaired_from_another_site(sites: dict[str, Storage]) -> None:
    log = open_at(sites)
    before = contents(log)
    log.close()
    for name in _objects(sites["b"]):
        whole = sites["b"].get(name)
        if not whole:
            continue
        for at in sorted({0, 5, len(whole) // 3, len(whole) - 1}):
            _flip(sites["b"], name, at)
            found = _find(sites)
            assert any(finding.name == name for finding in found), f"{name}: byte {at} of {len(whole)} is not found: {found}"
            assert all(finding.site == "b" for finding in found)
            done = list(repair(_named(sites), Clock()))
            assert [each.finding for each in done] == found
            left = [each for each in done if not each.done]
            assert all(each.finding.kind == "tail" for each in left), left
            again = _find(sites)
            assert all(each.kind in ("tail", "base") for each in again), again
            _restore(sites["b"], name, whole)
    log = open_at(sites, first="b")
    assert contents(log) == before
    assert _find(sites) == []


def test_missing_objects_are_brought_back(sites: dict[str, Storage]) -> None:
    log = open_at(sites)
    before = contents(log)
    log.close()
    copies = [name for name in _objects(sites["b"]) if "/compacted/" in name]
    segments = [name for name in _objects(sites["b"]) if "/segment/" in name and b"fence\xc2" in sites["b"].get(name)[:600]]
    lost = {name: sites["b"].get(name) for name in [*copies, *segments[:-2]]}
    assert len(lost) > 10
    for name in lost:
        sites["b"].delete(name)
    assert {finding.name for finding in _find(sites)} == set(lost)
    dry = list(repair(_named(sites), Clock(), dry_run=True))
    assert len(dry) == len(lost)
    assert all(each.done for each in dry)
    assert not any(name in _objects(sites["b"]) for name in lost)
    assert all(each.done for each in repair(_named(sites), Clock()))
    assert {name: sites["b"].get(name)[: len(data)] for name, data in lost.items()} == {
        name: data[: len(sites["b"].get(name))] for name, data in lost.items()
    }
    assert _find(sites) == []
    alone = {"b": sites["b"], "a": MemoryStorage("a"), "c": MemoryStorage("c")}
    log = open_at(alone, first="b")
    assert contents(log) == before


def test_what_no_site_has_is_said_and_left(sites: dict[str, Storage]) -> None:
    name = next(name for name in _objects(sites["a"]) if "/compacted/" in name and not name.endswith("index"))
    for storage in sites.values():
        _flip(storage, name, 100)
    assert {(finding.site, finding.whole_at) for finding in _find(sites) if finding.name == name} == {
        (each, None) for each in "abc"
    }
    done = list(repair(_named(sites), Clock()))
    assert done
    assert not any(each.done for each in done)


def test_a_source_that_is_damaged_elsewhere_is_not_believed(sites: dict[str, Storage]) -> None:
    segments = [name for name in _objects(sites["a"]) if "/segment/" in name and b"fence\xc2" in sites["a"].get(name)[:600]]
    name = segments[3]
    size = len(sites["c"].get(name))
    whole = sites["c"].get(name)
    _flip(sites["a"], name, size - 3)
    _flip(sites["b"], name, size // 2)
    assert {each.finding.site for each in repair(_named(sites), Clock()) if each.done} == {"a", "b"}
    assert all(storage.get(name) == whole for storage in sites.values())


def test_batches_are_dense(sites: dict[str, Storage]) -> None:
    """The log that these tests damage holds what they think it does."""
    log = open_at(sites)
    assert log.end_offset("t", 0) == 420
    assert contents(log)["t", 0].startswith(batch("t", 0, 3).data)


def test_what_a_reader_finds_damaged_is_repaired_on_its_site(sites: dict[str, Storage]) -> None:
    log = open_at(sites, first="b")
    before = contents(log)
    log.close()
    names = [name for name in _objects(sites["b"]) if _holds_records(sites["b"], name)]
    lost = {name: sites["b"].get(name) for name in names[:9:2]}
    assert {"/compacted/" in name for name in lost} == {True, False}
    for at, (name, data) in enumerate(lost.items()):
        if at % 2:
            sites["b"].delete(name)
        else:
            _flip(sites["b"], name, len(data) - 180)
    log = open_at(sites, first="b")
    assert contents(log) == before
    log.keeper.step()
    assert log.keeper.figures.repaired == len(lost)
    assert {name: sites["b"].get(name)[: len(data)] for name, data in lost.items()} == lost
    assert _find(sites) == []
    log.close()


def _holds_records(storage: Storage, name: str) -> bool:
    if "/compacted/" in name:
        return not name.endswith("index")
    return "/segment/" in name and b"fence\xc2" in storage.get(name)[:600] and len(storage.get(name)) > 500


def test_the_last_segment_is_left_to_who_opens_the_shard(sites: dict[str, Storage]) -> None:
    names = [name for name in _objects(sites["b"]) if "/segment/" in name and b"fence\xc2" in sites["b"].get(name)[:600]]
    sites["b"].delete(names[-1])
    assert [finding.kind for finding in _find(sites)] == ["tail"]
    assert [each.done for each in repair(_named(sites), Clock())] == [False]
    log = open_at(sites)
    log.writer("s-0").close()
    log.close()
    assert [finding for finding in _find(sites) if finding.kind != "tail"] == []
