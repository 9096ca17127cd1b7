"""Files of JSON lines: `<directory>/<20-digit n>.ndjson`. A file below the highest number is complete and never touched again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import structlog

from headwater.core.errors import SinkError
from headwater.core.files import sync_directory, write_all
from headwater.core.limits import SINK_FILE_BYTES_MAX
from headwater.deliver.sink import Checkpoint, SinkBatch
from headwater.kernel import payload_lines

_NAME = re.compile(r"([0-9]{20})\.(?:ndjson|pb)")
_PROTOBUF = "protobuf"
_log = structlog.get_logger()


class NdjsonSink:
    """One dataset as files of JSON lines.

    Bytes past the checkpointed length of the checkpointed file are taken back when the sink opens. A file is begun only after a
    checkpoint that names it, so that no file beyond it can hold anything.
    """

    def __init__(self, directory: Path, file_bytes_max: int = SINK_FILE_BYTES_MAX) -> None:
        self.directory = directory
        self._file_bytes_max = file_bytes_max
        self._suffix = "ndjson"
        self._descriptor: int | None = None
        self._created = False
        self._number = 0
        self._length = 0
        self._rows = 0
        self._next_offsets: dict[int, int] = {}

    def open(self, checkpoint: Checkpoint | None) -> Checkpoint:
        """Truncates the current file to ``checkpoint``. Raises SinkError where it is shorter, or a newer file is there."""
        self.close()
        checkpoint = checkpoint or Checkpoint()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self.directory.parent)
            numbers = [int(match[1]) for entry in self.directory.iterdir() if (match := _NAME.fullmatch(entry.name))]
            last = max(numbers, default=-1)
            self._number = checkpoint.place.get("file", last + 1)
            self._length = checkpoint.place.get("length", 0)
            self._suffix = "pb" if checkpoint.place.get(_PROTOBUF) else "ndjson"
            if last > self._number:
                raise SinkError(
                    f"{self._path(last)} is newer than the checkpoint of the sink, which is at file {self._number}; move it away"
                )
            self._take_back()
            self._follow()
        except OSError as e:
            raise SinkError(f"cannot open the sink {self.directory}: {e.strerror}") from e
        self._rows = checkpoint.rows
        self._next_offsets = dict(checkpoint.next_offsets)
        return self._checkpoint()

    def write(self, batch: SinkBatch) -> int:
        """Appends the payloads. Raises SinkError where the file cannot be written; then only `open` helps."""
        expected = self._next_offsets.get(batch.partition, 0)
        if batch.first_offset < expected:
            raise ValueError(
                f"offset {batch.first_offset} of partition {batch.partition} came already; the sink is at {expected}"
            )
        lines, rows = payload_lines(batch.records)
        try:
            if self._descriptor is None:
                self._open_file()
            encoded = self._encoded(lines)
            write_all(self._open_descriptor(), encoded)
        except OSError as e:
            raise SinkError(f"cannot write {self._path(self._number)}: {e.strerror}") from e
        self._length += len(encoded)
        self._rows += rows
        self._next_offsets[batch.partition] = batch.next_offset
        return rows

    def sync(self) -> Checkpoint:
        """Syncs the file, and the directory of a new one, and closes it until the next `write`. One that is large enough ends."""
        try:
            if self._descriptor is not None:
                os.fdatasync(self._descriptor)
            if self._created:
                sync_directory(self.directory)
                self._created = False
        except OSError as e:
            raise SinkError(f"cannot sync {self._path(self._number)}: {e.strerror}") from e
        self.close()
        if self._length >= self._file_bytes_max:
            self._number += 1
            self._length = 0
        self._follow()
        return self._checkpoint()

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wanted_suffix(self) -> str:
        """What files are to be from now on."""
        return self._suffix

    def _encoded(self, lines: bytes) -> bytes:
        """The rows as the file holds them."""
        return lines

    def _follow(self) -> None:
        """Goes on in a file of another kind, where that is wanted; only before a checkpoint, which then names it."""
        wanted = self._wanted_suffix()
        if wanted != self._suffix:
            self._number += self._path(self._number).exists()
            self._suffix, self._length = wanted, 0

    def _checkpoint(self) -> Checkpoint:
        place = {"file": self._number, "length": self._length} | ({_PROTOBUF: 1} if self._suffix == "pb" else {})
        return Checkpoint(next_offsets=dict(self._next_offsets), rows=self._rows, place=place)

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:020d}.{self._suffix}"

    def _take_back(self) -> None:
        path = self._path(self._number)
        size = path.stat().st_size if path.exists() else None
        if size is None and self._length:
            _log.warning("the sink's current file was taken away; going on in a new one", file=str(path))
            self._number, self._length = self._number + 1, 0
        elif size is not None and size < self._length:
            raise SinkError(
                f"{path} has {size:,} bytes, but {self._length:,} were synced: it was changed or damaged; move it away to go on"
            )
        elif size is not None and size > self._length:
            os.truncate(path, self._length)

    def _open_file(self) -> None:
        path = self._path(self._number)
        self._created = not path.exists()
        if self._created and self._length:
            raise SinkError(f"{path} was taken away")
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise SinkError(f"{self._path(self._number)} is not open")
        return self._descriptor
