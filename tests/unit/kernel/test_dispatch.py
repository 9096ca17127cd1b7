"""Each way of finding structure gives the same rows."""

import json
import os
import subprocess
import sys

RUN = """
import hashlib, json
from headwater import kernel
from headwater.measure import workload
from headwater.registry.json_schema import source_from_json_schema
from headwater.rules import compile_sql

sources = {"app_events": source_from_json_schema("app_events", workload.schema())}
rules = compile_sql(workload.rules(200), "workload.sql", sources).rules
program = kernel.Program([rule.canonical() for rule in rules])
result = program.run(b"".join(workload.batches(workload.events(2000, 3), 1000)))
digest = hashlib.sha256(json.dumps([result.rules, result.fields]).encode())
for dataset, rows in sorted(result.outputs.items()):
    digest.update(dataset.encode() + rows)
print(json.dumps([kernel.dispatch(), result.events, sum(result.rows.values()), digest.hexdigest()]))
"""


def run(dispatch: str) -> tuple[str, list[object]]:
    environment = {**os.environ, "HEADWATER_DISPATCH": dispatch}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
    way, *found = json.loads(done.stdout)
    return way, found


def test_every_way_gives_the_same_rows() -> None:
    best, expected = run("")
    assert expected[0] == 2000
    assert expected[1]
    assert run("portable") == ("portable", expected)
    for asked in ("avx2", "avx512", "no such way"):
        way, found = run(asked)
        assert way in (asked, best)
        assert found == expected
