"""Batch runs from Python: order, lines across chunks, figures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from headwater.core.errors import InputError
from headwater.core.limits import BATCH_CHUNK_BYTES
from headwater.etl import batch
from headwater.etl.batch import BatchInput, Progress


def run(
    stream: ModuleType, tmp_path: Path, lines: list[bytes], sql: str, progress: list[Progress] | None = None
) -> batch.Summary:
    (tmp_path / "events").write_bytes(b"\n".join(lines))
    snapshot = stream.make_snapshot(sql)
    inputs = [BatchInput(stream.SOURCE, str(tmp_path / "events"))]
    seen = progress if progress is not None else []
    return batch.run(snapshot.rules, snapshot.datasets, inputs, tmp_path / "out", progress=seen.append)


def test_order_and_line_numbers_hold_over_chunks(stream: ModuleType, tmp_path: Path) -> None:
    lines = []
    bad = []
    while sum(map(len, lines)) < 5 * BATCH_CHUNK_BYTES:
        number = len(lines)
        pad = "x" * (number % 7 * 40_000 if number % 50 == 0 else 50)
        lines.append(json.dumps({"event": "click", "event_id": f"c{number}", "properties": {"n": 1}, "pad": pad}).encode())
        if number % 1000 == 0:
            lines += [b"  ", b'{"broken"']
            bad.append(len(lines))
    lines.append(json.dumps({"event": "click", "event_id": "long", "pad": "y" * 3 * BATCH_CHUNK_BYTES}).encode())
    progress: list[Progress] = []
    summary = run(stream, tmp_path, lines, "-- rule: c\nINSERT INTO c SELECT event_id AS id FROM app_events;", progress)
    ids = [json.loads(line)["id"] for line in (tmp_path / "out" / "c.ndjson").read_bytes().splitlines()]
    assert ids == [json.loads(line)["event_id"] for line in lines if line.endswith(b"}")]
    letters = [json.loads(line) for line in (tmp_path / "out" / "dead_letters.ndjson").read_bytes().splitlines()]
    assert [letter["line"] for letter in letters] == bad
    assert (summary.events, summary.rejects, summary.outputs) == (len(ids) + len(bad), len(bad), {"c": len(ids)})
    size = (tmp_path / "events").stat().st_size
    assert progress[-1] == Progress(size, size, summary.events)
    assert [each.events for each in progress] == sorted(each.events for each in progress)


def test_every_dataset_and_rule_is_there_without_a_match(stream: ModuleType, tmp_path: Path) -> None:
    summary = run(stream, tmp_path, [], stream.RULES)
    assert summary.outputs == {"clicks": 0, "numbers": 0}
    assert set(summary.rules) == {"clicks", "big_clicks", "numbers"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clicks.ndjson",
        "dead_letters.ndjson",
        "numbers.ndjson",
    ]


def test_a_missing_input_leaves_no_directory(stream: ModuleType, tmp_path: Path) -> None:
    snapshot = stream.make_snapshot()
    with pytest.raises(InputError, match="cannot read"):
        batch.run(snapshot.rules, snapshot.datasets, [BatchInput(stream.SOURCE, str(tmp_path / "none"))], tmp_path / "out")
    assert not (tmp_path / "out").exists()
