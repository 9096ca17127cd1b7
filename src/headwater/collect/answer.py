"""Answers, and the one shape of errors: `{"error": {"code", "message", "detail"?}}`."""

from __future__ import annotations

from typing import Any

import msgspec

_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014c003b")


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer; ``content_type`` is what ``body`` is."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"


class Problem(msgspec.Struct, frozen=True):
    """Why a request failed as a whole. ``retry_after_s``: the same request may succeed after that many seconds.

    ``close``: the connection ends with the answer, since the rest of the body was not read.
    """

    status: int
    code: str
    message: str
    detail: str = ""
    retry_after_s: int | None = None
    close: bool = False

    def to_json(self) -> dict[str, Any]:
        """The value under `error`."""
        error = {"code": self.code, "message": self.message}
        return {**error, "detail": self.detail} if self.detail else error


class ProblemError(Exception):
    """Raised on the way through a request; becomes the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(problem: Problem) -> Answer:
    """The answer to a request that failed, in the one shape."""
    return answer_problem(problem, {"error": problem.to_json()})


def answer_problem(problem: Problem, body: dict[str, Any]) -> Answer:
    """The answer to a request that failed, with a body of the protocol's own."""
    headers: list[tuple[bytes, bytes]] = []
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", str(problem.retry_after_s).encode()))
    if problem.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="headwater"'))
    if problem.close:
        headers.append((b"connection", b"close"))
    return Answer(problem.status, msgspec.json.encode(body), tuple(headers))


def gif(status: int = 200) -> Answer:
    """An image of one transparent pixel, which nobody may keep: each time it is asked for is an event."""
    return Answer(status, _GIF, ((b"cache-control", b"no-store"),), b"image/gif")
