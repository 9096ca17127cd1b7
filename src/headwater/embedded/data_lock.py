"""Which processes run on a data directory together."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from headwater.core.errors import DataInUse


class DataLock:
    """Held as long as the process lives, or until `release`. The file names the process that holds it alone, or held it last."""

    def __init__(self, data_dir: Path, part: str = "", shared: bool = False) -> None:
        """Locks ``<data_dir>/<part>.lock``, or ``<data_dir>/lock``; with ``shared``, together with others that do so.

        Raises DataInUse where another process has it, OSError where the directory cannot be made.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / (f"{part}.lock" if part else "lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._take(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            is_shared = not shared and self._take(fcntl.LOCK_SH)
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            by = f"another `headwater {part.partition('-')[0] or 'up'}` (process {holder})"
            if is_shared:
                by = "`headwater worker` or `headwater deliver`"
            raise DataInUse(f"{data_dir} is in use by {by}; stop it first")
        if not shared:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Gives it up."""
        os.close(self._descriptor)
