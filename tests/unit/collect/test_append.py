import asyncio
import threading

import pytest

from headwater.collect import append as module
from headwater.collect.append import Appender
from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.log.interface import Batch


class HeldWriter:
    """A writer that waits to be let go on, and keeps what it was given."""

    def __init__(self):
        self.groups = []
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.error = None
        self.closed = False

    def append(self, group):
        self.entered.release()
        assert self.go_on.acquire(timeout=20)
        if self.error:
            raise self.error
        self.groups.append(group.batches)
        return tuple(0 for _ in group.batches)

    def close(self):
        self.closed = True


def batch(data, topic="a"):
    return Batch(topic, 0, data, 1)


@pytest.fixture
def writer():
    return HeldWriter()


@pytest.fixture
def appender(writer):
    appender = Appender(lambda: writer)
    yield appender
    appender.close()


async def put(appender, *batches):
    size = sum(len(batch.data) for batch in batches)
    await appender.reserve(size)
    await appender.append(batches, size)


async def entered(writer):
    assert await asyncio.to_thread(writer.entered.acquire, timeout=20)


def test_what_waits_goes_in_one_group(appender, writer):
    async def run():
        first = asyncio.create_task(put(appender, batch(b"1")))
        await entered(writer)
        others = [asyncio.create_task(put(appender, batch(b"%d" % n), batch(b"x", "dead"))) for n in range(2, 5)]
        await asyncio.sleep(0)
        assert not first.done()
        writer.go_on.release(2)
        await asyncio.gather(first, *others)

    asyncio.run(run())
    assert writer.groups == [(batch(b"1"),), (Batch("a", 0, b"234", 3), Batch("dead", 0, b"xxx", 3))]


def test_a_failure_reaches_all_of_its_group_and_no_other(appender, writer):
    async def run():
        writer.error = LogUnavailable("full")
        tasks = [asyncio.create_task(put(appender, batch(b"%d" % n))) for n in range(3)]
        await entered(writer)
        writer.go_on.release()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in failed] == [LogUnavailable] * 3
        writer.error = None
        writer.go_on.release()
        await put(appender, batch(b"later"))

    asyncio.run(run())
    assert writer.groups == [(batch(b"later"),)]


def test_a_request_that_is_gone_harms_nobody(appender, writer):
    async def run():
        gone = asyncio.create_task(put(appender, batch(b"gone")))
        stays = asyncio.create_task(put(appender, batch(b"stays")))
        await entered(writer)
        gone.cancel()
        await asyncio.sleep(0)
        writer.go_on.release()
        await stays

    asyncio.run(run())
    assert writer.groups == [(Batch("a", 0, b"gonestays", 2),)]


def test_bytes_that_wait_are_bounded(appender, writer, monkeypatch):
    monkeypatch.setattr(module, "APPEND_PENDING_BYTES_MAX", 10)
    monkeypatch.setattr(module, "APPEND_WAIT_S_MAX", 0.05)

    async def run():
        # One that is larger than all room goes alone.
        first = asyncio.create_task(put(appender, batch(b"x" * 20)))
        await entered(writer)
        with pytest.raises(LogUnavailable):
            await put(appender, batch(b"y"))
        monkeypatch.setattr(module, "APPEND_WAIT_S_MAX", 20)
        patient = asyncio.create_task(put(appender, batch(b"z")))
        await asyncio.sleep(0)
        writer.go_on.release(2)
        await asyncio.gather(first, patient)

    asyncio.run(run())
    assert writer.groups == [(batch(b"x" * 20),), (batch(b"z"),)]


@pytest.mark.parametrize("error", [Overtaken, AppendInDoubt])
def test_a_writer_that_is_done_for_is_closed_and_the_next_append_has_another(error):
    opened = []

    def open_writer():
        if len(opened) == 1:
            opened.append(None)
            raise LogUnavailable("no site answers")
        opened.append(HeldWriter())
        opened[-1].go_on.release(10)
        return opened[-1]

    async def run(appender):
        opened[0].error = error("somebody else writes here")
        with pytest.raises(error):
            await put(appender, batch(b"1"))
        assert opened[0].closed
        with pytest.raises(LogUnavailable):
            await put(appender, batch(b"2"))
        await put(appender, batch(b"3"))
        await put(appender, batch(b"4"))

    appender = Appender(open_writer)
    asyncio.run(run(appender))
    appender.close()
    assert len(opened) == 3
    assert opened[2].groups == [(batch(b"3"),), (batch(b"4"),)]
    assert opened[2].closed
