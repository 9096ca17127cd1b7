"""Where snapshots are kept: one file each, `<20-digit number>.json`, created once and never changed."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from headwater.core.clock import now_ms
from headwater.core.errors import RegistryError
from headwater.core.ids import new_id
from headwater.core.limits import STORAGE_LEFTOVER_AGE_S_MIN
from headwater.registry.snapshot import Draft, Snapshot, decode, numbered

_NAME = re.compile(r"(\d{20})\.json")


class SnapshotStore:
    """The snapshots of one data directory. Any number of processes may publish and read: the same content has one number.

    ``errors`` says which files the last `latest` passed over, and why. Raises RegistryError where the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.errors: tuple[str, ...] = ()
        self._published: tuple[Snapshot, os.stat_result] | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for unfinished in directory.glob(".unfinished-*"):
                # A young one is another process's, which is about to put it in its place.
                if now_ms() - unfinished.stat().st_mtime * 1000 > STORAGE_LEFTOVER_AGE_S_MIN * 1000:
                    unfinished.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # It was put in its place in this moment.
        except OSError as error:
            raise RegistryError(f"{directory}: cannot be used for snapshots: {error.strerror}") from None

    def publish(self, draft: Draft) -> Snapshot:
        """Stores the draft under the next number, fsynced. The same content as the latest gives the latest back.

        Raises RegistryError where it cannot be written; nothing is stored then.
        """
        latest, content_hash = self._known_latest() or self.latest(), draft.content_hash()
        if latest is not None and latest.hash == content_hash:
            return latest
        number = max(self.numbers(), default=0) + 1
        while True:
            snapshot = numbered(draft, number, now_ms(), content_hash)
            try:
                self._create(snapshot)
                self._published = snapshot, self._file(number).stat()
                return snapshot
            except FileExistsError:
                # Another process was faster, perhaps with the same content.
                latest, number = self.latest(), max(self.numbers(), default=number) + 1
                if latest is not None and latest.hash == content_hash:
                    return latest
            except OSError as error:
                raise RegistryError(f"snapshot {number} was not stored in {self.directory}: {error.strerror}") from None

    def _known_latest(self) -> Snapshot | None:
        """The snapshot that was published here last, if its file is the newest one still and untouched; reading it takes long."""
        if self._published is None:
            return None
        snapshot, written = self._published
        try:
            now = self._file(snapshot.number).stat()
        except OSError:
            return None
        untouched = (now.st_mtime_ns, now.st_size, now.st_ino) == (written.st_mtime_ns, written.st_size, written.st_ino)
        return snapshot if untouched and max(self.numbers()) == snapshot.number else None

    def latest(self) -> Snapshot | None:
        """The snapshot with the highest number that is intact; None where there is none. Sets ``errors``."""
        errors = []
        found = None
        for number in sorted(self.numbers(), reverse=True):
            try:
                found = self.get(number)
                break
            except RegistryError as error:
                errors.append(str(error))
        self.errors = tuple(errors)
        return found

    def get(self, number: int) -> Snapshot:
        """One snapshot. Raises RegistryError where there is none of that number, or its file is damaged."""
        file = self._file(number)
        try:
            snapshot = decode(file.read_bytes())
        except FileNotFoundError:
            raise RegistryError(f"there is no snapshot {number} in {self.directory}") from None
        except OSError as error:
            raise RegistryError(f"{file} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{file} is damaged and is not used: {error}") from None
        if snapshot.number != number:
            raise RegistryError(f"{file} is damaged and is not used: it says that it is number {snapshot.number}")
        return snapshot

    def numbers(self) -> list[int]:
        """The numbers that are taken, damaged files too."""
        return [int(match[1]) for file in self.directory.iterdir() if (match := _NAME.fullmatch(file.name))]

    def _file(self, number: int) -> Path:
        return self.directory / f"{number:020d}.json"

    def _create(self, snapshot: Snapshot) -> None:
        # A hard link appears whole or not at all, and never over a file that is there.
        unfinished = self.directory / f".unfinished-{new_id()}"
        try:
            with unfinished.open("xb") as file:
                file.write(snapshot.encode())
                file.flush()
                os.fsync(file.fileno())
            os.link(unfinished, self._file(snapshot.number))
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
