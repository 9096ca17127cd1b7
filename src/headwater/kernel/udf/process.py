"""The process that functions run in: `python -m headwater.kernel.udf.process FD`. `host` starts it and speaks with it.

The first frame holds the functions; each further one is a call. A frame is its length in 8 bytes, then MessagePack.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Callable

import msgspec

from headwater.core.errors import UdfError
from headwater.core.udf import Signature, UdfSet
from headwater.kernel.udf.functions import Functions, all_failed

# So much after its caller would have ended it, a process whose caller is no more ends by itself.
_GRACE_S = 1.0


def main(descriptor: int) -> None:
    """Answers until the other end is closed."""
    # A signal to the whole group is the caller's to answer; it ends this process by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as connection:
        functions = _load(connection)
        while functions is not None and (frame := receive(connection.recv)) is not None:
            name, rows, columns, seconds = msgspec.msgpack.decode(frame)
            # The alarm ends the process whatever it is doing, also where no Python runs any more and nobody is left to kill it.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_S)
            try:
                answer = functions.call(name, rows, columns)
            except BaseException as error:
                answer = all_failed(f"{type(error).__name__}: the call could not be made")
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(connection, answer)


def _load(connection: socket.socket) -> Functions | None:
    frame = receive(connection.recv)
    if frame is None:
        return None
    stored = msgspec.msgpack.decode(frame)
    signal.setitimer(signal.ITIMER_REAL, stored["seconds"] + _GRACE_S)
    functions, error = None, None
    try:
        functions = Functions(UdfSet(stored["files"], tuple(map(Signature.from_json, stored["signatures"]))))
    except UdfError as refused:
        error = [refused.text, refused.file, refused.line]
    signal.setitimer(signal.ITIMER_REAL, 0)
    send(connection, msgspec.msgpack.encode(error))
    return functions


def send(connection: socket.socket, frame: bytes) -> None:
    """Sends one frame. Raises OSError."""
    connection.sendall(len(frame).to_bytes(8) + frame)


def receive(recv: Callable[[int], bytes]) -> bytes | None:
    """The next frame; None where there is no whole one any more. Raises what ``recv`` does."""
    head = _exactly(recv, 8)
    return None if head is None else _exactly(recv, int.from_bytes(head))


def _exactly(recv: Callable[[int], bytes], size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = recv(min(size - len(parts), 1024 * 1024))
        if not part:
            return None
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    with contextlib.suppress(ConnectionError):
        main(int(sys.argv[1]))
