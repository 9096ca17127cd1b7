"""What the kernel is measured beside gives the same rows."""

import json

import compiled_python
import pytest
import workload
import workload_rules

from headwater.kernel.reference import ReferenceProgram


def rows(outputs):
    return {dataset: [json.loads(line) for line in text.splitlines()] for dataset, text in outputs.items() if text}


@pytest.mark.parametrize(("make", "least"), [(workload_rules.physical_rules, 100), (workload_rules.hostile_rules, 15)])
def test_python_code_gives_the_rows_of_the_reference(make, least):
    rules = make(300)
    batch = b"\n".join(workload.events(600))
    program = compiled_python.PythonProgram(rules)
    expected = ReferenceProgram([rule.canonical() for rule in rules]).run(batch)
    found = rows(program.run(batch))
    assert found == rows(expected.outputs)
    assert sum(map(len, found.values())) > least
    assert program.run(b"") == {}
