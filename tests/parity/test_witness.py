"""DuckDB, on the table typed by the reading table, gives the rows and counters that the kernel gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import witness
import workload
import workload_rules

from headwater.kernel import Program

EVENTS_OF_THE_LONG_TEST = int(os.environ.get("WITNESS_EVENTS", "200000"))
RULES_OF_THE_LONG_TEST = 1000


def counters(program, result):
    names = ("matched", "where_errors", "failed")
    counts = {name: dict.fromkeys(names, 0) for name in program.rule_names}
    for number, *values, _ in result.rules:
        counts[program.rule_names[number]] = dict(zip(names, values, strict=True))
    return counts


@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
def test_duckdb_agrees(dirty, tmp_path):
    rules = workload_rules.physical_rules(30 if dirty else 60, dirty=dirty)
    lines = list(workload.events(2000, seed=3, dirty=dirty))
    connection = witness.typed_table(lines, workload_rules.sources(dirty=dirty)["app_events"], tmp_path)
    rows, counts = witness.expected(connection, rules, lines)
    program = Program([rule.canonical() for rule in rules])
    result = program.run(b"\n".join(lines))
    assert witness.differences(rows, witness.given_rows(rules, result.outputs)) == []
    assert counters(program, result) == counts
    assert sum(result.rows.values()) > 300


@pytest.mark.slow
@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
def test_duckdb_agrees_with_the_command(dirty, tmp_path):
    rules_file, schema_file, events_file, out = (tmp_path / name for name in ("rules.sql", "schema.json", "events.ndjson", "out"))
    rules_file.write_text(workload.rules(RULES_OF_THE_LONG_TEST, dirty=dirty), encoding="utf-8")
    schema_file.write_text(json.dumps(workload.schema(dirty=dirty)), encoding="utf-8")
    lines = list(workload.events(EVENTS_OF_THE_LONG_TEST, dirty=dirty))
    events_file.write_bytes(b"".join(line + b"\n" for line in lines))
    command = [Path(sys.executable).parent / "headwater", "etl", rules_file, "--schema", f"app_events={schema_file}"]
    command += ["--input", f"app_events={events_file}", "--output", out, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout.splitlines()[-1])

    rules = workload_rules.physical_rules(RULES_OF_THE_LONG_TEST, dirty=dirty)
    connection = witness.typed_table(lines, workload_rules.sources(dirty=dirty)["app_events"], tmp_path)
    rows, counts = witness.expected(connection, rules, lines)
    outputs = {file.stem: file.read_bytes() for file in out.glob("*.ndjson")}
    dead = [json.loads(line) for line in outputs.pop("dead_letters", b"").splitlines()]
    assert witness.differences(rows, witness.given_rows(rules, outputs)) == []
    said = {name: {key: each[key] for key in ("matched", "where_errors", "failed")} for name, each in summary["rules"].items()}
    assert said == counts
    assert summary["outputs"] == {dataset: found.total() for dataset, found in rows.items()}
    not_blank = [line for line in lines if line.strip()]
    assert summary["events"] == len(not_blank)
    refused = sum(not witness.is_event(line) for line in not_blank)
    assert summary["dead_letters"] == len(dead) == refused + sum(each["failed"] for each in counts.values())
