"""A folder whose machine stops or process is killed at every operation: what was acknowledged is there, nothing is in part."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest

from headwater.core.ids import seeded_random
from headwater.log.storage import StorageUnavailable
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import SimulatedFiles, Survival
from tests.faults.folder_mutants import (
    AppendsAfterFailedSync,
    AppendsWithoutSync,
    LinksBeforeSync,
    RenamingDisk,
    SyncsAppendsWithoutNames,
    SyncsNoDirectory,
    SyncsOneDirectory,
    TakenNamesAreNotSynced,
)
from tests.faults.folder_world import PATH, SECTORS, FolderWorld

ROOT = Path(__file__).parents[2]


def _lose_power_everywhere(
    kind: type[FolderStorage] = FolderStorage, disk: type[SimulatedFiles] = SimulatedFiles, seeds: int = 2
) -> None:
    whole = disk()
    FolderWorld().run(whole, kind)
    assert whole.operations > 40
    for at in range(1, whole.operations + 1):
        for survival in get_args(Survival):
            for seed in range(seeds if survival == "some" else 1):
                files, world = disk(seed), FolderWorld()
                files.lose_power_at = at
                world.run(files, kind)
                for again in range(2):
                    files = files.after_power_loss(survival, seed + again)
                    world.run(files, kind)
                world.check(kind(PATH, files))


def _lose_power_at_random(rounds: int, first_seed: int = 0, kind: type[FolderStorage] = FolderStorage) -> None:
    """Many losses on one disk, with failing syncs in between."""
    for seed in range(first_seed, first_seed + rounds):
        random = seeded_random(seed)
        files, world = SimulatedFiles(seed), FolderWorld()
        for turn in range(6):
            files.lose_power_at = random.randrange(5, 90)
            files.fail_sync_at = {random.randrange(1, 60)} if random.random() < 0.5 else set()
            with suppress(StorageUnavailable):
                world.run(files, kind)
            files = files.after_power_loss(random.choice(get_args(Survival)), seed * 100 + turn)
        world.check(kind(PATH, files))


def _caught(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return True
    return False


def test_power_loss_or_a_kill_at_every_operation() -> None:
    _lose_power_everywhere()


def test_power_losses_and_failing_syncs_at_random() -> None:
    _lose_power_at_random(rounds=60)


@pytest.mark.slow
def test_many_power_losses_and_failing_syncs_at_random() -> None:
    _lose_power_everywhere(seeds=30)
    _lose_power_at_random(rounds=3_000, first_seed=1000)


@pytest.mark.parametrize(
    "mutant", [LinksBeforeSync, SyncsNoDirectory, SyncsOneDirectory, AppendsWithoutSync, SyncsAppendsWithoutNames]
)
def test_a_broken_folder_is_caught_by_power_loss(mutant: type[FolderStorage]) -> None:
    assert _caught(lambda: _lose_power_everywhere(mutant))


def test_a_put_that_overwrites_is_caught() -> None:
    assert _caught(lambda: _lose_power_everywhere(disk=RenamingDisk))


class _Paused(BaseException):
    """The process stands still here."""


class _PausesBeforeDirectorySync:
    """The disk of another process, which goes no further than to the first sync of a directory that is there."""

    def __init__(self, files: SimulatedFiles) -> None:
        self._files = files
        self._paused = False

    def sync_directory(self, path: Path) -> None:
        self._paused = True
        raise _Paused

    def __getattr__(self, name: str) -> Any:
        if self._paused:
            raise _Paused
        return getattr(self._files, name)


def _believe_what_another_process_linked(kind: type[FolderStorage], believe: Callable[[FolderStorage], object]) -> None:
    disk = SimulatedFiles()
    storage = kind(PATH, disk)
    assert storage.put("s-0/manifest/1", b"before")
    with pytest.raises(_Paused):
        FolderStorage(PATH, _PausesBeforeDirectorySync(disk)).put("s-0/manifest/2", SECTORS)
    seen = believe(storage)
    after = FolderStorage(PATH, disk.after_power_loss("synced", 0))
    assert after.list("s-0/manifest") == ["1", "2"]
    assert after.get("s-0/manifest/2") == SECTORS
    assert seen in (False, SECTORS)


def _put_again(storage: FolderStorage) -> bool:
    return storage.put("s-0/manifest/2", b"mine")


def _get(storage: FolderStorage) -> bytes:
    return storage.get("s-0/manifest/2")


@pytest.mark.parametrize("believe", [_put_again, _get])
def test_what_was_believed_survives_though_who_put_it_never_synced_its_name(believe: Callable[[FolderStorage], object]) -> None:
    _believe_what_another_process_linked(FolderStorage, believe)
    assert _caught(lambda: _believe_what_another_process_linked(TakenNamesAreNotSynced, believe))


def _append_after_a_failed_sync(kind: type[FolderStorage]) -> None:
    """As on Linux, the system drops bytes whose sync failed, and calls the next sync a success."""
    for seed in range(20):
        disk = SimulatedFiles(seed)
        storage = kind(PATH, disk)
        storage.put("s-0/segment/1", b"head")
        storage.append("s-0/segment/1", 4, SECTORS)
        disk.fail_sync_at = {disk.operations + 2}
        with pytest.raises(StorageUnavailable, match="Input/output error"):
            storage.append("s-0/segment/1", 254, SECTORS)
        assert disk.failed_syncs == 1
        # A second storage of the process knows it as well: opening it anew heals nothing.
        for again in (storage, kind(PATH, disk)):
            try:
                again.append("s-0/segment/1", 504, b"")
            except StorageUnavailable:
                continue
            after = kind(PATH, disk.after_power_loss("synced", 0))
            assert after.get("s-0/segment/1") == b"head" + SECTORS * 2, "a sync was said to be done, and the bytes are gone"


def test_an_object_whose_sync_failed_is_not_appended_to_by_this_process() -> None:
    _append_after_a_failed_sync(FolderStorage)
    assert _caught(lambda: _append_after_a_failed_sync(AppendsAfterFailedSync))


_KILLED = """
import os, signal, sys
from pathlib import Path
from headwater.log.files import OsFiles
from headwater.log.stores.folder import FolderStorage

count = 0
class Killing(OsFiles):
    def __getattribute__(self, name):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getattribute__(name)

print(FolderStorage(Path(sys.argv[1]), Killing()).put("s-0/manifest/1", bytes(100_000)))
"""


def test_a_process_killed_at_every_operation_of_a_put_leaves_the_name_free_or_the_whole_object(tmp_path: Path) -> None:
    killed = found = 0
    for at in range(1, 100):
        folder = tmp_path / str(at)
        child = subprocess.run(
            [sys.executable, "-c", _KILLED, str(folder), str(at)], cwd=ROOT, capture_output=True, check=False, text=True
        )
        storage = FolderStorage(folder)
        listed = storage.list("s-0/manifest")
        if listed:
            found += 1
            assert listed == ["1"]
            assert storage.get("s-0/manifest/1") == bytes(100_000)
        if child.returncode == 0:
            assert (child.stdout, listed) == ("True\n", ["1"])
            break
        assert child.returncode == -signal.SIGKILL, child.stderr
        killed += 1
        assert storage.put("s-0/manifest/1", b"anew") is not bool(listed)
        assert storage.list("s-0/manifest") == ["1"]
    assert killed >= 10
    assert 2 <= found < killed
