"""The files that a batch run writes: under temporary names until all of them are complete."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path

from headwater.core.errors import OutputError
from headwater.core.limits import BATCH_OUTPUT_BUFFER_BYTES

DEAD_LETTERS = "dead_letters"
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_PARTIAL = ".partial"


class OutputDirectory:
    """One NDJSON file a dataset, and dead_letters. `finish` puts them in place, `discard` leaves the directory as it was."""

    def __init__(self, directory: Path, datasets: tuple[str, ...], overwrite: bool = False) -> None:
        """Raises OutputError where the directory cannot be used or is not empty, or a name cannot be a file's."""
        for name in datasets:
            if not _FILE_NAME.fullmatch(name) or name == DEAD_LETTERS:
                raise OutputError(
                    f"the dataset {name!r} cannot be a file; valid are letters, digits, _, . and -, and not {DEAD_LETTERS}"
                )
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(directory)
            present = [entry for entry in directory.iterdir() if not entry.name.endswith(_PARTIAL)]
        except OSError as e:
            raise OutputError(f"cannot use {directory} for output: {e.strerror}") from e
        if present and not overwrite:
            self.release()
            raise OutputError(f"{directory} is not empty: it holds {present[0].name}; name a new directory, or pass --overwrite")
        self._files = {name: _File(self.partial(f"{name}.ndjson")) for name in (*datasets, DEAD_LETTERS)}

    def partial(self, file_name: str) -> Path:
        """The temporary name of a file."""
        return self.directory / f".{file_name}{_PARTIAL}"

    def write(self, outputs: Mapping[str, bytes]) -> None:
        """Adds rows (whole lines) to datasets. Raises OutputError where they cannot be written."""
        for name, data in outputs.items():
            self._files[name].add(data)

    def flush(self) -> dict[str, Path]:
        """Writes out what is buffered; gives the temporary file of every dataset."""
        for file in self._files.values():
            file.flush()
        return {name: file.path for name, file in self._files.items()}

    def finish(self, files: Mapping[str, Path]) -> None:
        """Syncs the temporary files and renames them to the names given. Raises OutputError."""
        try:
            for path in files.values():
                _sync(path)
            for name, path in files.items():
                path.rename(self.directory / name)
            _sync(self.directory)
        except OSError as e:
            raise OutputError(f"cannot put the output in place in {self.directory}: {e.strerror}") from e
        self.release()

    def discard(self) -> None:
        """Removes the temporary files."""
        for path in self.directory.glob(f".*{_PARTIAL}"):
            path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets other runs have the directory, as the end of the process does."""
        os.close(self._lock)


class _File:
    """A file that is opened only to write a buffer's worth."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: list[bytes] = []
        self._held = 0
        self._started = False

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= BATCH_OUTPUT_BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        try:
            with self.path.open("ab" if self._started else "wb") as f:
                self._started = True
                f.writelines(self._parts)
        except OSError as e:
            raise OutputError(f"cannot write {self.path}: {e.strerror}") from e
        self._parts, self._held = [], 0


def _lock(directory: Path) -> int:
    """Holds the directory against other runs, whose temporary files have the same names, until the descriptor is closed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(f"another run is writing into {directory}; wait for it, or name another directory") from None
    return descriptor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
