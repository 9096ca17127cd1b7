"""What `/metrics` says: the figures as Prometheus' text format 0.0.4, so that any monitoring can fetch them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.embedded.process import Embedded
from headwater.embedded.status import figures
from headwater.log.keeper import Figures

# Name of a count of the kernel → name of the metric, and what it says.
_RULES = {
    "matched": ("rule_matched_total", "Events that the rule matched and made a row of"),
    "evaluated": ("rule_evaluated_total", "Events for which the rule's conditions were looked at"),
    "emitted": ("rule_emitted_total", "Rows that the rule gave to its dataset"),
    "failed": ("rule_failed_total", "Events for which an expression of SELECT failed"),
    "where_errors": ("rule_where_errors_total", "Events that did not match because WHERE failed"),
    "not_finite": ("rule_not_finite_total", "Columns left out because they were not finite"),
    "nulls": ("rule_null_columns_total", "Columns left out because they were NULL"),
    "bytes": ("rule_bytes_total", "Bytes of the rule's rows"),
    "ns": ("rule_nanoseconds_total", "Time that the rule took, by the events that were timed"),
}
_FIELDS = {
    "coerced": ("field_coerced_total", "Events in which the field was converted to its type"),
    "type_errors": ("field_type_errors_total", "Events in which the field was not of its type, and so NULL"),
    "present": ("field_present_total", "Sampled events in which the field has a value"),
    "nulls": ("field_null_total", "Sampled events in which the field is null or missing"),
}
_DATASETS = {
    "rows": ("dataset_rows_total", "Rows that the rules made"),
    "bytes": ("dataset_bytes_total", "Bytes of these rows as records"),
}
_ETL = {
    "read": ("etl_read_total", "Records read from the log"),
    "unique": ("etl_unique_total", "Events that went through the rules"),
    "duplicates": ("etl_duplicates_total", "Events dropped as repeats of an event_id"),
    "dead": ("etl_dead_total", "Events that are no JSON objects"),
    "lag": ("etl_lag_records", "Records of the log that are still to be read"),
}
_UPKEEP = {
    "compacted": ("log_runs_compacted_total", "Runs of segments that were compacted"),
    "expired": ("log_copies_expired_total", "Compacted copies that were past their retention"),
    "deleted": ("log_objects_deleted_total", "Segments and compacted copies that were deleted"),
    "failed": ("log_upkeep_failures_total", "Times that a shard could not be tidied up; it is tried again"),
    "repaired": ("log_objects_repaired_total", "Objects found damaged or missing on a site by a reader, brought from another"),
    "left": ("log_objects_left_damaged_total", "Objects found damaged or missing on a site by a reader, and not repaired"),
}


def metrics(embedded: Embedded) -> str:
    """The text. Counts are from the start of the process, but for those of `etl` and `deliver`: from the first event on."""
    log = embedded.log
    of_log = render_log(len(log.alarms()), log.quarantine.records(), log.keeper.figures)
    return render(*figures(embedded)) + of_log


def render_log(alarms: int, quarantined: Mapping[tuple[str, int], int], upkeep: Figures) -> str:
    """The text of what is wrong with the log, and of what this process did about its shards."""
    lines = _metric("log_alarms", "Sites that left a shard, and shards that cannot be read", [("", alarms)])
    rows = [(_labels(topic=topic, partition=str(partition)), count) for (topic, partition), count in sorted(quarantined.items())]
    lines += _metric("log_records_quarantined_total", "Records that were passed over, as they are damaged on every site", rows)
    for key, (name, text) in _UPKEEP.items():
        lines += _metric(name, text, [("", getattr(upkeep, key))])
    return "\n".join([*lines, ""])


def render(collect: Mapping[str, Any], etl: Mapping[str, Any], deliver: Mapping[str, Any]) -> str:
    """The text of these figures."""
    lines: list[str] = []
    for name, text in (("received", "Events in requests"), ("accepted", "Events accepted into the log")):
        lines += _metric(f"collect_{name}_total", text, [("", collect[name])])
    for name, text in (("dropped", "Events dropped"), ("dead", "Events that became dead letters")):
        rows = [(_labels(reason=reason), count) for reason, count in collect[name].items()]
        lines += _metric(f"collect_{name}_total", text, rows)
    for key, (name, text) in _ETL.items():
        lines += _metric(name, text, [("", etl[key])])
    kernel = etl["kernel"]
    for label, counts, known in (
        ("rule", kernel["rules"], _RULES),
        ("field", kernel["fields"], _FIELDS),
        ("dataset", kernel["datasets"], _DATASETS),
    ):
        for key, (name, text) in known.items():
            lines += _metric(name, text, [(_labels(**{label: one}), each[key]) for one, each in counts.items()])
    for name, text in (("read", "Records that the sink read"), ("written", "Rows that the sink wrote")):
        rows = [(_labels(dataset=dataset), sink[name]) for dataset, sink in deliver.items()]
        lines += _metric(f"deliver_{name}_total", text, rows)
    return "\n".join([*lines, ""])


def _metric(name: str, text: str, rows: Iterable[tuple[str, int]]) -> list[str]:
    kind = "counter" if name.endswith("_total") else "gauge"
    head = [f"# HELP headwater_{name} {text}.", f"# TYPE headwater_{name} {kind}"]
    return [*head, *(f"headwater_{name}{labels} {count}" for labels, count in rows)]


def _labels(**labels: str) -> str:
    """Names come from people and clients: what the format needs escaped is."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
