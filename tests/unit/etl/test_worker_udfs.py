"""The worker with rules that call Python functions: figures balance, and what is disabled stays so until its file changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest

from headwater.core.errors import LinkError
from headwater.etl.workers import Workers
from headwater.registry.snapshot import Snapshot
from headwater.rules import compile_sql, read_udfs
from headwater.testing.memory_log import MemoryLog

UDF = """
import headwater

@headwater.udf
def half(n: list[int]) -> list[float]:
    return [each / 2 if each != 13 else 1 / 0 for each in n]

@headwater.udf
def stuck(n: list[int]) -> list[bool]:
    while 99 in n:
        pass
    return [True] * len(n)
"""
RULES = """
-- rule: halves
INSERT INTO halves SELECT half(properties.n) AS half FROM app_events WHERE event = 'click' AND stuck(properties.n);
-- rule: clicks
INSERT INTO clicks SELECT properties.n AS n FROM app_events WHERE event = 'click';
"""


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def workers() -> Iterator[list[Workers]]:
    made: list[Workers] = []
    yield made
    for worker in made:
        worker.stop()
        worker.run()


def snapshot(stream: ModuleType, udf: str = UDF, rules: str = RULES, number: int = 1) -> Snapshot:
    base = stream.make_snapshot("", number)
    udfs, findings = read_udfs({"udfs/f.py": udf})
    compiled = compile_sql(rules, "rules.sql", base.sources, udfs)
    assert not findings
    assert not compiled.errors, compiled.errors
    return msgspec.structs.replace(base, rules=compiled.rules, datasets=compiled.datasets, udfs=udfs)


def work_off(worker: Workers) -> dict[str, Any]:
    while worker.work():
        pass
    figures = worker.figures()
    for rule in figures["rules"].values():
        assert rule["in"] == rule["matched"] + rule["not_matched"] + rule["failed"]
    return figures


def payloads(stream: ModuleType, log: MemoryLog, dataset: str, partition: int = 0) -> list[Any]:
    return [msgspec.json.decode(record.payload) for record in stream.records_of(log, dataset, partition)]


def test_functions_give_rows_and_dead_letters(stream: ModuleType, log: MemoryLog, workers: list[Workers]) -> None:
    stream.Source(log).report([stream.click(n) for n in (1, 13, 4)])
    workers.append(stream.one_worker(log, snapshot(stream)))
    figures = work_off(workers[0])
    assert payloads(stream, log, "halves") == [{"half": 0.5}, {"half": 2.0}]
    (letter,) = payloads(stream, log, "dead_letters", 1)
    assert {key: letter[key] for key in ("reason", "rule", "column", "detail", "error")} == {
        "reason": "rule_failed",
        "rule": "halves",
        "column": "half",
        "detail": "udf half: ZeroDivisionError",
        "error": "ZeroDivisionError: division by zero",
    }
    assert figures["errors"] == []
    assert (figures["functions"]["half"]["rows"], figures["functions"]["half"]["disabled"]) == (3, None)


def test_a_runaway_is_disabled_until_its_file_changes(stream: ModuleType, log: MemoryLog, workers: list[Workers]) -> None:
    source = stream.Source(log)
    worker = stream.one_worker(log, snapshot(stream), udf_batch_ms_max=1500)
    workers.append(worker)
    source.report([stream.click(99), stream.click(2)])
    figures = work_off(worker)
    why = "disabled: it took longer than 1500 ms for one batch"
    assert figures["errors"] == [f"the function stuck is {why}; it is called again when udfs/f.py changes, or after a restart"]
    assert figures["rules"]["halves"]["failed"] == 2
    assert [(one["detail"], one["error"]) for one in payloads(stream, log, "dead_letters", 1)] == [
        ("udf stuck: disabled", why)
    ] * 2
    assert len(payloads(stream, log, "clicks")) == 2

    more = RULES + "INSERT INTO other SELECT event_id FROM app_events WHERE event = 'view';\n"
    worker.swap(snapshot(stream, rules=more, number=2))
    source.report([stream.click(3)])
    assert work_off(worker)["rules"]["halves"]["failed"] == 3

    worker.swap(snapshot(stream, UDF.replace("while 99", "while 999"), number=3))
    source.report([stream.click(4)])
    figures = work_off(worker)
    assert (figures["rules"]["halves"]["failed"], figures["rules"]["halves"]["matched"], figures["errors"]) == (3, 1, [])


def test_a_restart_calls_again_what_was_disabled(stream: ModuleType, log: MemoryLog, workers: list[Workers]) -> None:
    source = stream.Source(log)
    first = stream.one_worker(log, snapshot(stream), udf_batch_ms_max=1500)
    source.report([stream.click(99)])
    assert work_off(first)["functions"]["stuck"]["disabled"]
    first.stop()
    first.run()
    workers.append(stream.one_worker(log, snapshot(stream), udf_batch_ms_max=1500))
    source.report([stream.click(2)])
    figures = work_off(workers[0])
    assert (figures["functions"]["stuck"]["disabled"], figures["errors"]) == (None, [])
    assert (figures["rules"]["halves"]["failed"], figures["rules"]["halves"]["matched"]) == (1, 1)


def test_a_snapshot_whose_functions_cannot_be_loaded_is_refused(
    stream: ModuleType, log: MemoryLog, workers: list[Workers]
) -> None:
    worker = stream.one_worker(log, snapshot(stream))
    workers.append(worker)
    with pytest.raises(LinkError, match=r"snapshot 2 does not link: udfs/f.py:1: ModuleNotFoundError"):
        worker.swap(snapshot(stream, "import no_such" + UDF, number=2))
    stream.Source(log).report([stream.click(6)])
    work_off(worker)
    assert payloads(stream, log, "halves") == [{"half": 3.0}]


def test_processes_end_with_what_they_were_started_for(stream: ModuleType, log: MemoryLog) -> None:
    pids = UDF + "\nimport os\n\n@headwater.udf\ndef pid(n: list[int]) -> list[int]:\n    return [os.getpid()] * len(n)\n"
    rules = RULES + "INSERT INTO pids SELECT pid(properties.n) AS pid FROM app_events WHERE event = 'click';\n"
    source, worker = stream.Source(log), stream.one_worker(log, snapshot(stream, pids, rules))
    source.report([stream.click(1)])
    work_off(worker)
    worker.swap(snapshot(stream, pids, rules + "INSERT INTO b SELECT event_id FROM app_events WHERE event = 'b';\n", 2))
    source.report([stream.click(2)])
    work_off(worker)
    worker.swap(snapshot(stream, pids + "# edited\n", rules, 3))
    source.report([stream.click(3)])
    work_off(worker)
    first, same, other = (row["pid"] for row in payloads(stream, log, "pids"))
    assert first == same != other
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    worker.stop()
    worker.run()
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)
