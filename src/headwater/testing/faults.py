"""File layers that fail: the real files with injected errors, and a simulated disk that loses power.

Both are `headwater.log.files.Files`. They are how durability is tested: killing a process does not lose what it wrote and did not
sync, losing power does.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from headwater.core.ids import seeded_random
from headwater.log.files import OsFiles

Survival = Literal["synced", "some", "all"]
_SECTOR = 64


def os_error(number: int) -> OSError:
    """The error that the operating system raises for that number."""
    return OSError(number, os.strerror(number))


class FaultyFiles(OsFiles):
    """The real files, with failures on order.

    ``space``: bytes that may still be written before ENOSPC; None for as many as there are. ``write_bytes_max``: what one write
    takes at most. ``calls`` counts operations by name.
    """

    def __init__(self) -> None:
        self.space: int | None = None
        self.write_bytes_max: int | None = None
        self.calls: Counter[str] = Counter()
        self.before_sync: Callable[[], None] | None = None
        self._failing: dict[str, list[int]] = {}

    def fail_next(self, operation: str, number: int, times: int = 1) -> None:
        """The next calls of that operation (the name of a method of `Files`) raise OSError with that errno."""
        self._failing.setdefault(operation, []).extend([number] * times)

    def _called(self, operation: str) -> None:
        self.calls[operation] += 1
        if self._failing.get(operation):
            raise os_error(self._failing[operation].pop(0))

    def create(self, path: Path) -> int:
        """See `Files`."""
        self._called("create")
        return super().create(path)

    def open(self, path: Path) -> int:
        """See `Files`."""
        self._called("open")
        return super().open(path)

    def open_to_write(self, path: Path) -> int:
        """See `Files`."""
        self._called("open_to_write")
        return super().open_to_write(path)

    def make_directory(self, path: Path) -> None:
        """See `Files`."""
        self._called("make_directory")
        super().make_directory(path)

    def list_entries(self, path: Path) -> list[tuple[str, bool]]:
        """See `Files`."""
        self._called("list_entries")
        return super().list_entries(path)

    def link(self, path: Path, name: Path) -> None:
        """See `Files`."""
        self._called("link")
        super().link(path, name)

    def pread(self, fd: int, count: int, at: int) -> bytes:
        """See `Files`."""
        self._called("pread")
        return super().pread(fd, count, at)

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        """See `Files`."""
        self._called("pwrite")
        count = len(data) if self.write_bytes_max is None else min(len(data), self.write_bytes_max)
        if self.space is not None:
            count = min(count, self.space)
            self.space -= count
            if not count:
                raise os_error(errno.ENOSPC)
        return super().pwrite(fd, memoryview(data)[:count], at)

    def sync(self, fd: int) -> None:
        """See `Files`."""
        if self.before_sync is not None:
            self.before_sync()
        self._called("sync")
        super().sync(fd)

    def sync_directory(self, path: Path) -> None:
        """See `Files`."""
        self._called("sync_directory")
        super().sync_directory(path)

    def remove(self, path: Path) -> None:
        """See `Files`."""
        self._called("remove")
        super().remove(path)


class PowerLost(BaseException):
    """The simulated machine is off. No ``except OSError`` catches it, as nothing catches the real thing."""


class _Node:
    """A file: what readers see, what the disk has, and the changes between the two, in order."""

    def __init__(self, content: bytes = b"") -> None:
        self.seen = bytearray(content)
        self.durable = bytes(content)
        self.changes: list[tuple[int, bytes]] = []
        self.links = 1
        self.modified_s = 0.0

    def change(self, at: int, data: bytes) -> None:
        _apply(self.seen, at, data)
        self.changes.append((at, data))

    def sync(self) -> None:
        # Not ``seen``: what a failed sync lost stays lost, though readers still see it.
        content = bytearray(self.durable)
        for at, data in self.changes:
            _apply(content, at, data)
        self.durable, self.changes = bytes(content), []


def _apply(content: bytearray, at: int, data: bytes) -> None:
    content.extend(b"\0" * (at - len(content)))
    content[at : at + len(data)] = data


class SimulatedFiles:
    """Files in memory that know what was synced. Everything is decided by the seed.

    ``lose_power_at``: the number of the operation (from 1) at which the power goes; it may or may not have taken effect.
    ``fail_sync_at``: numbers of operations at which, where they are syncs, EIO is raised; as on Linux, the bytes in question may
    be on disk or not, and later syncs do not try again. ``now_s``: the clock of the file system.
    """

    def __init__(self, seed: int = 0) -> None:
        self.operations = 0
        self.now_s = 0.0
        self.lose_power_at: int | None = None
        self.fail_sync_at: set[int] = set()
        self.failed_syncs = 0
        self._seed = seed
        self._random = seeded_random(seed)
        self._off = False
        self._seen: dict[Path, dict[str, _Node | None]] = {Path("/"): {}}  # None stands for a directory.
        self._durable: dict[Path, dict[str, _Node | None]] = {Path("/"): {}}
        self._open: dict[int, _Node] = {}
        self._next_fd = 1000
        self._guard = threading.RLock()

    @property
    def open_files(self) -> int:
        """Descriptors not closed yet."""
        return len(self._open)

    def after_power_loss(self, survival: Survival, seed: int) -> SimulatedFiles:
        """The disk as the next start finds it: of what was not synced, nothing, some sectors and names, or all is there."""
        after = SimulatedFiles(seed)
        after.now_s = self.now_s
        chance = {"synced": 0.0, "some": 0.5, "all": 1.0}[survival]

        def survives() -> bool:
            return self._random.random() < chance

        remaining: dict[int, _Node] = {}

        def copy(directory: Path) -> None:
            entries: dict[str, _Node | None] = {}
            before, now = self._durable.get(directory, {}), self._seen.get(directory, {})
            for name in sorted({*before, *now}):
                same = name in now and name in before and now[name] is before[name]
                source = now if same or (name in now and survives()) else before
                if name in before and name not in now and survives():
                    continue
                if name not in source:
                    continue
                node = source[name]
                if node is None:
                    entries[name] = None
                    copy(directory / name)
                    continue
                if id(node) not in remaining:
                    remaining[id(node)] = _Node(self._remains(node, survives))
                    remaining[id(node)].modified_s = node.modified_s
                    remaining[id(node)].links = 0
                entries[name] = remaining[id(node)]
                remaining[id(node)].links += 1
            after._seen[directory], after._durable[directory] = entries, dict(entries)

        copy(Path("/"))
        return after

    def _remains(self, node: _Node, survives: Callable[[], bool]) -> bytes:
        content = bytearray(node.durable)
        for at, data in node.changes:
            for start in range(0, len(data), _SECTOR):
                if survives():
                    _apply(content, at + start, data[start : start + _SECTOR])
        if len(content) < len(node.seen) and survives() and survives():
            content.extend(b"\0" * (len(node.seen) - len(content)))  # The length was written, the bytes were not.
        return bytes(content)

    def _step(self, effect: Callable[[], None] | None = None) -> None:
        """Counts an operation and lets it happen, unless the power is gone."""
        if self._off:
            raise PowerLost
        self.operations += 1
        if self.operations == self.lose_power_at:
            self._off = True
            if effect is not None and self._random.random() < 0.5:
                effect()
            raise PowerLost
        if effect is not None:
            effect()

    def _directory(self, path: Path) -> dict[str, _Node | None]:
        if path not in self._seen:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return self._seen[path]

    def _new_fd(self) -> int:
        self._next_fd += 1
        return self._next_fd

    def make_directory(self, path: Path) -> None:
        """See `Files`."""
        with self._guard:
            parent = self._directory(path.parent)

            def make() -> None:
                parent[path.name] = None
                self._seen[path] = {}

            if path.name not in parent:
                self._step(make)

    def list_entries(self, path: Path) -> list[tuple[str, bool]]:
        """See `Files`."""
        with self._guard:
            return [(name, node is None) for name, node in self._seen.get(path, {}).items()]

    def sync_directory(self, path: Path) -> None:
        """See `Files`."""
        with self._guard:
            entries = self._directory(path)
            self._step(lambda: self._durable.update({path: dict(entries)}))

    def create(self, path: Path) -> int:
        """See `Files`."""
        with self._guard:
            directory = self._directory(path.parent)
            if path.name in directory:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            node = _Node()
            node.modified_s = self.now_s
            self._step(lambda: directory.update({path.name: node}))
            fd = self._new_fd()
            self._open[fd] = node
            return fd

    def open(self, path: Path) -> int:
        """See `Files`."""
        with self._guard:
            if self._off:
                raise PowerLost
            node = self._directory(path.parent).get(path.name)
            if node is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            fd = self._new_fd()
            self._open[fd] = node
            return fd

    def open_to_write(self, path: Path) -> int:
        """See `Files`."""
        return self.open(path)

    def link(self, path: Path, name: Path) -> None:
        """See `Files`."""
        with self._guard:
            node = self._directory(path.parent).get(path.name)
            if node is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            directory = self._directory(name.parent)
            if name.name in directory:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))

            def link() -> None:
                directory[name.name] = node
                node.links += 1

            self._step(link)

    def size(self, fd: int) -> int:
        """See `Files`."""
        return len(self._open[fd].seen)

    def links(self, fd: int) -> int:
        """See `Files`."""
        return self._open[fd].links

    def modified_s(self, path: Path) -> float:
        """See `Files`."""
        with self._guard:
            node = self._directory(path.parent).get(path.name)
            if node is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            return node.modified_s

    def pread(self, fd: int, count: int, at: int) -> bytes:
        """See `Files`."""
        with self._guard:
            return bytes(self._open[fd].seen[at : at + count])

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        """See `Files`."""
        with self._guard:
            node = self._open[fd]
            self._step(lambda: node.change(at, bytes(data)))
            node.modified_s = self.now_s
            return len(data)

    def sync(self, fd: int) -> None:
        """See `Files`."""
        with self._guard:
            node = self._open[fd]
            if self.operations + 1 in self.fail_sync_at:
                self._step()
                self.failed_syncs += 1
                chance = self._random.choice((0.0, 0.5, 1.0))
                node.durable, node.changes = self._remains(node, lambda: self._random.random() < chance), []
                raise os_error(errno.EIO)
            self._step(node.sync)

    def close(self, fd: int) -> None:
        """See `Files`."""
        with self._guard:
            self._open.pop(fd, None)

    def remove(self, path: Path) -> None:
        """See `Files`."""
        with self._guard:
            directory = self._directory(path.parent)

            if path.name not in directory:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

            def remove() -> None:
                node = directory.pop(path.name)
                if node is not None:
                    node.links -= 1

            self._step(remove)
