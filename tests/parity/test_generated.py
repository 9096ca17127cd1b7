"""The kernel says what the reference says, of generated rules and events and of the workload."""

import engines
import generated
import pytest
import workload
import workload_rules
from case_files import physical
from hypothesis import HealthCheck, given, settings

from headwater.core.types import SCALARS
from headwater.kernel.reference_expression import LAZY, STRICT

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def agree(rules, events):
    assert engines.differences(rules, b"\n".join(events)) == []
    assert engines.differences(rules, events) == []


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated.programs, generated.batches)
def test_generated_rules_and_events(rules, events):
    agree(rules, events)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=CHECKS)
@given(generated.programs, generated.batches)
def test_many_generated_rules_and_events(rules, events):
    agree(rules, events)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated.json_values)
def test_reading_any_value_as_any_type(text):
    kinds = [*SCALARS, *generated.NESTED]
    rules = [physical(f"r{number}", select=[["v", ["field", ["v"], kind]]]) for number, kind in enumerate(kinds)]
    agree(rules, [b'{"v":' + text.encode() + b"}"])


def test_every_operation_is_generated():
    seen = set()

    def note(expression):
        if expression[0] == "call":
            seen.add(expression[1])
            for argument in expression[3]:
                note(argument)

    @settings(max_examples=1000, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS)
    @given(generated.expressions("BOOLEAN", 4))
    def collect(expression):
        note(expression)

    collect()
    assert seen == LAZY.keys() | STRICT.keys()


def test_the_dirty_workload():
    compiled = workload_rules.stored_rules(100, dirty=True)
    agree(compiled, list(workload.events(300, seed=5, dirty=True)))
