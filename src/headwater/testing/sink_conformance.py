"""What every sink has to do. Derive a test class from `SinkConformance` and say how to make the sink and read it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from headwater.core.record import Record, encode
from headwater.deliver.sink import Checkpoint, Sink, SinkBatch

Step = Callable[[], object]


class Crash(Exception):
    """The process is gone at this step."""


class _Driver:
    """Drives a sink as the deliverer does: open, save, then write, sync, save. Stops for good after ``steps_max`` steps."""

    def __init__(self, sink: Sink, saved: Checkpoint | None, batches: list[SinkBatch], steps_max: int | None) -> None:
        self.saved = saved
        self._sink = sink
        self._batches = batches
        self._steps_left = steps_max

    def run(self) -> None:
        opened = self._step(lambda: self._sink.open(self.saved))
        self._save(opened)
        for first, batch in enumerate(self._batches):
            if batch.first_offset >= self._next_offset(batch.partition):
                self._step(lambda batch=batch: self._sink.write(batch))  # type: ignore[misc]
            # Every third write has a sync of its own; so a crash also meets several writes since the last checkpoint.
            if first % 3 == 2 or first == len(self._batches) - 1:
                self._save(self._step(self._sink.sync))
        self._sink.close()

    def _next_offset(self, partition: int) -> int:
        return self.saved.next_offsets.get(partition, 0) if self.saved else 0

    def _save(self, checkpoint: object) -> None:
        assert isinstance(checkpoint, Checkpoint)
        # A crash may come before the checkpoint is saved and right after it.
        self._step(lambda: None)
        self.saved = checkpoint

    def _step(self, step: Step) -> object:
        if self._steps_left == 0:
            raise Crash
        if self._steps_left is not None:
            self._steps_left -= 1
        return step()


class SinkConformance:
    """Cases for pytest. ``tmp_path`` is a directory of the test's own."""

    def make_sink(self, directory: Path) -> Sink:
        """The sink, writing somewhere below ``directory``. Made anew for each run, as a new process does."""
        raise NotImplementedError

    def read_rows(self, directory: Path) -> list[bytes]:
        """Every row in the sink now, in order."""
        raise NotImplementedError

    def crash(self, directory: Path) -> None:
        """What a crash does besides ending the process; a suite may drop unsynced writes here."""

    def test_rows_come_out_once_and_in_order(self, tmp_path: Path) -> None:
        """Nothing goes wrong."""
        driver = _Driver(self.make_sink(tmp_path), None, list(_batches()), None)
        driver.run()
        self._check(tmp_path, driver.saved)

    def test_killed_at_every_step(self, tmp_path: Path) -> None:
        """A crash after each step in turn, then a run to the end."""
        for steps in range(1000):
            directory = tmp_path / f"after-{steps}"
            saved, crashed = self._run(directory, None, steps)
            final, _ = self._run(directory, saved, None)
            self._check(directory, final)
            if not crashed:
                return
        raise AssertionError("the run never ended")

    def test_killed_again_while_it_recovers(self, tmp_path: Path) -> None:
        """A second crash a few steps after the first."""
        for first in range(4, 14):
            for second in range(6):
                directory = tmp_path / f"after-{first}-{second}"
                saved, _ = self._run(directory, None, first)
                saved, _ = self._run(directory, saved, second)
                final, _ = self._run(directory, saved, None)
                self._check(directory, final)

    def test_goes_on_after_a_clean_end(self, tmp_path: Path) -> None:
        """Closed and opened again with its last checkpoint."""
        batches = list(_batches())
        first = _Driver(self.make_sink(tmp_path), None, batches[:3], None)
        first.run()
        second = _Driver(self.make_sink(tmp_path), first.saved, batches, None)
        second.run()
        self._check(tmp_path, second.saved)

    def test_opens_again_after_an_error(self, tmp_path: Path) -> None:
        """The deliverer opens the same sink again where a write or a sync failed."""
        sink = self.make_sink(tmp_path)
        saved = sink.open(None)
        batches = list(_batches())
        sink.write(batches[0])
        saved = sink.sync()
        sink.write(batches[1])
        sink.close()
        driver = _Driver(sink, saved, batches, None)
        driver.run()
        self._check(tmp_path, driver.saved)

    def test_refuses_what_came_already(self, tmp_path: Path) -> None:
        """A batch whose offsets the sink has is an error of its driver."""
        sink = self.make_sink(tmp_path)
        sink.open(None)
        batch = next(_batches())
        sink.write(batch)
        try:
            sink.write(batch)
        except ValueError:
            return
        finally:
            sink.close()
        raise AssertionError("a batch was taken twice")

    def _run(self, directory: Path, saved: Checkpoint | None, steps_max: int | None) -> tuple[Checkpoint | None, bool]:
        directory.mkdir(exist_ok=True)
        driver = _Driver(self.make_sink(directory), saved, list(_batches()), steps_max)
        try:
            driver.run()
        except Crash:
            self.crash(directory)
            return driver.saved, True
        return driver.saved, False

    def _check(self, directory: Path, final: Checkpoint | None) -> None:
        expected = [row for batch in _batches() for row in _rows(batch)]
        rows = self.read_rows(directory)
        assert sorted(rows) == sorted(expected), f"{directory.name}: {len(rows)} rows, expected {len(expected)}"
        for partition in (0, 1):
            of_partition = b'{"partition":%d,' % partition
            assert [r for r in rows if r.startswith(of_partition)] == [r for r in expected if r.startswith(of_partition)], "order"
        assert final is not None
        assert final.rows == len(expected)
        assert final.next_offsets == {0: 18, 1: 9}


def _rows(batch: SinkBatch) -> list[bytes]:
    offsets = range(batch.first_offset, batch.next_offset)
    return [b'{"partition":%d,"offset":%d,"text":"%s"}' % (batch.partition, offset, b"x" * (offset % 7)) for offset in offsets]


def _batches() -> Iterator[SinkBatch]:
    """Two partitions in turn, twice as much in the first; batches of three records."""
    next_offsets = [0, 0]
    for partition in (0, 1, 0) * 3:
        first = next_offsets[partition]
        next_offsets[partition] += 3
        empty = SinkBatch(partition, b"", first, first + 3)
        yield SinkBatch(partition, b"".join(encode(Record(payload=row, key="k")) for row in _rows(empty)), first, first + 3)
