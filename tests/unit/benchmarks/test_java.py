"""The rules as Java code: what is written, and (slow: it needs Maven Central) that they give as many rows as the kernel."""

import os

import java_program
import java_rules
import pytest
import workload
import workload_rules

from headwater.kernel import Program


def test_every_rule_is_translated_for_both_kinds_of_event():
    rules = workload_rules.physical_rules(300)
    files = java_rules.translated(rules)
    stars = sum(not isinstance(rule.select, tuple) for rule in rules)
    assert files["protobuf.txt"].count("out.encoded(") == files["jackson.txt"].count("out.line(") >= stars > 20
    assert files["protobuf.txt"].count("Row.newBuilder()") == files["jackson.txt"].count("out.row(") > 200
    assert "optional int64 item_id" in files["workload.proto"]
    assert int(files["fields.txt"].split("\n")[0]) == len({rule.into for rule in rules})


def test_what_the_workload_lacks_is_refused():
    [rule] = workload_rules.physical_rules(1)
    source = java_rules.JacksonSource({}, {})
    with pytest.raises(NotImplementedError):
        source.true(["call", "eq", "BOOLEAN", [["call", "length", "BIGINT", []], ["literal", "BIGINT", 1]]])
    with pytest.raises(NotImplementedError):
        source.value(["call", "sub", "BIGINT", []])
    assert source.true(rule.where)


@pytest.mark.slow
@pytest.mark.skipif(java_program.missing() is not None and "CI" not in os.environ, reason="no Java or Maven here")
def test_java_gives_as_many_rows_as_the_kernel():
    rules = workload_rules.physical_rules(300)
    batches = list(workload.batches(workload.events(2000), 1000))
    program = Program([rule.canonical() for rule in rules])
    results = [program.run(batch) for batch in batches]
    place = java_program.built(rules, batches)
    for mode in java_program.MODES:
        assert java_program.run(place, mode, 0.0, 1)["rows"] == sum(sum(result.rows.values()) for result in results) > 500
