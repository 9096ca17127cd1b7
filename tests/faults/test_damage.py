"""Torn tails at every byte and flipped bits anywhere: cut where nothing is lost, else found out; wrong data never."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.core.errors import CorruptLog, LogError
from headwater.core.ids import seeded_random
from headwater.kernel import checksum
from headwater.log import local
from headwater.log.local import LocalLog
from headwater.testing.log_conformance import read_all
from tests.faults.mutants import decode_unchecked, keep_torn_tail
from tests.faults.world import World, catches

SEGMENT = Path("s-0") / "segment"
NEW = f"{1:020}"


def _killed_log(directory: Path, appends: int) -> tuple[World, list[int]]:
    """A log whose writer did not close it, and where its groups end in its one segment."""
    world = World()
    log = LocalLog(directory.with_name("original"))
    writer = log.writer("s-0")
    ends = []
    for _ in range(appends):
        world.append(writer)
        ends.append((directory.with_name("original") / SEGMENT / f"{0:020}").stat().st_size)
    shutil.copytree(directory.with_name("original"), directory)
    log.close()
    return world, ends


def _recovers(directory: Path, world: World) -> None:
    """Opens, checks, appends, and opens again."""
    world.check(LocalLog(directory))
    log = LocalLog(directory)
    writer = log.writer("s-0")
    world.append(writer)
    world.check(log)
    log.close()
    log = LocalLog(directory)
    world.check(log)
    log.close()


def _without_last(world: World) -> World:
    """The same run, had the last append not returned."""
    other = World()
    other.acknowledged, other.unknown, other.next = world.acknowledged[:-1], {world.acknowledged[-1]}, world.next
    return other


def _torn_everywhere(tmp_path: Path, tear: Callable[[bytes, int], bytes], step: int = 1) -> None:
    directory = tmp_path / "log"
    world, ends = _killed_log(directory, appends=3)
    path = directory / SEGMENT / f"{0:020}"
    whole = path.read_bytes()
    assert len(whole) == ends[-1]
    for size in range(ends[-2], ends[-1], step):
        path.write_bytes(tear(whole, size))
        (path.parent / NEW).unlink(missing_ok=True)
        _recovers(directory, _without_last(world))


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size])


def test_a_tail_of_zeros_from_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size] + bytes(len(whole) - size + 5), step=3)


def test_a_tail_with_a_hole_at_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size] + bytes(1 + whole[size]) + whole[size + 1 :], step=3)


def test_a_torn_tail_that_is_kept_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "open_shard", keep_torn_tail)
    assert catches(lambda: _torn_everywhere(tmp_path, lambda whole, size: whole[:size]))


def test_a_segment_torn_at_birth_is_passed_over(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    world, _ = _killed_log(directory, appends=3)
    log = LocalLog(directory)
    world.append(log.writer("s-0"))
    newborn = (directory / SEGMENT / NEW).read_bytes()
    header = int.from_bytes(newborn[8:12], "little")
    log.close()
    for size in (0, 1, 31, 32, header - 1):
        for tail in (b"", bytes(500)):
            shutil.rmtree(directory)
            shutil.copytree(directory.with_name("original"), directory)
            (directory / SEGMENT / NEW).write_bytes(newborn[:size] + tail)
            closed = World()
            closed.acknowledged, closed.next = world.acknowledged[:3], world.next
            _recovers(directory, closed)
            assert sorted(path.name for path in (directory / SEGMENT).iterdir())[-1] == f"{2:020}"


def _closed_log(directory: Path) -> World:
    """A log in several segments, some of it compressed, closed in order."""
    world = World()
    for _ in range(2):
        log = LocalLog(directory, segment_bytes_max=3000)
        writer = log.writer("s-0")
        for _ in range(15):
            world.append(writer)
        log.close()
    assert len(list((directory / SEGMENT).iterdir())) >= 5
    return world


def _flip_bits(directory: Path, world: World, flips: int, seed: int) -> int:
    """Flips one bit at a time; counts those that were found out. The others must have changed nothing that is read."""
    random = seeded_random(seed)
    paths = sorted((directory / SEGMENT).iterdir())
    found = 0
    for _ in range(flips):
        path = random.choice(paths)
        content = bytearray(path.read_bytes())
        bit = random.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        original = path.read_bytes()
        path.write_bytes(content)
        said = None
        try:
            world.check(LocalLog(directory))
        except CorruptLog as e:
            said = str(e)
        finally:
            path.write_bytes(original)
        if said is not None:
            found += 1
            assert str(path.parent) in said, said
            assert "byte" in said, said
    return found


def test_a_flipped_bit_is_found_out_or_changes_nothing(tmp_path: Path) -> None:
    world = _closed_log(tmp_path / "log")
    assert _flip_bits(tmp_path / "log", world, flips=1500, seed=1) > 1350


@pytest.mark.slow
def test_many_flipped_bits_are_found_out_or_change_nothing(tmp_path: Path) -> None:
    world = _closed_log(tmp_path / "log")
    assert _flip_bits(tmp_path / "log", world, flips=100_000, seed=2) > 90_000


def test_unchecked_records_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = _closed_log(tmp_path / "log")
    monkeypatch.setattr(local, "decode_ranges", decode_unchecked)
    with pytest.raises((AssertionError, ValueError)) as caught:
        _flip_bits(tmp_path / "log", world, flips=1500, seed=1)
    assert not isinstance(caught.value, LogError)


def test_a_damaged_group_before_a_whole_one_is_no_torn_tail(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    _, ends = _killed_log(directory, appends=4)
    path = directory / SEGMENT / f"{0:020}"
    whole = path.read_bytes()
    for at in range(ends[0], ends[1], 7):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x20,)) + whole[at + 1 :])
        with pytest.raises(CorruptLog, match=f"{path.name}.*byte"):
            [read_all(log, topic) for log in (LocalLog(directory),) for topic in ("a", "b")]


def test_missing_files_and_foreign_files_are_named(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    _closed_log(directory)
    paths = sorted((directory / SEGMENT).iterdir())
    for change, words in (
        (lambda: paths[1].unlink(), "there is no such file"),
        (lambda: paths[1].write_bytes(b""), "byte 0"),
        (lambda: paths[1].write_bytes(paths[1].read_bytes()[:-40]), "it was durable up to byte"),
        (lambda: shutil.copy(paths[2], paths[1]), "this is segment 2 of shard s-0"),
    ):
        original = paths[1].read_bytes()
        change()
        with pytest.raises(CorruptLog, match=words) as caught:
            LocalLog(directory)
        assert paths[1].name in str(caught.value)
        paths[1].write_bytes(original)
    LocalLog(directory).close()


def test_a_version_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    _, ends = _killed_log(directory, appends=2)
    path = directory / SEGMENT / f"{0:020}"
    whole = path.read_bytes()
    for at in (0, ends[0]):
        length = int.from_bytes(whole[at + 8 : at + 12], "little")
        header = bytearray(whole[at : at + length])
        header[4] = 3
        header[12:16] = checksum(bytes(header[16:]), checksum(bytes(header[:12]))).to_bytes(4, "little")
        path.write_bytes(whole[:at] + header + whole[at + length :])
        with pytest.raises(CorruptLog, match=f"{path.name}.*byte {at}: frame version 3 is not known.* reads version 2"):
            LocalLog(directory)
