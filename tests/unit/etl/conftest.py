"""Snapshots and logs with events in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest

from headwater.core.limits import UDF_BATCH_MS_MAX
from headwater.core.record import Record, decode_all, encode
from headwater.core.types import BIGINT, JSON, VARCHAR
from headwater.etl.workers import Workers
from headwater.log.interface import AppendGroup, Batch, Log
from headwater.registry.snapshot import Draft, EventType, Field, Snapshot, numbered
from headwater.rules import compile_sql

SOURCE = "app_events"
FIELDS = tuple(Field(("properties", name), kind) for name, kind in (("n", BIGINT), ("text", VARCHAR), ("any", JSON)))
RULES = """
-- rule: clicks
INSERT INTO clicks SELECT event_id AS id, properties.n AS n FROM app_events WHERE event = 'click';
-- rule: big_clicks
INSERT INTO clicks SELECT event_id AS id, 'big' AS text FROM app_events WHERE event = 'click' AND properties.n >= 100;
-- rule: numbers
INSERT INTO numbers SELECT event_id AS id, CAST(properties.text AS BIGINT) AS number FROM app_events WHERE event = 'view';
"""


def make_snapshot(sql: str = RULES, number: int = 1) -> Snapshot:
    kinds = tuple(EventType(app="demo", name=name, version=1, owner="me", tier="P2", fields=FIELDS) for name in ("click", "view"))
    draft = Draft(project="test", source=SOURCE, event_types=kinds)
    compiled = compile_sql(sql, "rules.sql", draft.sources)
    assert not compiled.errors, compiled.errors
    full = Draft(project="test", source=SOURCE, event_types=kinds, rules=compiled.rules, datasets=compiled.datasets)
    return numbered(full, number, 0)


def one_worker(log: Log, snapshot: Snapshot, udf_batch_ms_max: int = UDF_BATCH_MS_MAX) -> Workers:
    """The workers of a log with one key class, open."""
    workers = Workers(log, snapshot, 1, udf_batch_ms_max)
    workers.assign([0])
    workers.open()
    return workers


class Source:
    """The ingest topic of a log, as a collector writes it."""

    def __init__(self, log: Log) -> None:
        self._writer = log.writer("collect-0")
        self._now = 1_760_000_000_000

    def report(self, events: Iterable[dict[str, Any]]) -> None:
        """One append; every event a millisecond after the one before."""
        self.log_payloads([(event["event_id"], json.dumps({"app": "demo", **event}).encode()) for event in events])

    def log_payloads(self, payloads: list[tuple[str, bytes]]) -> None:
        records = []
        for event_id, payload in payloads:
            self._now += 1
            records.append(encode(Record(payload=payload, key="k", tier=1, received_time=self._now, event_id=event_id)))
        self._writer.append(AppendGroup(batches=(Batch(SOURCE, 0, b"".join(records), len(records)),)))

    def close(self) -> None:
        self._writer.close()


def click(number: int, event_id: str | None = None) -> dict[str, Any]:
    return {"event": "click", "event_id": event_id or f"c{number}", "properties": {"n": number}}


def view(text: str) -> dict[str, Any]:
    return {"event": "view", "event_id": f"v{text}", "properties": {"text": text}}


def records_of(log: Log, topic: str, partition: int = 0) -> list[Record]:
    records: list[Record] = []
    while len(records) < log.end_offset(topic, partition):
        records += decode_all(log.read(topic, partition, len(records), 1 << 30).data)
    return records


@pytest.fixture
def stream() -> ModuleType:
    """This module: what the tests of the worker speak of."""
    return sys.modules[__name__]
