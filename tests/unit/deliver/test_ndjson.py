"""The NDJSON sink: the conformance suite, with and without unsynced writes lost, and what is its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.core.errors import SinkError
from headwater.core.record import Record, encode
from headwater.deliver import Checkpoint, NdjsonSink, SinkBatch
from headwater.testing.power_loss import PowerLoss
from headwater.testing.sink_conformance import SinkConformance


class TestKilled(SinkConformance):
    """Small files, so that crashes meet the change from one to the next."""

    def make_sink(self, directory: Path) -> NdjsonSink:
        return NdjsonSink(directory / "out", file_bytes_max=300)

    def read_rows(self, directory: Path) -> list[bytes]:
        return b"".join(path.read_bytes() for path in sorted((directory / "out").glob("*.ndjson"))).splitlines()


class TestPowerLoss(TestKilled):
    """The same where a crash drops all that was not synced."""

    @pytest.fixture(autouse=True)
    def _power(self) -> Iterator[None]:
        with PowerLoss() as self.power:
            yield

    def crash(self, directory: Path) -> None:
        if (directory / "out").exists():
            self.power.strike(directory / "out")


def test_a_file_that_is_taken_away_between_batches_is_not_begun_again(tmp_path: Path) -> None:
    sink = NdjsonSink(tmp_path / "out")
    sink.open(None)
    sink.write(SinkBatch(0, encode(Record(payload=b'{"row":1}')), 0, 1))
    checkpoint = sink.sync()
    (tmp_path / "out" / "00000000000000000000.ndjson").rename(tmp_path / "kept")
    second = SinkBatch(0, encode(Record(payload=b'{"row":2}')), 1, 2)
    with pytest.raises(SinkError, match="was taken away"):
        sink.write(second)
    sink.open(checkpoint)
    sink.write(second)
    assert NdjsonSink(tmp_path / "out").open(sink.sync()).rows == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00000000000000000001.ndjson"]


class NeverTakesBack(NdjsonSink):
    def _take_back(self) -> None:
        pass


class NeverSyncs(NdjsonSink):
    def sync(self) -> Checkpoint:
        return self._checkpoint()


class NeverSyncsItsDirectory(NdjsonSink):
    def _open_file(self) -> None:
        super()._open_file()
        self._created = False


class RollsWhileWriting(NdjsonSink):
    """Begins files that no checkpoint names yet."""

    def write(self, batch: SinkBatch) -> int:
        rows = super().write(batch)
        if self._length >= self._file_bytes_max:
            super().sync()
        return rows


MUTANTS = {
    NeverTakesBack: TestKilled,
    NeverSyncs: TestPowerLoss,
    NeverSyncsItsDirectory: TestPowerLoss,
    RollsWhileWriting: TestKilled,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_suite_catches(mutant: type[NdjsonSink], tmp_path: Path) -> None:
    suite = MUTANTS[mutant]()
    suite.make_sink = lambda directory: mutant(directory / "out", file_bytes_max=100)  # type: ignore[method-assign]
    with PowerLoss() as suite.power, pytest.raises((AssertionError, SinkError)):
        suite.test_killed_at_every_step(tmp_path)


def batch(first: int, count: int, size: int = 10) -> SinkBatch:
    records = b"".join(encode(Record(payload=b'{"n":%d,"t":"%s"}' % (first + i, b"x" * size))) for i in range(count))
    return SinkBatch(0, records, first, first + count)


def test_a_file_ends_at_its_size_and_is_not_touched_again(tmp_path: Path) -> None:
    sink = NdjsonSink(tmp_path / "clicks", file_bytes_max=100)
    sink.open(None)
    for first in range(0, 12, 3):
        sink.write(batch(first, 3, size=40))
        checkpoint = sink.sync()
    sink.close()
    names = [f"{n:020d}.ndjson" for n in range(4)]
    assert sorted(path.name for path in (tmp_path / "clicks").iterdir()) == names
    assert checkpoint == Checkpoint(next_offsets={0: 12}, rows=12, place={"file": 4, "length": 0})
    for name in names:
        assert (tmp_path / "clicks" / name).read_bytes().count(b"\n") == 3


def test_files_of_an_earlier_life_are_kept(tmp_path: Path) -> None:
    (tmp_path / f"{6:020d}.ndjson").write_bytes(b"{}\n")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    sink = NdjsonSink(tmp_path)
    assert sink.open(None).place == {"file": 7, "length": 0}
    assert (tmp_path / f"{6:020d}.ndjson").read_bytes() == b"{}\n"


def test_a_file_that_was_taken_away_is_left_alone(tmp_path: Path) -> None:
    sink = NdjsonSink(tmp_path)
    sink.open(None)
    sink.write(batch(0, 2))
    checkpoint = sink.sync()
    sink.close()
    (tmp_path / f"{0:020d}.ndjson").rename(tmp_path / "taken")
    checkpoint = sink.open(checkpoint)
    sink.write(batch(2, 1))
    sink.sync()
    sink.close()
    assert checkpoint.place == {"file": 1, "length": 0}
    assert (tmp_path / f"{1:020d}.ndjson").read_bytes() == b'{"n":2,"t":"xxxxxxxxxx"}\n'


def test_a_file_that_lost_bytes_is_said(tmp_path: Path) -> None:
    sink = NdjsonSink(tmp_path)
    sink.open(None)
    sink.write(batch(0, 2))
    checkpoint = sink.sync()
    sink.close()
    os.truncate(tmp_path / f"{0:020d}.ndjson", 10)
    with pytest.raises(SinkError, match="has 10 bytes, but 50 were synced"):
        sink.open(checkpoint)


def test_a_file_beyond_the_checkpoint_is_said(tmp_path: Path) -> None:
    (tmp_path / f"{3:020d}.ndjson").write_bytes(b"{}\n")
    with pytest.raises(SinkError, match="is newer than the checkpoint"):
        NdjsonSink(tmp_path).open(Checkpoint(place={"file": 2, "length": 0}))


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = NdjsonSink(tmp_path)
    saved = sink.open(None)
    write = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) > 30:
            return write(descriptor, data[:30])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(SinkError, match="No space left on device"):
            sink.write(batch(0, 5))
    assert sink.open(saved) == saved
    sink.write(batch(0, 5))
    sink.sync()
    sink.close()
    assert (tmp_path / f"{0:020d}.ndjson").read_bytes().count(b"\n") == 5


def test_records_that_are_no_records_are_refused(tmp_path: Path) -> None:
    sink = NdjsonSink(tmp_path)
    sink.open(None)
    with pytest.raises(ValueError, match="cut off"):
        sink.write(SinkBatch(0, b"abc", 0, 1))
