"""Torn tails at every byte and flipped bits anywhere: cut where nothing is lost, else found out; wrong data never."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.core.errors import CorruptLog, LogError
from headwater.core.ids import seeded_random
from headwater.kernel import checksum
from headwater.log.shared import SharedLog
from headwater.testing.log_conformance import ids, read_all
from tests.faults.mutants import believe_records, keep_torn_tail
from tests.faults.world import World, catches, open_folder, opened_to_write, segments_of


def _killed_log(directory: Path, appends: int) -> tuple[World, list[int]]:
    """A log whose writer did not close it, and where its groups end in its last segment."""
    world = World()
    original = directory.with_name("original")
    writer = open_folder(original, segment_bytes_max=10**6).writer("s-0")
    ends = []
    for _ in range(appends):
        world.append(writer)
        ends.append(segments_of(original)[-1].stat().st_size)
    shutil.copytree(original, directory)
    return world, ends


def _recovers(directory: Path, world: World) -> None:
    """Opens, checks, appends, and opens again."""
    log = open_folder(directory)
    writer = log.writer("s-0")
    world.check(log)
    world.append(writer)
    world.check(log)
    log.close()
    log = open_folder(directory)
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
    path = segments_of(directory)[-1]
    whole = path.read_bytes()
    assert len(whole) == ends[-1]
    for size in range(ends[-2], ends[-1], step):
        shutil.rmtree(directory)
        shutil.copytree(directory.with_name("original"), directory)
        path.write_bytes(tear(whole, size))
        _recovers(directory, _without_last(world))


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size])


def test_a_tail_of_zeros_from_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size] + bytes(len(whole) - size + 5), step=3)


def test_a_tail_with_a_hole_at_any_byte_is_cut(tmp_path: Path) -> None:
    _torn_everywhere(tmp_path, lambda whole, size: whole[:size] + bytes(1 + whole[size]) + whole[size + 1 :], step=3)


def test_a_torn_tail_that_is_kept_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_torn_tail(monkeypatch)
    assert catches(lambda: _torn_everywhere(tmp_path, lambda whole, size: whole[:size]))


def _closed_log(directory: Path) -> World:
    """A log in several segments, some of it compressed, closed in order."""
    world = World()
    for _ in range(2):
        log = open_folder(directory, segment_bytes_max=2000)
        writer = log.writer("s-0")
        for _ in range(15):
            world.append(writer)
        log.close()
    assert len(segments_of(directory)) >= 7
    return world


def _taken_over(directory: Path) -> SharedLog:
    """A copy of the log, opened to write."""
    copy = directory.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    return opened_to_write(open_folder(copy))


def _flip_bits(directory: Path, world: World, flips: int, seed: int) -> int:
    """Flips one bit at a time, of any object; counts those that were found out. The others must have changed nothing."""
    random = seeded_random(seed)
    paths = sorted(each for each in directory.rglob("*") if each.is_file() and each.stat().st_size)
    assert {"base", "manifest"} < {name for path in paths for name in (path.name, path.parent.name)}
    sizes = [path.stat().st_size for path in paths]
    found = 0
    for _ in range(flips):
        path = random.choices(paths, sizes)[0]
        original = path.read_bytes()
        content = bytearray(original)
        bit = random.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        said = None
        try:
            # Where the closing mark is damaged, nothing tells readers that the group before it is there; writers look themselves.
            last = path == segments_of(directory)[-1] and bit // 8 >= original.rindex(b"\xf5HWL")
            log = _taken_over(directory) if last else open_folder(directory)
            world.check(log)
            said = path.name if any(view.damaged for view in map(log.view_of, log.shards())) else None
        except CorruptLog as e:
            said = str(e)
        except AssertionError:
            assert log.quarantine.records(), "nothing was found out, and something is missing"
            said = path.name
        finally:
            path.write_bytes(original)
        if said is not None:
            found += 1
            assert path.parent.name in said or path.name in said, (path, said)
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
    believe_records(monkeypatch)
    with pytest.raises((AssertionError, ValueError)) as caught:
        _flip_bits(tmp_path / "log", world, flips=1500, seed=1)
    assert not isinstance(caught.value, LogError)


def _read_all_that_can_be(log: SharedLog, topic: str) -> dict[int, int]:
    """Offset and id of each record that the log gives."""
    found: dict[int, int] = {}
    offset, end = 0, log.end_offset(topic, 0)
    while offset < end:
        fetch = log.read(topic, 0, offset, 200)
        found.update(enumerate(ids(fetch.data), fetch.first_offset))
        offset = fetch.next_offset
    return found


def _passed_over(directory: Path, step: int) -> int:
    """Damages every byte of the closed segments in turn, of a log on one site; how many records were passed over in all."""
    _closed_log(directory)
    whole = {topic: _read_all_that_can_be(open_folder(directory), topic) for topic in ("a", "b")}
    lost = 0
    full = [path for path in segments_of(directory) if path.stat().st_size > 1000]
    for path in full[:-1]:
        original = path.read_bytes()
        for at in range(int.from_bytes(original[8:12], "little"), len(original), step):
            path.write_bytes(original[:at] + bytes((original[at] ^ 0x10,)) + original[at + 1 :])
            log = open_folder(directory)
            for topic, all_of in whole.items():
                found = _read_all_that_can_be(log, topic)
                missing = len(all_of) - len(found)
                assert all(all_of[offset] == value for offset, value in found.items())
                assert missing == log.quarantine.records().get((topic, 0), 0), f"byte {at} of {path.name}: {missing} are missing"
                assert missing <= 4, f"byte {at} of {path.name}: {missing} records are passed over"
                assert _read_all_that_can_be(log, topic) == found
                assert missing == log.quarantine.records().get((topic, 0), 0), "what is read again is counted again"
                lost += missing
        path.write_bytes(original)
    return lost


def test_what_is_damaged_on_the_only_site_is_passed_over_and_counted(tmp_path: Path) -> None:
    assert _passed_over(tmp_path / "log", step=41) > 50


@pytest.mark.slow
def test_any_byte_that_is_damaged_on_the_only_site_is_passed_over_and_counted(tmp_path: Path) -> None:
    assert _passed_over(tmp_path / "log", step=1) > 2000


def test_records_that_are_passed_over_unchecked_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believe_records(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        _passed_over(tmp_path / "log", step=41)


def test_a_damaged_group_before_a_whole_one_is_no_torn_tail(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    _, ends = _killed_log(directory, appends=4)
    path = segments_of(directory)[-1]
    whole = path.read_bytes()
    for at in range(ends[0], ends[1], 7):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x20,)) + whole[at + 1 :])
        log = None
        try:
            log = open_folder(directory)
            found = [read_all(log, topic) for topic in ("a", "b")]
        except CorruptLog as e:
            found = [str(e)]
            if path.name in found[0] and "byte" in found[0]:
                continue
        except AssertionError:
            assert log is not None
            assert log.quarantine.records()
            continue
        raise AssertionError(f"byte {at} is damaged, and {found} is read")


def test_missing_segments_and_foreign_segments_are_named(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    world = _closed_log(directory)
    paths = [path for path in segments_of(directory) if path.stat().st_size > 1000]
    for change, words in (
        (lambda: paths[1].unlink(), "there is no such object"),
        (lambda: paths[1].write_bytes(b""), "byte 0"),
        (lambda: shutil.copy(paths[2], paths[1]), f"this is segment {int(paths[2].name)} of shard s-0"),
    ):
        original = paths[1].read_bytes()
        change()
        with pytest.raises(CorruptLog, match=words) as caught:
            world.check(open_folder(directory))
        assert paths[1].name in str(caught.value)
        paths[1].write_bytes(original)
    world.check(open_folder(directory))


def test_a_version_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    _, ends = _killed_log(directory, appends=2)
    path = segments_of(directory)[-1]
    whole = path.read_bytes()
    for at in (0, ends[0]):
        length = int.from_bytes(whole[at + 8 : at + 12], "little")
        header = bytearray(whole[at : at + length])
        header[4] = 200
        header[12:16] = checksum(bytes(header[16:]), checksum(bytes(header[:12]))).to_bytes(4, "little")
        path.write_bytes(whole[:at] + header + whole[at + length :])
        with pytest.raises(CorruptLog, match=f"{path.name}.*byte {at}: frame version 200 is not known"):
            open_folder(directory)
