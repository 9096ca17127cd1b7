import asyncio
import gzip
import os

import pytest

from headwater.collect import body as module
from headwater.collect.answer import ProblemError
from headwater.collect.body import BodyError, DisconnectedError, read, unpack
from headwater.core.limits import REQUEST_BYTES_MAX, REQUEST_DECODED_BYTES_MAX


def received(*parts, headers=None, end=True):
    """Reads a body that arrives in parts; after them nothing comes any more."""
    events = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if end:
        events[-1]["more_body"] = False

    async def receive():
        if not events:
            await asyncio.Event().wait()
        return events.pop(0)

    return asyncio.run(read(receive, headers or {})), len(events)


def test_parts_are_joined():
    assert received(b"a") == (b"a", 0)
    assert received(b"a", b"", b"bc") == (b"abc", 0)


def test_a_body_that_is_too_large_is_refused_before_it_is_held():
    part = bytes(REQUEST_BYTES_MAX // 2)
    assert len(received(part, part)[0]) == REQUEST_BYTES_MAX
    for headers in ({}, {b"content-length": b"%d" % (REQUEST_BYTES_MAX + 1)}):
        with pytest.raises(ProblemError) as error:
            received(part, part, b"x", headers=headers)
        assert error.value.problem.status == 413
    # Not a byte is read where the client waits for leave to send, or announces what nobody would read.
    for headers in ({b"expect": b"100-Continue", b"content-length": b"99999999"}, {b"content-length": b"999999999999"}):
        with pytest.raises(ProblemError):
            received(headers=headers, end=False)


def test_a_slow_body_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "REQUEST_READ_S_MAX", 0.05)
    with pytest.raises(ProblemError) as error:
        received(b"a", end=False)
    assert (error.value.problem.status, error.value.problem.close) == (408, True)


def test_a_client_that_goes_away():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(DisconnectedError):
        asyncio.run(read(receive, {}))


def test_gzip():
    data = os.urandom(100_000) + bytes(100_000)
    assert unpack(gzip.compress(data)) == data
    assert unpack(gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b")) == b"ab"
    assert len(unpack(gzip.compress(bytes(REQUEST_DECODED_BYTES_MAX)))) == REQUEST_DECODED_BYTES_MAX


def test_gzip_that_is_none():
    good = gzip.compress(b"x" * 1000)
    wrong_sum = bytes([*good[:-8], good[-8] ^ 1, *good[-7:]])
    for bad in (b"", b"{}", b"x" * 1000, good[:-1], good[:-8], good[:12], good + b"junk", good * 65, wrong_sum):
        with pytest.raises(BodyError):
            unpack(bad)


def test_a_gzip_bomb_is_stopped_early():
    bomb = gzip.compress(bytes(4 * REQUEST_DECODED_BYTES_MAX))
    for body in (bomb, gzip.compress(bytes(REQUEST_DECODED_BYTES_MAX)) + gzip.compress(b"x")):
        with pytest.raises(ProblemError) as error:
            unpack(body)
        assert error.value.problem.status == 413
