"""One process for each data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from headwater.core.errors import DataInUse


class DataLock:
    """Held as long as the process lives, or until `release`. The file names the process that holds it."""

    def __init__(self, data_dir: Path) -> None:
        """Raises DataInUse where another process has the directory, OSError where it cannot be made."""
        data_dir.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise DataInUse(
                f"{data_dir} is in use by another `headwater up` (process {holder or 'unknown'}); stop it first"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Gives the directory up."""
        os.close(self._descriptor)
