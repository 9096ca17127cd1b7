"""Arrow holds what the JSON rows hold: generated rules and events, and the workload."""

from __future__ import annotations

import datetime
import json
from typing import Any

import duckdb
import engines
import generated
import pyarrow as pa
import pytest
import wire_messages
import workload
import workload_rules
from hypothesis import given, settings
from test_generated import CHECKS
from test_protobuf_rules import draw_rules

from headwater.core.ids import seeded_random
from headwater.kernel import Program

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FORMATS = {
    "NULL": pa.null(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "JSON": pa.string(),
}


def arrow_type(kind: Any) -> pa.DataType:
    match kind:
        case {"list": item}:
            return pa.list_(arrow_type(item))
        case {"struct": fields}:
            return pa.struct([(name, arrow_type(inner)) for name, inner in fields])
    return FORMATS[kind]


def micros(time: datetime.datetime) -> int:
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def of_json(kind: Any, value: Any) -> Any:
    """A value of a JSON row, in a form that compares exactly."""
    match kind:
        case _ if value is None:
            return None
        case "DOUBLE":
            return repr(float(value))
        case "TIMESTAMP":
            return micros(datetime.datetime.fromisoformat(value))
        case "JSON":
            return engines.exact(json.dumps(value))
        case {"list": item}:
            return [of_json(item, one) for one in value]
        case {"struct": fields}:
            return {name: of_json(inner, value.get(name)) for name, inner in fields}
    return value


def of_arrow(kind: Any, value: Any) -> Any:
    """The same of a value of a column."""
    match kind:
        case _ if value is None:
            return None
        case "DOUBLE":
            return repr(value)
        case "TIMESTAMP":
            return micros(value)
        case "JSON":
            return engines.exact(json.dumps(json.loads(value)))
        case {"list": item}:
            return [of_arrow(item, one) for one in value]
        case {"struct": fields}:
            return {name: of_arrow(inner, value[name]) for name, inner in fields}
    return value


def renamed(stored: list[bytes]) -> tuple[list[bytes], dict[str, dict[str, Any]]]:
    """Rules whose columns are called after their types, so that they unite; and the types of each dataset's columns."""
    rules, columns = [], {}
    for text in stored:
        rule = json.loads(text)
        known = columns.setdefault(rule["into"], {})
        if isinstance(rule["select"], dict):
            known["event"] = "JSON"
        else:
            for column in rule["select"]:
                kind = column[1][1] if column[1][0] == "literal" else column[1][2]
                column[0] = f"{column[0]} {json.dumps(kind)}"
                known[column[0]] = kind
        rules.append(json.dumps(rule).encode())
    return rules, columns


def check(stored: list[bytes], batch: bytes | list[bytes], input: bytes | None = None, functions: Any = None) -> int:
    """Both ways on one batch; the number of rows that were compared."""
    rules, columns = renamed(stored)
    as_json = Program(rules, functions, input=input)
    as_arrow = Program(rules, functions, input=input, arrow=dict.fromkeys(columns))
    expected, found = as_json.run(batch), as_arrow.run(batch)
    assert found.outputs == {}
    for name in ("events", "rows", "rules", "fields", "rejects", "failures"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.arrow.keys() == expected.outputs.keys()
    for dataset, rows in found.arrow.items():
        types = columns[dataset]
        arrow = pa.record_batch(rows)
        arrow.validate(full=True)
        assert arrow.schema == pa.schema([(name, arrow_type(kind)) for name, kind in types.items()])
        lines = engines.lines_of(expected.outputs[dataset])
        assert len(lines) == arrow.num_rows == len(rows)
        if types == {"event": "JSON"}:
            assert arrow["event"].to_pylist() == [line.decode() for line in lines]
            continue
        for row, line in zip(arrow.to_pylist(), lines, strict=True):
            given = json.loads(line, parse_int=engines.integer)
            assert {name: of_arrow(kind, row[name]) for name, kind in types.items()} == {
                name: of_json(kind, given.get(name)) for name, kind in types.items()
            }
    return sum(expected.rows.values())


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated.programs, generated.batches)
def test_generated_rules_and_events(rules, events):
    check(rules, b"\n".join(events))
    check(rules, events)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=CHECKS)
@given(generated.programs, generated.batches)
def test_many_generated_rules_and_events(rules, events):
    check(rules, b"\n".join(events))


@pytest.mark.parametrize("dirty", [False, True])
def test_the_workload(dirty):
    rules = workload_rules.stored_rules(200, dirty=dirty)
    events = list(workload.events(2000, seed=5, dirty=dirty))
    assert check(rules, b"\n".join(events)) > 1000
    assert check(rules, events) > 1000


def test_events_that_are_messages():
    compared = 0
    for seed in range(80):
        chance = seeded_random(seed)
        descriptor = wire_messages.draw_descriptor(chance)
        payloads = [wire_messages.draw_payload(chance, descriptor) for _ in range(8)]
        compared += check(draw_rules(chance, descriptor), payloads, wire_messages.stored_bytes(descriptor))
    assert compared > 500


def test_duckdb_reads_rows_without_a_copy_in_python():
    rules = workload_rules.stored_rules(200)
    batch = b"\n".join(workload.events(2000, seed=5))
    names = Program(rules).datasets
    program = Program(rules, arrow=dict.fromkeys(names))
    result = program.run(batch)
    for rows in result.arrow.values():
        assert duckdb.sql("SELECT count(*) FROM rows").fetchall() == [(len(rows),)]
