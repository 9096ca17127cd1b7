"""Open files of a folder: those appended to lately stay open, up to a limit."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from headwater.log.files import Files


class OpenFile:
    """A file open for writing. ``named``: its name was made durable through this very descriptor's first sync."""

    __slots__ = ("fd", "named")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.named = False


class Descriptors:
    """At most so many files open between uses; of more, those used longest ago are closed. Safe from several threads."""

    def __init__(self, files: Files, open_max: int) -> None:
        self._files = files
        self._open_max = open_max
        self._open: dict[Path, OpenFile] = {}
        self._guard = threading.Lock()

    def take(self, path: Path) -> OpenFile:
        """The file, for one use by one thread, which gives it back with `keep` or `discard`. Raises OSError."""
        with self._guard:
            file = self._open.pop(path, None)
        if file is not None and not self._files.links(file.fd):
            self.discard(file)  # Deleted by another process; there may be another object of that name.
            file = None
        return OpenFile(self._files.open_to_write(path)) if file is None else file

    def keep(self, path: Path, file: OpenFile) -> None:
        """Takes the file back, for the next use."""
        with self._guard:
            spare = [self._open.pop(path)] if path in self._open else []
            self._open[path] = file
            while len(self._open) > self._open_max:
                spare.append(self._open.pop(next(iter(self._open))))
        for other in spare:
            self.discard(other)

    def drop(self, path: Path) -> None:
        """Closes the file if it is open."""
        with self._guard:
            file = self._open.pop(path, None)
        if file is not None:
            self.discard(file)

    def close(self) -> None:
        """Closes all; they open again when they are asked for."""
        for path in list(self._open):
            self.drop(path)

    def discard(self, file: OpenFile) -> None:
        """Closes a file: one whose use raised, or that nobody will use."""
        with suppress(OSError):  # What counts was synced; the descriptor is gone in any case.
            self._files.close(file.fd)
