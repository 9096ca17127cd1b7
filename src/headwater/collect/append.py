"""Gathers what requests bring while the log writes, and appends it in one group: one fsync for all that waited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.core.limits import APPEND_PENDING_BYTES_MAX, APPEND_WAIT_S_MAX
from headwater.log.interface import AppendGroup, Batch, ShardWriter

_Waiting = tuple[Sequence[Batch], int, "asyncio.Future[None]"]


class Appender:
    """Appends batches to one shard for the requests of one event loop. Not thread-safe.

    A writer that was overtaken, or left in doubt, is closed, and the next append opens another one.
    """

    def __init__(self, open_writer: Callable[[], ShardWriter]) -> None:
        """Opens the shard. Raises what ``open_writer`` raises."""
        self._open = open_writer
        self._writer: ShardWriter | None = open_writer()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="append")
        self._waiting: list[_Waiting] = []
        self._pending_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Condition()

    async def append(self, batches: Sequence[Batch], size: int) -> None:
        """Returns when the batches, whose ``size`` was reserved, are durable. Raises what the writer raises: then nothing of them
        will ever be read, but where it is Overtaken or AppendInDoubt."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((batches, size, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await future

    async def check(self, name: str) -> None:
        """Returns when the log has taken an empty state of that name. Raises what the writer raises."""
        group = AppendGroup(state=((name, b""),))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._append, group)

    def close(self) -> None:
        """Waits for the append under way, and gives the shard up."""
        self._thread.shutdown()
        if self._writer is not None:
            self._writer.close()

    async def reserve(self, size: int) -> None:
        """Takes room for ``size`` bytes. Where APPEND_PENDING_BYTES_MAX wait already, waits for it.

        Raises LogUnavailable after APPEND_WAIT_S_MAX.
        """

        def fits() -> bool:
            return not self._pending_bytes or self._pending_bytes + size <= APPEND_PENDING_BYTES_MAX

        if not fits():
            try:
                async with self._room:
                    await asyncio.wait_for(self._room.wait_for(fits), APPEND_WAIT_S_MAX)
            except TimeoutError:
                raise LogUnavailable("the log is behind: too many bytes wait to be written") from None
        self._pending_bytes += size

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            taken, self._waiting = self._waiting, []
            error: BaseException | None = None
            try:
                await loop.run_in_executor(self._thread, self._append, _group(taken))
            except Exception as raised:
                error = raised
            for _, size, future in taken:
                self._pending_bytes -= size
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
            async with self._room:
                self._room.notify_all()
        self._task = None

    def _append(self, group: AppendGroup) -> None:
        if self._writer is None:
            self._writer = self._open()
        try:
            self._writer.append(group)
        except (Overtaken, AppendInDoubt):
            writer, self._writer = self._writer, None
            writer.close()
            raise


def _group(taken: list[_Waiting]) -> AppendGroup:
    merged: dict[tuple[str, int], list[Batch]] = {}
    for batches, _, _ in taken:
        for batch in batches:
            merged.setdefault((batch.topic, batch.partition), []).append(batch)
    return AppendGroup(
        batches=tuple(
            Batch(topic, partition, b"".join(batch.data for batch in parts), sum(batch.count for batch in parts))
            for (topic, partition), parts in merged.items()
        )
    )
