"""Power is lost at every operation of a run: what was acknowledged is there, what was not is there whole or not at all."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest

from headwater.core.errors import AppendInDoubt, StorageUnavailable
from headwater.core.ids import seeded_random
from headwater.log.shared import SharedLog
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import PowerLost, SimulatedFiles, Survival
from tests.faults.mutants import (
    AppendsWithoutSync,
    MarksBeforeData,
    NoDirectorySync,
    SyncsAgainAfterFailedSync,
    WritesGroupsInHalves,
    believe_marks,
    stay_on_the_segment,
    with_writer,
)
from tests.faults.world import World, catches, open_folder, opened_to_write

PATH = Path("/var/lib/headwater/log")
SEGMENT_BYTES_MAX = 2500

Open = Callable[[SimulatedFiles], SharedLog]


def _open(files: SimulatedFiles, folder: type[FolderStorage] = FolderStorage) -> SharedLog:
    return open_folder(PATH, files, SEGMENT_BYTES_MAX, folder)


def _run(files: SimulatedFiles, world: World, open_log: Open, appends: int) -> None:
    """Opens the log, appends and closes it, as far as the power lasts. Every opening checks what is there."""
    try:
        log = open_log(files)
        writer = log.writer("s-0")
        world.check(log)
        for _ in range(appends):
            world.append(writer)
        log.close()
    except PowerLost:
        pass


def _lose_power_everywhere(open_log: Open, disk: type[SimulatedFiles] = SimulatedFiles, seeds: int = 2) -> None:
    whole = disk()
    _run(whole, World(), open_log, appends=9)
    assert whole.operations > 30
    for at in range(1, whole.operations + 1):
        for survival in get_args(Survival):
            for seed in range(seeds if survival == "some" else 1):
                _lose_power(open_log, disk(seed), at, survival, seed)


def _lose_power(open_log: Open, files: SimulatedFiles, at: int, survival: Survival, seed: int) -> None:
    world = World()
    files.lose_power_at = at
    _run(files, world, open_log, appends=9)
    for again in range(2):
        files = files.after_power_loss(survival, seed + again)
        _run(files, world, open_log, appends=2)
    world.check(opened_to_write(open_log(files)))


def _lose_power_at_random(open_log: Open, rounds: int, first_seed: int = 0) -> None:
    """Many losses on one disk, with failing syncs in between."""
    for seed in range(first_seed, first_seed + rounds):
        random = seeded_random(seed)
        files, world = SimulatedFiles(seed), World()
        for turn in range(6):
            files.lose_power_at = random.randrange(5, 60)
            # Far apart: where the segment that shuts a refused group out fails as well, the outcome is unknown.
            files.fail_sync_at = {random.randrange(1, 15), random.randrange(25, 40)} if random.random() < 0.7 else set()
            with suppress(StorageUnavailable, AppendInDoubt):  # It could not be opened, or goes on: the process starts again.
                _run(files, world, open_log, appends=8)
            files = files.after_power_loss(random.choice(get_args(Survival)), seed * 100 + turn)
        world.check(opened_to_write(open_log(files)))


def test_power_loss_at_every_operation() -> None:
    _lose_power_everywhere(_open)


def test_power_losses_and_failing_syncs_at_random() -> None:
    _lose_power_at_random(_open, rounds=60)


@pytest.mark.slow
def test_many_power_losses_and_failing_syncs_at_random() -> None:
    _lose_power_everywhere(_open, seeds=100)
    _lose_power_at_random(_open, rounds=3_000, first_seed=1000)


def test_an_acknowledgement_before_the_sync_is_caught_by_ten_cuts() -> None:
    assert catches(lambda: _lose_power_at_random(lambda files: _open(files, AppendsWithoutSync), rounds=10))


def test_a_group_in_halves_is_caught_by_power_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    with_writer(WritesGroupsInHalves)(monkeypatch)
    assert catches(lambda: _lose_power_everywhere(_open))


def test_a_missing_directory_sync_is_caught_by_power_loss() -> None:
    assert catches(lambda: _lose_power_everywhere(_open, NoDirectorySync))


def test_a_mark_before_its_data_is_caught_by_power_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    believe_marks(monkeypatch)
    assert catches(lambda: _lose_power_everywhere(lambda files: _open(files, MarksBeforeData)))


def test_a_second_sync_after_a_failed_one_is_caught() -> None:
    assert catches(lambda: _lose_power_at_random(lambda files: _open(files, SyncsAgainAfterFailedSync), rounds=60))


def test_staying_on_a_segment_whose_sync_failed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    stay_on_the_segment(monkeypatch)
    assert catches(lambda: _lose_power_at_random(_open, rounds=60))
