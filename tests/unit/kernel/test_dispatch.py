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


def started(dispatch: str, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEADWATER_DISPATCH": dispatch}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def run(dispatch: str) -> tuple[str, list[object]] | None:
    """What a way gives; None where the machine lacks it, and the kernel says so."""
    done = started(dispatch, RUN)
    if done.returncode:
        assert f"ValueError: HEADWATER_DISPATCH={dispatch}: this machine lacks its instructions; it has " in done.stderr
        return None
    way, *found = json.loads(done.stdout)
    return way, found


def test_every_way_gives_the_same_rows() -> None:
    found = run("")
    assert found is not None
    best, expected = found
    assert expected[0] == 2000
    assert expected[1]
    assert run("portable") == ("portable", expected)
    for asked in ("avx2", "avx512"):
        assert run(asked) in ((asked, expected), None)
    assert run(best) is not None


def test_a_way_that_is_unknown_is_named() -> None:
    named = "HEADWATER_DISPATCH=fast is not known; valid here is "
    done = started("fast", "from headwater.kernel import Program; Program([])")
    assert done.returncode == 1
    assert f"ValueError: {named}" in done.stderr
    assert done.stderr.rstrip().endswith("portable")
    done = started("fast", "import sys; from headwater.cli import main; sys.exit(main.run(['bench', 'kernel', '--rules', '2']))")
    assert (done.returncode, done.stdout) == (1, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
