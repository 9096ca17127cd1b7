"""What the kernel is measured beside gives the same rows."""

import json

import compiled_python
import workload
import workload_rules

from headwater.kernel.reference import ReferenceProgram


def rows(outputs):
    return {dataset: [json.loads(line) for line in text.splitlines()] for dataset, text in outputs.items() if text}


def test_python_code_gives_the_rows_of_the_reference():
    rules = workload_rules.physical_rules(300)
    batch = b"\n".join(workload.events(600))
    program = compiled_python.PythonProgram(rules)
    expected = ReferenceProgram([rule.canonical() for rule in rules]).run(batch)
    found = rows(program.run(batch))
    assert found == rows(expected.outputs)
    assert sum(map(len, found.values())) > 100
    assert program.run(b"") == {}
