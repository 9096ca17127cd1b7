"""What `/metrics` says, in the form that Prometheus reads."""

from __future__ import annotations

import re
from typing import Any

from headwater.embedded.metrics import render, render_log
from headwater.log.keeper import Figures

HOSTILE = 'a"b\\c\nd'
COLLECT: dict[str, Any] = {"received": 12, "accepted": 9, "dropped": {"wrong_key": 1}, "dead": {"malformed": 2}}
RULE = {
    "matched": 4, "evaluated": 6, "emitted": 4, "failed": 1, "where_errors": 0, "not_finite": 0, "nulls": 2, "bytes": 99,
    "ns": 1234,
}  # fmt: skip
KERNEL = {
    "rules": {HOSTILE: RULE},
    "fields": {"properties.n": {"coerced": 1, "type_errors": 2, "present": 3, "nulls": 4}},
    "datasets": {"plays": {"rows": 4, "bytes": 99}},
}
ETL: dict[str, Any] = {"read": 9, "unique": 7, "duplicates": 1, "dead": 1, "lag": 3, "kernel": KERNEL}
DELIVER: dict[str, Any] = {"plays": {"read": 4, "written": 4, "lag": 0, "error": None}}
LABEL = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"headwater_[a-z_]+(\{{{LABEL}(,{LABEL})*\}})? \d+")
QUARANTINED = {("plays", 3): 7, ("plays", 1): 2}
UPKEEP = Figures(compacted=1, expired=2, deleted=3, failed=4, repaired=5, left=6)


def test_every_line_is_a_sample_of_a_metric_that_was_described() -> None:
    text = render(COLLECT, ETL, DELIVER) + render_log(1, QUARANTINED, UPKEEP)
    assert text.endswith("\n")
    described: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name not in described
            described[name] = kind
        elif not line.startswith("# HELP "):
            assert SAMPLE.fullmatch(line), line
            assert re.split("[{ ]", line)[0] == list(described)[-1]
    assert described["headwater_etl_lag_records"] == "gauge"
    assert {kind for name, kind in described.items() if name.endswith("_total")} == {"counter"}


def test_what_is_counted() -> None:
    lines = [*render(COLLECT, ETL, DELIVER).splitlines(), *render_log(1, QUARANTINED, UPKEEP).splitlines()]
    for line in (
        "headwater_collect_received_total 12",
        'headwater_collect_dropped_total{reason="wrong_key"} 1',
        'headwater_rule_emitted_total{rule="a\\"b\\\\c\\nd"} 4',
        'headwater_rule_nanoseconds_total{rule="a\\"b\\\\c\\nd"} 1234',
        'headwater_field_null_total{field="properties.n"} 4',
        'headwater_dataset_bytes_total{dataset="plays"} 99',
        'headwater_deliver_written_total{dataset="plays"} 4',
        "headwater_log_alarms 1",
        'headwater_log_records_quarantined_total{topic="plays",partition="3"} 7',
        "headwater_log_runs_compacted_total 1",
        "headwater_log_copies_expired_total 2",
        "headwater_log_objects_deleted_total 3",
        "headwater_log_upkeep_failures_total 4",
        "headwater_log_objects_repaired_total 5",
        "headwater_log_objects_left_damaged_total 6",
    ):
        assert line in lines
