"""`headwater log` beside a running `headwater up`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.registry.template import write_project
from tests.e2e.test_up import COMMAND, Up, like, until


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    write_project(tmp_path / "shop")
    up = Up(tmp_path / "shop")
    yield up
    if up.process.poll() is None:
        up.process.kill()
    up.process.wait()


def _heed_interrupts() -> None:
    """Where tests run in the background, SIGINT may be ignored, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Tail:
    """A running `tail -f`, with the lines that it printed and when."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.out, self.errors = directory.parent / "tail.out", directory.parent / "tail.err"
        with self.out.open("wb") as out, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                (*COMMAND, "log", "tail", "-f", *options, "--json", "--project", str(directory)),
                stdout=out,
                stderr=errors,
                preexec_fn=_heed_interrupts,
            )

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


@pytest.fixture
def tail(up: Up) -> Iterator[Callable[..., Tail]]:
    started: list[Tail] = []

    def tail(*options: str) -> Tail:
        started.append(Tail(up.directory, *options))
        return started[-1]

    yield tail
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def log(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (*COMMAND, "log", *arguments, "--project", str(up.directory))
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_tail_shows_what_comes_within_a_second(up: Up, tail: Callable[..., Tail]) -> None:
    up.report(*(like(n) for n in range(20)))
    following = tail("app_events", "-n", "3", "--where", "event = 'video_like' AND properties.video_id <> 'v21'")
    until(lambda: len(following.rows()) == 3, "the last three")
    assert [row["payload"]["user_id"] for row in following.rows()] == ["u17", "u18", "u19"]
    delays = []
    for n in range(20, 25):
        up.report(like(n))
        began, count = time.monotonic(), len(following.rows()) + (n != 21)
        until(lambda count=count: len(following.rows()) == count, f"event {n}")
        delays.append(time.monotonic() - began)
    assert sorted(delays)[2] < 1, delays
    assert [row["payload"]["user_id"] for row in following.rows()[3:]] == ["u20", "u22", "u23", "u24"]
    assert (following.interrupt(), following.errors.read_text()) == (0, "")


def test_tail_waits_for_a_topic_and_sees_rows_of_rules(up: Up, tail: Callable[..., Tail]) -> None:
    following = tail("user_actions")
    until(lambda: "has no records yet" in following.errors.read_text(), "the wait")
    up.report(like(1))
    until(lambda: following.rows(), "the row")
    (row,) = following.rows()
    assert (row["payload"]["item_id"], row["rule"], row["origin"]["topic"]) == ("v1", "likes", "app_events")
    assert following.interrupt() == 0


def test_a_running_log_is_looked_at_without_disturbing_it(up: Up) -> None:
    up.report(*(like(n) for n in range(50)))
    until(lambda: len(up.rows("user_actions")) == 50)
    topics = {each["topic"]: each for each in json.loads(log(up, "topics", "--json").stdout)["topics"]}
    assert topics["app_events"]["records"] == topics["user_actions"]["records"] == 50
    assert len(log(up, "cat", "app_events", "--raw").stdout.splitlines()) == 50
    (group,) = json.loads(log(up, "groups", "--json").stdout)["groups"]
    assert (group["group"], group["units"][0]["lag"]) == ("etl", 0)
    done = log(up, "sites")
    assert (done.returncode, "collect-0" in done.stdout) == (0, True), done.stdout
    up.report(*(like(n) for n in range(50, 60)))
    until(lambda: len(up.rows("user_actions")) == 60)
    assert up.status()["errors"] == []
    assert up.stop() == 0
    assert "taken over" not in up.errors.read_text()


def test_ctrl_c_ends_what_reads_a_lot_with_130(up: Up, tmp_path: Path) -> None:
    for first in range(0, 20_000, 500):
        up.report(*(like(n) for n in range(first, first + 500)))
    process = subprocess.Popen(
        (*COMMAND, "log", "cat", "app_events", "--project", str(up.directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    assert process.stdout
    process.stdout.readline()  # The pipe is full now, and nobody reads on.
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_closes_the_pipe_is_no_error(up: Up) -> None:
    up.report(*(like(n) for n in range(3000)))
    command = " ".join(f"'{part}'" for part in (*COMMAND, "log", "cat", "app_events", "--project", str(up.directory)))
    done = subprocess.run(f"{command} | head -1", shell=True, capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
