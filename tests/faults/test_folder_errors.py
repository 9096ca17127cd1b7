"""A folder on a disk that is full or fails: what is refused leaves nothing, what follows works, and the errors say what was."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater.core.errors import HeadwaterError
from headwater.core.limits import STORAGE_FAILED_OBJECTS_MAX
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable
from headwater.log.stores import folder as folder_module
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import FaultyFiles, PowerLost, SimulatedFiles, os_error
from headwater.testing.storage_conformance import StorageConformance
from tests.faults.folder_mutants import RenamingFiles

NAME = "s-0/segment/1"


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """A fresh folder at each turn."""
    return (tmp_path / f"site{turn}" for turn in range(10_000))


def _files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_put_on_a_full_disk_leaves_nothing_and_its_name_is_free(folders: Iterator[Path]) -> None:
    data = bytes(1000)
    for space in range(0, 1000, 111):
        folder, files = next(folders), FaultyFiles()
        storage = FolderStorage(folder, files)
        files.space = space
        with pytest.raises(StorageFull, match=r"site\d+/s-0/segment/1: 1000 bytes could not be put: No space left"):
            storage.put(NAME, data)
        assert _files_in(folder) == []
        files.space = None
        assert storage.put(NAME, data) is True
        assert storage.get(NAME) == data


def test_an_append_on_a_full_disk_keeps_what_was_there_and_leaves_the_object_alone(folders: Iterator[Path]) -> None:
    for space in range(0, 1000, 111):
        folder, files = next(folders), FaultyFiles()
        storage = FolderStorage(folder, files)
        storage.put(NAME, b"head")
        storage.put("s-0/segment/2", b"")
        files.space = space
        with pytest.raises(StorageFull, match=r"1000 bytes at byte 4: No space left"):
            storage.append(NAME, 4, bytes(1000))
        assert storage.get(NAME) == b"head" + bytes(space)
        files.space = None
        with pytest.raises(StorageUnavailable, match=r"not appended to any more by this process, since a write failed: No space"):
            storage.append(NAME, 4, b"x")
        storage.append("s-0/segment/2", 0, b"another object is fine")
        # Another process may: it has no doubt about what it wrote.
        FolderStorage(folder, FaultyFiles()).append(NAME, 4, b"x")
        assert storage.get(NAME, 0, 5) == b"headx"


@pytest.mark.parametrize("operation", ["make_directory", "create", "pwrite", "sync", "link", "sync_directory", "remove"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_any_error_of_any_operation_of_a_put(folders: Iterator[Path], operation: str, number: int) -> None:
    folder, files = next(folders), FaultyFiles()
    storage = FolderStorage(folder, files)
    if operation != "make_directory":
        storage.put("s-0/segment/0", b"")
    files.fail_next(operation, number)
    caught: HeadwaterError | None = None
    try:
        storage.put(NAME, b"data")
    except StorageUnavailable as e:
        caught = e
    if operation == "remove":
        assert caught is None
        assert storage.list("s-0/segment") == ["0", "1"]
        return
    kept = operation == "sync_directory"
    full = number in (errno.ENOSPC, errno.EDQUOT) and not kept
    assert type(caught) is (StorageFull if full else StorageUnavailable)
    assert [name for name in _files_in(folder) if name != "s-0/segment/0"] == ([NAME] if kept else [])
    assert storage.put(NAME, b"data") is not kept
    assert storage.get(NAME) == b"data"


@pytest.mark.parametrize("operation", ["pwrite", "sync", "sync_directory"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_any_error_of_a_write_or_sync_ends_appends_to_that_object(folders: Iterator[Path], operation: str, number: int) -> None:
    folder, files = next(folders), FaultyFiles()
    storage = FolderStorage(folder, files)
    storage.put(NAME, b"head-and-more")
    files.fail_next(operation, number)
    with pytest.raises(StorageFull if number == errno.ENOSPC else StorageUnavailable):
        storage.append(NAME, 4, b"x")
    assert storage.get(NAME).startswith(b"head")
    opened = files.calls["open_to_write"]
    with pytest.raises(StorageUnavailable, match="not appended to any more"):
        storage.append(NAME, 4, b"x")
    assert files.calls["open_to_write"] == opened
    storage.delete(NAME)
    assert storage.put(NAME, b"a new object") is True
    storage.append(NAME, 12, b" of the same name")
    assert storage.get(NAME) == b"a new object of the same name"


def test_an_error_before_anything_was_written_is_no_reason_to_leave_the_object(folders: Iterator[Path]) -> None:
    files = FaultyFiles()
    storage = FolderStorage(next(folders), files)
    storage.put(NAME, b"head")
    files.fail_next("open_to_write", errno.EMFILE)
    with pytest.raises(StorageUnavailable, match="Too many open files"):
        storage.append(NAME, 4, b"x")
    storage.append(NAME, 4, b"x")
    assert storage.get(NAME) == b"headx"


def test_failing_objects_are_remembered_up_to_a_limit(folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "STORAGE_FAILED_OBJECTS_MAX", 3)
    assert STORAGE_FAILED_OBJECTS_MAX > 3
    files = FaultyFiles()
    storage = FolderStorage(next(folders), files)
    for number in range(4):
        storage.put(f"a/{number}", b"")
        if number < 3:
            files.fail_next("sync", errno.EIO)
            with pytest.raises(StorageUnavailable):
                storage.append(f"a/{number}", 0, b"x")
    with pytest.raises(StorageUnavailable, match="appends to 3 objects failed; none is appended to until a restart"):
        storage.append("a/3", 0, b"x")


@pytest.mark.parametrize("operation", ["open", "pread", "list_entries"])
def test_a_read_that_fails_says_so(folders: Iterator[Path], operation: str) -> None:
    files = FaultyFiles()
    storage = FolderStorage(next(folders), files)
    storage.put(NAME, b"data")
    reads: tuple[Callable[[], object], ...] = (lambda: storage.get(NAME), lambda: storage.list("s-0/segment"))
    files.fail_next(operation, errno.EIO)
    with pytest.raises(StorageUnavailable, match="Input/output error") as caught:
        reads[operation == "list_entries"]()
    assert caught.value.retryable
    assert reads[0]() == b"data"
    assert reads[1]() == ["1"]
    with pytest.raises(ObjectMissing):
        storage.get("s-0/segment/2")


@pytest.mark.parametrize("write_bytes_max", [1, 7, 100])
def test_short_writes_write_all(folders: Iterator[Path], write_bytes_max: int) -> None:
    files = FaultyFiles()
    files.write_bytes_max = write_bytes_max
    storage = FolderStorage(next(folders), files)
    data = bytes(range(250))
    assert storage.put(NAME, data)
    storage.append(NAME, 250, data)
    assert storage.get(NAME) == data * 2


def test_a_link_whose_answer_was_lost_on_the_network_is_known_for_our_own(folders: Iterator[Path]) -> None:
    class LosesAnswers(FaultyFiles):
        def link(self, path: Path, name: Path) -> None:
            super().link(path, name)
            raise os_error(errno.EEXIST)

    storage = FolderStorage(next(folders), LosesAnswers())
    assert storage.put(NAME, b"mine") is True


def test_open_files_are_bounded_and_given_back() -> None:
    disk = SimulatedFiles()
    storage = FolderStorage(Path("/site"), disk, open_files_max=3)
    for number in range(20):
        storage.put(f"a/{number}", b"0")
        storage.append(f"a/{number}", 1, b"1")
        storage.get(f"a/{number}")
        assert disk.open_files == min(number + 1, 3)
    storage.append("a/0", 2, b"2")
    assert disk.open_files == 3
    storage.delete("a/0")
    assert disk.open_files == 2
    disk.fail_sync_at = {disk.operations + 2}
    with pytest.raises(StorageUnavailable):
        storage.append("a/19", 2, b"2")
    assert disk.open_files == 1
    storage.close()
    assert disk.open_files == 0
    storage.append("a/1", 2, b"2")
    assert storage.get("a/1") == b"012"


def test_what_killed_processes_left_is_never_listed_and_swept_once_it_is_old(folders: Iterator[Path]) -> None:
    disk = SimulatedFiles()
    for number, now_s in ((1, 0.0), (2, 5000.0)):
        disk.now_s = now_s
        storage = FolderStorage(Path("/site"), disk, token=f"dead{number}")
        disk.lose_power_at = disk.operations + (7 if number == 1 else 2)
        with pytest.raises(PowerLost):
            storage.put(f"a/{number}", b"x")
        disk = disk.after_power_loss("all", 0)
    left = [".dead1.1.partial", ".dead2.0.partial"]
    assert sorted(name for name, _ in disk.list_entries(Path("/site/a"))) == left
    disk.now_s = 6000.0
    storage = FolderStorage(Path("/site"), disk, token="alive")
    assert storage.list("a") == []
    assert storage.put("a/1", b"y") is True
    assert sorted(name for name, _ in disk.list_entries(Path("/site/a"))) == [left[1], "1"]
    assert storage.list("a") == ["1"]


def test_a_put_whose_file_was_swept_is_refused_and_may_be_tried_again(folders: Iterator[Path]) -> None:
    folder = next(folders)

    class Swept(FaultyFiles):
        swept = False

        def link(self, path: Path, name: Path) -> None:
            if not self.swept:
                self.swept = True
                path.unlink()
            super().link(path, name)

    storage = FolderStorage(folder, Swept())
    with pytest.raises(StorageUnavailable, match="No such file"):
        storage.put(NAME, b"x")
    assert storage.put(NAME, b"x") is True


def test_a_put_that_renames_is_caught_by_the_conformance_suite(folders: Iterator[Path]) -> None:
    folder = next(folders)

    class Renaming(StorageConformance):
        rounds = 3

        def open(self) -> FolderStorage:
            return FolderStorage(folder, RenamingFiles())

    for check in (Renaming().test_an_object_is_put_once, _race(Renaming())):
        with pytest.raises(AssertionError):
            check()


def _race(suite: StorageConformance) -> Callable[[], None]:
    return suite.test_of_many_who_put_at_once_one_wins_and_all_see_its_bytes
