"""Key classes shared between processes, and what a log keeps of its project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.core import clock
from headwater.core.errors import ProjectError
from headwater.embedded.project_log import fix_key_classes, key_classes, number_of, open_log
from headwater.embedded.shares import Shares
from headwater.log.shared import SharedLog
from headwater.registry.log_settings import LogSettings

CLASSES = 8


class Recorder:
    """Notes what it owns, as `Workers` does."""

    def __init__(self) -> None:
        self.owned: frozenset[int] = frozenset()

    def assign(self, numbers: Iterable[int]) -> None:
        self.owned |= frozenset(numbers)

    def revoke(self, numbers: Iterable[int]) -> None:
        self.owned -= frozenset(numbers)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[list[SharedLog]]:
    """The same log, as two processes open it."""
    settings = LogSettings({"local": str(tmp_path / "log")}, "local")
    opened = [open_log(settings, name) for name in "ab"]
    yield opened
    for log in opened:
        log.close()


def member(log: SharedLog, name: str) -> tuple[Shares, Any]:
    recorder: Any = Recorder()
    return Shares(log, recorder, name, CLASSES), recorder


def settle(condition: Callable[[], bool], *members: Shares) -> None:
    end = clock.monotonic_s() + 20
    while not condition():
        assert clock.monotonic_s() < end, "the classes never moved"
        for one in members:
            one.look()
        time.sleep(0.05)


def test_classes_move_as_workers_come_and_go(logs: list[SharedLog]) -> None:
    (first, a), (second, b) = member(logs[0], "a"), member(logs[1], "b")
    first.look()
    assert a.owned == frozenset(range(CLASSES))
    settle(lambda: len(a.owned) == len(b.owned) == 4, first, second)
    assert len(a.owned | b.owned) == CLASSES
    a.revoke(a.owned)
    first.leave()
    settle(lambda: b.owned == frozenset(range(CLASSES)), second)
    second.leave()


def test_one_whose_name_another_took_gives_everything_up_and_ends(logs: list[SharedLog]) -> None:
    (first, a), (second, _) = member(logs[0], "same"), member(logs[1], "same")
    first.look()
    second.look()
    first.run()
    assert first.failed == "another worker runs under the name 'same'; choose one with --name"
    assert a.owned == frozenset()
    first.leave()
    second.look()
    second.leave()


def test_the_number_of_key_classes_is_fixed_with_the_log(logs: list[SharedLog]) -> None:
    assert key_classes(logs[0]) is None
    fix_key_classes(logs[0], 8)
    fix_key_classes(logs[1], 8)
    assert key_classes(logs[1]) == 8
    with pytest.raises(ProjectError, match=r"key_classes of \[log\] is 4, but this log was begun with 8, and keeps that"):
        fix_key_classes(logs[1], 4)


def test_collectors_are_numbered_by_name(logs: list[SharedLog]) -> None:
    assert [number_of(log, name) for log in logs for name in ("x", "y", "x")] == [0, 1, 0, 0, 1, 0]
