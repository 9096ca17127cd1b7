"""Objects as files of HDFS, by `hdfs-native`, which needs no Java.

A put writes a hidden file, syncs it to the disks of its data nodes (`hsync`), closes it and renames it; the name node refuses the
rename where the name is taken. There are no appends here, though HDFS has them: those are at
the end of a file, where an append of ours may begin before it; and a file that its writer left open is of a length that readers
do not agree on until its lease is recovered.
The directory must be replicated, not erasure-coded: those files have no `hsync`.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import re
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hdfs_native import AsyncClient, FileStatus, WriteOptions

from headwater.core.errors import LogError
from headwater.core.ids import new_id
from headwater.core.limits import STORAGE_DIRECTORIES_KNOWN_MAX, STORAGE_LEFTOVER_AGE_S_MIN, STORAGE_REQUEST_S_MAX
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable
from headwater.log.stores.names import check_directory, check_name, check_range, is_part

T = TypeVar("T")
_PARTIAL = ".partial"
_CLASS = re.compile(r'RPCError\("(?:[\w$]+\.)*([\w$]+)"')


class HdfsStorage:
    """A `Storage` in a directory of HDFS: `hdfs://host.example:8020/directory`; without a port, the name of a name service.

    ``options`` are Hadoop's, beside those of HADOOP_CONF_DIR. The library has no time limits of its own, so that whole calls have
    one here: ``request_s_max``.
    """

    appends = False

    def __init__(self, url: str, options: dict[str, str] | None = None, request_s_max: float = STORAGE_REQUEST_S_MAX) -> None:
        at = urlsplit(url)
        if at.scheme != "hdfs" or not at.hostname:
            raise LogError(
                f"no directory of HDFS: {at.scheme}://{at.hostname or ''}{at.path}; one is hdfs://host.example:8020/directory"
            )
        host = at.hostname if at.port is None else f"{at.hostname}:{at.port}"
        self._root = at.path.rstrip("/")
        self.name = f"hdfs://{host}{self._root}"
        self._client = AsyncClient(f"hdfs://{host}", options)
        self._request_s_max = request_s_max
        self._token = new_id()
        self._numbers = itertools.count()
        self._swept: set[str] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="hdfs", daemon=True).start()

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`."""
        check_name(name)
        try:
            return self._wait(name, self._put(f"{self._root}/{name}", data, sync))
        except ObjectMissing:
            # The hidden file: swept by somebody to whom it seemed left behind, or renamed by a try whose answer was lost.
            raise StorageUnavailable(f"{self.name}/{name}: whether it was put is not known") from None

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`. Raises LogError: there are none."""
        raise LogError(f"{self.name}: objects stay as they were put; nothing can be appended to {name}")

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        check_name(name)
        check_range(start, length)
        return self._wait(name, self._get(f"{self._root}/{name}", start, length))

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`. All of the directory is asked for; ``after`` saves nothing."""
        check_directory(directory)
        found = self._wait(directory, self._list(f"{self._root}/{directory}".rstrip("/") or "/"))
        parts = ((each.path.rpartition("/")[2], each.isdir) for each in found)
        names = (f"{part}/" if is_directory else part for part, is_directory in parts if is_part(part))
        return sorted(name for name in names if name > after)

    def delete(self, name: str) -> None:
        """See `Storage`."""
        check_name(name)
        with suppress(ObjectMissing):
            self._wait(name, self._client.delete(f"{self._root}/{name}"))

    def close(self) -> None:
        """Ends the thread that waits for answers. Nothing can be asked afterwards."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _put(self, path: str, data: bytes, sync: bool) -> bool:
        directory = path.rpartition("/")[0]
        temporary = f"{directory}/.{self._token}.{next(self._numbers)}{_PARTIAL}"
        writer = await self._client.create(temporary, WriteOptions(create_parent=True, overwrite=False))
        try:
            await writer.write(data)
            if sync and data:
                await writer.hsync()
            await writer.close()
            await self._sweep(directory, temporary)
            await self._client.rename(temporary, path, overwrite=False)
        except (OSError, RuntimeError, NotImplementedError) as e:
            with suppress(OSError, RuntimeError):  # One that stays is swept later.
                await self._client.delete(temporary)
            if isinstance(e, FileExistsError):
                return False
            raise
        return True

    async def _get(self, path: str, start: int, length: int | None) -> bytes:
        reader = await self._client.read(path)
        there = max(0, len(reader) - start)
        return bytes(await reader.read_range(start, there if length is None else min(length, there))) if there else b""

    async def _list(self, path: str) -> builtins.list[FileStatus]:
        try:
            return [each async for each in self._client.list_status(path) if each.path != path]
        except FileNotFoundError:
            return []

    async def _sweep(self, directory: str, temporary: str) -> None:
        """Removes what killed processes left, at the first put in a directory. Ages are by the clock of the name node."""
        if directory in self._swept:
            return
        found = [each for each in await self._list(directory) if each.path.endswith(_PARTIAL)]
        before_ms = min(each.modification_time for each in found if each.path == temporary) - STORAGE_LEFTOVER_AGE_S_MIN * 1000
        for each in found:
            if each.modification_time < before_ms:
                await self._client.delete(each.path)
        if len(self._swept) >= STORAGE_DIRECTORIES_KNOWN_MAX:
            self._swept.clear()
        self._swept.add(directory)

    def _wait(self, name: str, request: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, self._request_s_max), self._loop).result()
        except TimeoutError:
            raise StorageUnavailable(f"{self.name}/{name}: no answer within {self._request_s_max:g} s") from None
        except FileNotFoundError:
            raise ObjectMissing(f"{self.name}/{name}: there is no such object") from None
        except (OSError, RuntimeError, NotImplementedError) as e:
            found = _CLASS.search(str(e))
            what = found.group(1) if found else str(e).partition("\n")[0]
            kind = StorageFull if "QuotaExceeded" in what else StorageUnavailable
            raise kind(f"{self.name}/{name}: {what}") from None
