"""`headwater up` as a process: events in over HTTP, rows out in files, edits without a restart, a stop in order."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.registry.template import write_project

COMMAND = (sys.executable, "-c", "from headwater.cli.main import main; main()")


class Up:
    """A running `headwater up`."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.errors = directory.parent / "stderr"
        self.key = re.findall(r'write_keys = \["(wk_\w+)"', "".join(f.read_text() for f in (directory / "plan").glob("*.toml")))[
            0
        ]
        with self.errors.open("ab") as stderr:
            self.process = subprocess.Popen(
                (*COMMAND, "up", str(directory), "--port", "0", "--json", *options),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        self.ready = json.loads(line)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.ready["url"] + path, timeout=10) as answer:
            return json.load(answer)

    def status(self) -> dict[str, Any]:
        return self.get("/status.json")

    def report(self, *events: dict[str, Any]) -> Any:
        body = "".join(json.dumps(event) + "\n" for event in events).encode()
        basic = base64.b64encode(f"{self.key}:".encode()).decode()
        request = urllib.request.Request(self.ready["url"] + "/v1/events", body, {"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def rows(self, dataset: str) -> list[Any]:
        files = sorted((self.directory / "out" / dataset).glob("*.ndjson"))
        return [
            json.loads(line) for file in files for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
        ]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*options: str) -> Up:
        started.append(Up(project, *options))
        return started[-1]

    yield start
    for up in started:
        if up.process.poll() is None:
            up.process.kill()
        up.process.wait()


def until(condition: Callable[[], Any], what: Any = "it", seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.HTTPError):
            if found := condition():
                return found
        assert time.monotonic() < end, f"{what} never happened"
        time.sleep(0.05)


def like(number: int, **more: Any) -> dict[str, Any]:
    return {"event": "video_like", "user_id": f"u{number}", "properties": {"video_id": f"v{number}"}, **more}


def check_balances(status: dict[str, Any]) -> None:
    assert status["balances"]
    for hop in status["balances"]:
        assert hop["balanced"], hop
        assert hop["in"] == hop["out"] + hop["dropped"] + hop["dead"], hop


def test_events_come_out_as_rows(start: Callable[..., Up]) -> None:
    up = start()
    up.report(*(like(n) for n in range(5)), {"event": "order_paid", "properties": {"order_id": "o", "amount": 2.5}})
    until(lambda: len(up.rows("user_actions")) == 5 and len(up.rows("orders")) == 1)
    assert {row["item_id"] for row in up.rows("user_actions")} == {f"v{n}" for n in range(5)}
    assert up.rows("orders")[0]["currency"] == "EUR"
    status = until(lambda: (found := up.status())["deliver"]["orders"]["written"] == 1 and found)
    check_balances(status)
    assert status["errors"] == []
    assert status["collect"]["accepted"] == status["etl"]["unique"] == 6
    assert status["delay_ms"]["p99"] < 5000
    page = urllib.request.urlopen(up.ready["url"], timeout=10)
    assert page.headers["content-type"].startswith("text/html")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        up.get("/nothing")


def test_repeats_come_out_once_also_after_a_restart(start: Callable[..., Up]) -> None:
    up = start()
    events = [like(n, event_id=f"id-{n}") for n in range(4)]
    up.report(*events, events[0])
    up.report(*events)
    until(lambda: up.status()["etl"]["duplicates"] == 5)
    assert up.stop() == 0
    again = start()
    again.report(*events, like(9, event_id="id-9"))
    until(lambda: again.status()["etl"]["duplicates"] == 9)
    until(lambda: len(again.rows("user_actions")) == 5)
    status = again.status()
    check_balances(status)
    assert (status["etl"]["read"], status["etl"]["unique"]) == (14, 5)


def test_key_classes_share_the_work(project: Path, start: Callable[..., Up]) -> None:
    with (project / "headwater.toml").open("a") as settings:
        settings.write("[log]\nkey_classes = 4\n")
    up = start()
    events = [like(n, event_id=f"id-{n}") for n in range(200)]
    up.report(*events, *events[:50])
    up.report(*events[100:], {"event": "order_paid", "properties": {"order_id": "o", "amount": 2.5}})
    until(lambda: up.status()["etl"]["duplicates"] == 150)
    assert up.stop() == 0
    again = start()
    again.report(*events, like(200, event_id="id-200"))
    until(lambda: again.status()["etl"]["duplicates"] == 350)
    until(lambda: len(again.rows("user_actions")) == 201)
    assert sorted(row["item_id"] for row in again.rows("user_actions")) == sorted(f"v{n}" for n in range(201))
    status = again.status()
    check_balances(status)
    assert status["etl"]["classes"] == [0, 1, 2, 3]
    assert (status["etl"]["read"], status["etl"]["unique"], status["errors"]) == (552, 202, [])


def test_an_edited_rule_takes_effect_without_a_restart(project: Path, start: Callable[..., Up]) -> None:
    up = start()
    up.report(like(1))
    until(lambda: up.rows("user_actions"))
    rule = "-- rule: raw_likes\nINSERT INTO raw SELECT * FROM app_events WHERE event = 'video_like';\n"
    (project / "rules" / "raw.sql").write_text(rule)
    until(lambda: up.status()["snapshot"]["number"] == 2)
    up.report(like(2))
    until(lambda: up.rows("raw"))
    assert [row["user_id"] for row in up.rows("raw")] == ["u2"]
    assert up.process.poll() is None
    check_balances(up.status())


def test_a_broken_rule_leaves_the_last_good_snapshot_running(project: Path, start: Callable[..., Up]) -> None:
    up = start()
    good = (project / "rules" / "orders.sql").read_text()
    (project / "rules" / "orders.sql").write_text(good.replace("properties.amount", "properties.amuont"))
    errors = until(lambda: up.status()["errors"])
    assert "amuont" in errors[0]
    assert "did you mean" in errors[0]
    up.report({"event": "order_paid", "properties": {"order_id": "o1", "amount": 1}})
    until(lambda: len(up.rows("orders")) == 1)
    assert up.errors.read_text().count("did you mean") == 1, "an error is printed once"
    assert up.stop() == 0
    again = start()
    assert again.ready["snapshot"] == 1
    assert "amuont" in again.status()["errors"][0]
    (project / "headwater.toml").write_text("name = ")
    again.report({"event": "order_paid", "properties": {"order_id": "o2", "amount": 1}})
    until(lambda: len(again.rows("orders")) == 2)
    assert again.stop() == 0
    with_broken_settings = start()
    with_broken_settings.report({"event": "order_paid", "properties": {"order_id": "o3", "amount": 1}})
    until(lambda: len(with_broken_settings.rows("orders")) == 3)


def test_it_starts_from_nothing_with_a_clear_error(project: Path, tmp_path: Path) -> None:
    (project / "rules" / "orders.sql").write_text("INSERT INTO x SELECT nothing FROM app_events;")
    done = subprocess.run((*COMMAND, "up", str(project), "--port", "0"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "rules/orders.sql:1:22" in done.stderr
    done = subprocess.run((*COMMAND, "up", str(tmp_path / "none")), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "headwater.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_one_on_the_same_data_and_a_taken_port_are_said(project: Path, tmp_path: Path, start: Callable[..., Up]) -> None:
    up = start()
    done = subprocess.run((*COMMAND, "up", str(project), "--port", "0"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"in use by another `headwater up` (process {up.process.pid})" in done.stderr
    write_project(tmp_path / "other")
    command = (*COMMAND, "up", str(tmp_path / "other"), "--port", str(up.ready["port"]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{up.ready['port']}" in done.stderr
    assert up.status()["errors"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(start: Callable[..., Up], number: int) -> None:
    up = start()
    for first in range(0, 2000, 500):
        up.report(*(like(n) for n in range(first, first + 500)))
    assert up.stop(number) == 0
    assert len(up.rows("user_actions")) == 2000
    assert "Traceback" not in up.errors.read_text()


def test_a_second_signal_ends_it_at_once(start: Callable[..., Up]) -> None:
    up = start()
    with socket.create_connection(("127.0.0.1", up.ready["port"])) as connection:
        connection.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        up.report(like(1))
        up.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in up.errors.read_text())
        assert up.process.poll() is None, "a request is under way"
        began = time.monotonic()
        assert up.stop() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 2
    again = start()
    until(lambda: len(again.rows("user_actions")) == 1)


def test_it_is_idle_when_nothing_comes(start: Callable[..., Up]) -> None:
    up = start()
    up.report(like(1))
    until(lambda: up.rows("user_actions"))

    def cpu_s() -> float:
        fields = Path(f"/proc/{up.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before = cpu_s()
    time.sleep(2)
    assert cpu_s() - before < 0.2


UDF = """
import headwater

@headwater.udf
def score(amount: list[float]) -> list[float]:
    return [100 / each for each in amount]
"""
STUCK = """
import re

import headwater

@headwater.udf
def stuck(amount: list[float]) -> list[bool]:
    return [bool(re.match(r"(a+)+b", "a" * 60)) if each == 99 else True for each in amount]
"""
UDF_RULES = """
-- rule: scores
INSERT INTO scores SELECT event_id AS id, score(properties.amount) AS score FROM app_events WHERE event = 'order_paid';
-- rule: gates
INSERT INTO gates SELECT event_id AS id FROM app_events WHERE event = 'order_paid' AND stuck(properties.amount);
"""


@pytest.fixture
def with_functions(project: Path) -> Path:
    """The project with Python functions, one of which can run for ever where no Python runs."""
    (project / "headwater.toml").write_text((project / "headwater.toml").read_text() + "udf_batch_ms_max = 2000\n")
    (project / "udfs").mkdir()
    (project / "udfs" / "score.py").write_text(UDF)
    (project / "udfs" / "stuck.py").write_text(STUCK)
    (project / "rules" / "udfs.sql").write_text(UDF_RULES)
    return project


def paid(number: int, amount: float) -> dict[str, Any]:
    return {"event": "order_paid", "event_id": f"e{number}", "properties": {"order_id": f"o{number}", "amount": amount}}


def scores(up: Up) -> dict[str, float]:
    return {row["id"]: row["score"] for row in up.rows("scores")}


def letters(up: Up) -> list[dict[str, Any]]:
    return [row for row in up.rows("dead_letters") if row["reason"] == "rule_failed"]


def test_rows_dead_letters_edits_and_a_runaway(with_functions: Path, start: Callable[..., Up]) -> None:
    up, file = start(), with_functions / "udfs" / "score.py"
    up.report(paid(1, 4.0), paid(2, 0.0), paid(3, 5.0))
    until(lambda: scores(up) == {"e1": 25.0, "e3": 20.0} and letters(up), "the first rows")
    (letter,) = letters(up)
    assert (letter["rule"], letter["column"], letter["detail"]) == ("scores", "score", "udf score: ZeroDivisionError")
    assert letter["error"] == "ZeroDivisionError: float division by zero"
    status = up.status()
    assert status["etl"]["functions"]["score"]["rows"] >= 3
    shown = next(one for one in status["dead_letters"] if one.get("rule") == "scores")
    assert "error" not in shown

    file.write_text(UDF.replace("100 / each", "1000 / each"))
    until(lambda: up.status()["snapshot"]["number"] == 2, "the edit")
    up.report(paid(4, 4.0))
    until(lambda: scores(up).get("e4") == 250.0, "a row of the edited function")

    file.write_text("import no_such\n" + UDF)
    refused = until(lambda: up.status()["snapshot"]["refused"], "the refusal")
    assert "udfs/score.py:1:1: error: the file cannot be run: ModuleNotFoundError: No module named 'no_such'" in refused
    up.report(paid(5, 5.0))
    until(lambda: scores(up).get("e5") == 200.0, "a row of the last good function")
    file.write_text(UDF)
    until(lambda: up.status()["snapshot"]["refused"] is None, "the repair")

    up.report(paid(6, 99.0))
    status = until(lambda: (found := up.status())["etl"]["functions"]["stuck"]["disabled"] and found, "the runaway", 30)
    assert any("the function stuck is disabled: it took longer than 2000 ms" in error for error in status["errors"])
    until(lambda: "e6" in scores(up), "the other rule of that event")
    assert "e6" not in {row["id"] for row in up.rows("gates")}
    assert "the function stuck is disabled" in up.errors.read_text()
    (with_functions / "udfs" / "stuck.py").write_text(STUCK.replace("== 99", "== 98"))
    until(lambda: up.status()["etl"]["functions"]["stuck"]["disabled"] is None, "the repair of the runaway")
    up.report(paid(7, 99.0))
    until(lambda: "e7" in {row["id"] for row in up.rows("gates")}, "a row of the repaired function")
    status = up.status()
    check_balances(status)
    assert status["errors"] == []
    assert up.stop() == 0
    log = up.errors.read_text()
    assert "ZeroDivisionError" not in log
    assert json.dumps("e2") not in log


def test_a_restart_runs_the_functions_of_the_last_snapshot(with_functions: Path, start: Callable[..., Up]) -> None:
    assert start().stop() == 0
    (with_functions / "udfs" / "score.py").write_text("def\n")
    again = start()
    again.report(paid(1, 4.0))
    until(lambda: scores(again) == {"e1": 25.0}, "a row after the restart")
    assert "not Python" in again.status()["snapshot"]["refused"]
    assert again.stop() == 0
