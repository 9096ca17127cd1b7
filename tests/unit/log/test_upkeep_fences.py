"""A writer that was overtaken long ago, and all that it knew compacted and deleted, still acknowledges nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import CorruptLog, LogError, Overtaken
from headwater.log import commit, compact
from headwater.log.interface import AppendGroup
from headwater.log.layout import Compacted, Layout
from headwater.log.storage import Storage
from headwater.testing.log_conformance import batch
from tests.unit.log.keeping import GRACE_S, Clock, contents, fill, open_at, storages


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "CHECKPOINT_SEGMENTS_MAX", 3)


def _wakes_up_late(kind: str, directory: Path) -> LogError | None:
    """What the late writer is told; None where its append is acknowledged."""
    sites = storages(kind, directory)
    # A process of its own keeps files open of its own.
    late_sites: dict[str, Storage] = storages(kind, directory) if kind == "folder" else sites
    late = open_at(late_sites)
    writer = late.writer("s-0")
    for number in range(7):
        writer.append(AppendGroup(batches=(batch("t", number, 1),)))
    clock = Clock()
    for begin in (7, 20, 40):
        log = open_at(sites, clock)
        fill(log, 12, begin, topics=("t",))
        log.writer("s-0")
        log.keeper.step(force=True)
        clock.time_s += GRACE_S
        log.keeper.step()
        assert log.keeper.figures.deleted > 0
        log.close()
    log = open_at(sites, clock)
    before = contents(log)
    told: LogError | None = None
    try:
        writer.append(AppendGroup(batches=(batch("t", 999, 1),)))
    except LogError as e:
        told = e
    assert contents(open_at(sites, clock)) == before
    return told


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_it_is_told_that_it_was_overtaken(kind: str, tmp_path: Path) -> None:
    assert isinstance(_wakes_up_late(kind, tmp_path), Overtaken)


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_a_build_that_deletes_fences_is_caught(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = compact._complete

    def dooms_all(made: Compacted, starts_at: int, next_start: int, numbers: tuple[int, ...], layout: Layout) -> Layout | None:
        return complete(made, starts_at, next_start, tuple(range(next_start)), layout)

    monkeypatch.setattr(compact, "_complete", dooms_all)
    try:
        told = _wakes_up_late(kind, tmp_path)
    except (AssertionError, CorruptLog):
        return
    assert not isinstance(told, Overtaken)
