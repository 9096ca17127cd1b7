"""Full disks, failing syncs and short writes: refused is never read, what follows works, and the log opens again."""

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.core.errors import AppendInDoubt, LogError, LogUnavailable
from headwater.core.limits import APPEND_GATHER_BYTES_MAX
from headwater.log import shard_writer
from headwater.log.interface import AppendGroup, ShardWriter
from headwater.log.shard_writer import SharedWriter
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import FaultyFiles
from headwater.testing.log_conformance import batch, read_all
from tests.faults.mutants import SyncsAgainAfterFailedSync, stay_on_the_segment, write_behind_torn_bytes
from tests.faults.world import World, catches, group_of, open_folder, opened_to_write, segments_of


@pytest.fixture
def directories(tmp_path: Path) -> Iterator[Path]:
    """A fresh directory at each turn."""
    return (tmp_path / f"log{turn}" for turn in range(10_000))


def _reopened(directory: Path, world: World) -> None:
    for _ in range(2):
        log = open_folder(directory)
        writer = log.writer("s-0")
        world.check(log)
        world.append(writer)
        world.check(log)
        log.close()
    world.check(open_folder(directory))


def _full_disk(directories: Iterator[Path], step: int = 37) -> None:
    """The disk is full after n bytes, for many n; then there is space again."""
    refusals = 0
    for space in range(0, 4000, step):
        directory, files, world = next(directories), FaultyFiles(), World()
        log = open_folder(directory, files)
        writer = log.writer("s-0")
        files.space = space
        for _ in range(8):
            world.append(writer)
            world.check(log)
        refusals += len(world.refused)
        files.space = None
        for _ in range(3):
            before = len(world.acknowledged)
            world.append(writer)
            assert len(world.acknowledged) == before + 1, "there is space again, and an append was refused"
        world.check(log)
        log.close()
        _reopened(directory, world)
    assert refusals > 50


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(directories: Iterator[Path]) -> None:
    _full_disk(directories)


def test_torn_bytes_left_in_place_are_caught(directories: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write_behind_torn_bytes(monkeypatch)
    assert catches(lambda: _full_disk(directories))


@pytest.mark.parametrize("operation", ["pwrite", "sync", "create", "sync_directory", "link"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_any_error_of_any_operation_loses_nothing(directories: Iterator[Path], operation: str, number: int, times: int) -> None:
    for turn in range(6):
        directory, files, world = next(directories), FaultyFiles(), World()
        log = open_folder(directory, files)
        writer = log.writer("s-0")
        for _ in range(turn):
            world.append(writer)
        files.fail_next(operation, number, times)
        for _ in range(12):
            world.append(writer)
        assert len(world.refused) <= times, world.refused
        world.check(log)
        log.close()
        _reopened(directory, world)


def _failed_sync(directory: Path, folder: type[FolderStorage] = FolderStorage) -> None:
    """The bytes of a group whose sync failed do not count; the same group does, written anew in the next segment."""
    files, world = FaultyFiles(), World()
    log = open_folder(directory, files, folder=folder)
    writer = log.writer("s-0")
    world.append(writer)
    path = segments_of(directory)[-1]
    before = path.stat().st_size
    files.fail_next("sync", errno.EIO)
    world.append(writer)
    assert path.stat().st_size > before
    content = path.read_bytes()
    for _ in range(3):
        world.append(writer)
    assert world.acknowledged == [1, 2, 3, 4, 5]
    assert path.read_bytes() == content, "a file whose sync failed was written again"
    world.check(log)
    log.close()
    _reopened(directory, world)


def test_a_group_whose_sync_failed_is_there_once_and_its_file_is_left(directories: Iterator[Path]) -> None:
    _failed_sync(next(directories))


def test_staying_on_a_file_whose_sync_failed_is_caught(directories: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stay_on_the_segment(monkeypatch)
    assert catches(lambda: _failed_sync(next(directories)))


def test_a_second_sync_after_a_failed_one_is_caught(directories: Iterator[Path]) -> None:
    assert catches(lambda: _failed_sync(next(directories), SyncsAgainAfterFailedSync))


def test_a_disk_that_stays_broken_leaves_an_append_in_doubt_and_the_log_opens_again(directories: Iterator[Path]) -> None:
    directory, files, world = next(directories), FaultyFiles(), World()
    writer = open_folder(directory, files).writer("s-0")
    world.append(writer)
    files.fail_next("sync", errno.EIO, times=100_000)
    for _ in range(2):
        with pytest.raises(AppendInDoubt, match="Input/output error"):
            world.append(writer)
    _reopened(directory, world)


def test_the_error_says_where_and_what(directories: Iterator[Path]) -> None:
    files = FaultyFiles()
    writer = open_folder(next(directories), files).writer("s-0")
    files.fail_next("create", errno.ENOSPC)
    with pytest.raises(LogUnavailable, match=r"shard s-0: segment 1: no space for \d+ bytes") as caught:
        writer.append(group_of(1))
    assert caught.value.retryable
    writer.append(group_of(1))
    files.space = 100
    with pytest.raises(LogUnavailable, match=r"shard s-0: segment \d: no space for \d+ bytes at byte \d+"):
        writer.append(group_of(2))
    writer.close()


@pytest.mark.parametrize("write_bytes_max", [1, 7, 100])
def test_short_writes_write_all(directories: Iterator[Path], write_bytes_max: int) -> None:
    directory, files, world = next(directories), FaultyFiles(), World()
    files.write_bytes_max = write_bytes_max
    log = open_folder(directory, files)
    writer = log.writer("s-0")
    for _ in range(6):
        world.append(writer)
    assert world.refused == set()
    world.check(log)
    log.close()
    _reopened(directory, world)


class _Gate:
    """Holds syncs back until it is opened."""

    def __init__(self, files: FaultyFiles) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        files.before_sync = self._wait

    def _wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(60)


def _append_in_threads(writer: ShardWriter, groups: list[AppendGroup], outcomes: list[object]) -> list[threading.Thread]:
    def appending(group: AppendGroup) -> None:
        try:
            outcomes.append(writer.append(group))
        except LogError as e:
            outcomes.append(e)

    threads = [threading.Thread(target=appending, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    return threads


def _until_waiting(writer: SharedWriter, appends: int) -> None:
    waited = threading.Event()
    for _ in range(6000):
        if len(writer._queue) >= appends:
            return
        waited.wait(0.01)
    raise AssertionError(f"{len(writer._queue)} appends wait, not {appends}")


def test_appends_that_wait_share_one_sync_and_none_returns_before_it(directories: Iterator[Path]) -> None:
    files = FaultyFiles()
    log = open_folder(next(directories), files, 10**7)
    writer = log.writer("s-0")
    writer.append(group_of(1))
    gate = _Gate(files)
    outcomes: list[object] = []
    before = files.calls["sync"]
    threads = _append_in_threads(writer, [group_of(2)], outcomes)
    assert gate.reached.wait(60)
    threads += _append_in_threads(writer, [group_of(number) for number in (3, 5, 6, 7, 8)], outcomes)
    _until_waiting(writer, 5)
    assert (outcomes, log.end_offset("a", 0)) == ([], 2)
    gate.opened.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert files.calls["sync"] - before == 2
    assert len(read_all(log, "a")) == 2 + 3 + 1 + 3 + 1 + 2 + 3
    log.close()


def test_a_failed_write_refuses_all_that_share_it_and_nobody_else(directories: Iterator[Path]) -> None:
    files = FaultyFiles()
    log = open_folder(next(directories), files, 10**7)
    writer = log.writer("s-0")
    writer.append(group_of(1))
    gate = _Gate(files)
    outcomes: list[object] = []
    threads = _append_in_threads(writer, [AppendGroup(batches=(batch("a", 0, 1),))], outcomes)
    assert gate.reached.wait(60)
    threads += _append_in_threads(writer, [AppendGroup(batches=(batch("a", 0, 2),)) for _ in range(3)], outcomes)
    _until_waiting(writer, 3)
    files.space = 0
    gate.opened.set()
    for thread in threads:
        thread.join()
    files.space = None
    assert [type(outcome) for outcome in outcomes].count(LogUnavailable) == 3
    assert log.end_offset("a", 0) == 3
    assert writer.append(AppendGroup(batches=(batch("a", 0, 2),))) == (3,)
    log.close()


def test_what_waits_is_bounded_and_one_write_takes_a_bounded_part(
    directories: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    big = AppendGroup(batches=(batch("a", 0, 1, payload_bytes=APPEND_GATHER_BYTES_MAX // 2 + 1),))
    monkeypatch.setattr(shard_writer, "APPEND_PENDING_BYTES_MAX", 2 * len(big.batches[0].data))
    files = FaultyFiles()
    log = open_folder(next(directories), files, 10**7)
    writer = log.writer("s-0")
    writer.append(group_of(1))
    gate = _Gate(files)
    outcomes: list[object] = []
    threads = _append_in_threads(writer, [big] * 6, outcomes)
    assert gate.reached.wait(60)
    _until_waiting(writer, 1)
    assert writer._pending_bytes <= shard_writer.APPEND_PENDING_BYTES_MAX
    assert len(writer._queue) == 1
    before = files.calls["sync"]
    gate.opened.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    # Two do not fit one write, so each has its own sync; the first one's was counted when it was asked for.
    assert files.calls["sync"] - before == 6
    log.close()


def test_closing_lets_appends_under_way_end(directories: Iterator[Path]) -> None:
    directory, files = next(directories), FaultyFiles()
    log = open_folder(directory, files)
    writer = log.writer("s-0")
    gate = _Gate(files)
    outcomes: list[object] = []
    threads = _append_in_threads(writer, [group_of(1)], outcomes)
    assert gate.reached.wait(60)
    threads += _append_in_threads(writer, [group_of(2), group_of(3)], outcomes)
    _until_waiting(writer, 2)
    closing = threading.Thread(target=log.close)
    closing.start()
    gate.opened.set()
    for thread in [*threads, closing]:
        thread.join()
    assert all(isinstance(outcome, tuple) for outcome in outcomes)
    assert len(read_all(opened_to_write(open_folder(directory)), "a")) == 6


def test_descriptors_do_not_grow_with_segments(directories: Iterator[Path]) -> None:
    directory = next(directories)
    log = open_folder(directory, segment_bytes_max=300)
    writer = log.writer("s-0")

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    writer.append(group_of(1))
    before = descriptors()
    for number in range(2, 60):
        writer.append(group_of(number))
    read_all(log, "a")
    assert len(segments_of(directory)) > 40
    assert descriptors() <= before
    log.close()
