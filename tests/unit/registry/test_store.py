"""The store of snapshots: numbered, create-only, and never half written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.core.errors import RegistryError
from headwater.registry import store as store_module
from headwater.registry.snapshot import App, Draft, Snapshot
from headwater.registry.store import SnapshotStore


def draft(project: str = "shop") -> Draft:
    return Draft(project=project, source="app_events", apps=(App("a", "ann", "observe", ()),))


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "data" / "snapshots")
    assert store.latest() is None
    assert store.numbers() == []
    with pytest.raises(RegistryError, match="there is no snapshot 1 in "):
        store.get(1)


def test_publishing_numbers_from_one_and_stores(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first, second = store.publish(draft("a")), store.publish(draft("b"))
    assert (first.number, second.number) == (1, 2)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["00000000000000000001.json", "00000000000000000002.json"]
    assert SnapshotStore(tmp_path).latest() == second
    assert SnapshotStore(tmp_path).get(1) == first
    assert first.created_time > 0


def test_the_same_content_takes_no_new_number(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish(draft())
    assert store.publish(draft()) == first
    assert SnapshotStore(tmp_path).publish(draft()) == first
    assert len(list(tmp_path.iterdir())) == 1


def test_two_that_publish_at_once_have_one_number_for_the_same_and_two_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = SnapshotStore(tmp_path), SnapshotStore(tmp_path)
    create = SnapshotStore._create

    def publish(project: str, meanwhile: str) -> Snapshot:
        def late(store: SnapshotStore, snapshot: Snapshot) -> None:
            monkeypatch.setattr(SnapshotStore, "_create", create)
            second.publish(draft(meanwhile))
            create(store, snapshot)

        monkeypatch.setattr(SnapshotStore, "_create", late)
        return first.publish(draft(project))

    same = publish("a", meanwhile="a")
    assert (same.number, second.latest()) == (1, same)
    other = publish("b", meanwhile="c")
    assert (other.number, second.latest()) == (3, other)
    assert first.numbers() == [1, 2, 3]


def test_going_back_takes_a_new_number(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish(draft("a"))
    store.publish(draft("b"))
    third = store.publish(draft("a"))
    assert (third.number, third.hash) == (3, first.hash)


def test_a_damaged_file_is_passed_over_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first, second = store.publish(draft("a")), store.publish(draft("b"))
    file = tmp_path / f"{second.number:020d}.json"
    file.write_bytes(file.read_bytes().replace(b'"b"', b'"c"'))
    assert store.latest() == first
    assert len(store.errors) == 1
    assert "00000000000000000002.json is damaged and is not used: its content has the hash" in store.errors[0]
    assert store.publish(draft("d")).number == 3
    store.latest()
    assert store.errors == ()


def test_what_others_did_to_the_files_is_seen_when_publishing(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish(draft("a"))
    assert SnapshotStore(tmp_path).publish(draft("b")).number == 2
    assert store.publish(draft("a")).number == 3
    (tmp_path / f"{3:020d}.json").write_bytes(b"damaged")
    assert store.publish(draft("a")).number == 4
    (tmp_path / f"{4:020d}.json").unlink()
    (tmp_path / f"{3:020d}.json").unlink()
    assert store.publish(draft("a")).number == 3
    assert store.get(1) == first


def test_a_file_under_a_wrong_number_is_damaged(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.publish(draft())
    (tmp_path / f"{1:020d}.json").rename(tmp_path / f"{9:020d}.json")
    with pytest.raises(RegistryError, match="it says that it is number 1"):
        store.get(9)


def test_a_published_file_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = SnapshotStore(tmp_path), SnapshotStore(tmp_path)
    first = one.publish(draft("a"))
    # The other process looked before the first one published.
    monkeypatch.setattr(other, "numbers", lambda: [])
    assert other.publish(draft("b")).number == 2
    assert one.get(1) == first


def test_a_full_disk_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish(draft("a"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RegistryError, match=r"snapshot 2 was not stored in .*: No space left on device"):
        store.publish(draft("b"))
    monkeypatch.undo()
    assert store.latest() == first
    assert len(list(tmp_path.iterdir())) == 1


def test_it_is_on_the_disk_before_it_has_its_name_and_before_publish_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SnapshotStore(tmp_path)
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def recorded_fsync(file: int) -> None:
        steps.append("fsync directory" if os.path.isdir(f"/proc/self/fd/{file}") else "fsync file")  # noqa: PTH112
        fsync(file)

    def recorded_link(source: Path, target: Path) -> None:
        steps.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    store.publish(draft())
    assert steps == ["fsync file", "link", "fsync directory"]


@pytest.mark.parametrize("step", ["write", "fsync", "link", "unlink"])
def test_a_kill_while_publishing_leaves_the_old_or_the_new_one_whole(tmp_path: Path, step: str) -> None:
    code = """
import os, sys
from pathlib import Path
from headwater.registry import store
from headwater.registry.snapshot import Draft, Snapshot
s = store.SnapshotStore(Path(sys.argv[1]))
s.publish(Draft(project="a", source="app_events"))
def die(*_): os.kill(os.getpid(), 9)
step = sys.argv[2]
if step == "write":
    def half(snapshot):
        s.directory.joinpath(".unfinished-half").write_bytes(b'{"format": 1, "num')
        die()
    s._create = half
elif step == "unlink":
    Path.unlink = die
else:
    setattr(os, step, die)
s.publish(Draft(project="b", source="app_events"))
"""
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path), step], check=False)
    assert died.returncode == -9
    (unfinished,) = tmp_path.glob(".unfinished-*")
    assert SnapshotStore(tmp_path).errors == ()
    assert unfinished.exists(), "it may be that of another process that is at work"
    os.utime(unfinished, (0, 0))
    store = SnapshotStore(tmp_path)
    latest = store.latest()
    assert latest is not None
    assert latest.project == ("b" if step == "unlink" else "a")
    assert store.errors == ()
    assert not list(tmp_path.glob(".unfinished-*"))
    again = store.publish(draft("c"))
    assert again.number == latest.number + 1


def test_files_of_others_are_not_snapshots(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    (tmp_path / "1.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    assert store.latest() is None
    assert store.publish(draft()).number == 1


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="file/snapshots: cannot be used for snapshots: Not a directory"):
        SnapshotStore(tmp_path / "file" / "snapshots")


def test_the_name_of_a_file_sorts_as_its_number() -> None:
    assert store_module._NAME.fullmatch(f"{2**32 - 1:020d}.json")
