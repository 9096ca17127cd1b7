"""The kernel says what the reference says where rules call Python functions."""

from collections import Counter

import engines
import generated
import generated_udfs
import pytest
import wire_messages
from case_files import physical
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.core.ids import seeded_random
from headwater.core.types import type_to_json
from headwater.kernel import Program, Protobuf

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def functions():
    assert generated_udfs.FINDINGS == ()
    return generated_udfs.functions()


def agree(rules, events, functions):
    assert engines.differences(rules, b"\n".join(events), functions) == []
    assert engines.differences(rules, events, functions) == []


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated_udfs.programs, generated.batches)
def test_generated_rules_with_functions(functions, rules, events):
    agree(rules, events, functions)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated_udfs.programs, st.integers(0, 2**32))
def test_messages_give_what_their_json_gives(functions, rules, seed):
    chance = seeded_random(seed)
    descriptor = wire_messages.draw_descriptor(chance)
    payloads = wire_messages.draw_payloads(chance, descriptor, 6)
    stored, batch = wire_messages.stored_bytes(descriptor), wire_messages.delimited(*payloads)
    lines, *_ = Protobuf(stored).decode(batch)
    expected = Program(rules, functions).run(lines.split(b"\n")[:-1])
    program = Program(rules, functions, input=stored)
    for given_batch in (batch, payloads):
        found = program.run(given_batch)
        assert (dict(found.outputs), found.rules) == (dict(expected.outputs), expected.rules)
        assert [(index, *rest) for index, _, _, *rest in found.failures] == [
            (index, *rest) for index, _, _, *rest in expected.failures
        ]


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=CHECKS)
@given(generated_udfs.programs, generated.batches)
def test_many_generated_rules_with_functions(functions, rules, events):
    agree(rules, events, functions)


def field(name, kind):
    return ["field", [name], kind]


def every_call():
    """A rule that selects and one that asks in WHERE, for each function, and one of a function in a function."""
    rules = []
    for number, one in enumerate(generated_udfs.SIGNATURES):
        given = [field(part.name, type_to_json(part.type)) for part in one.parameters]
        called = generated_udfs.called(one, given)
        rules.append(physical(f"select_{number}", select=[["v", called]]))
        there = ["call", "is_not_null", "BOOLEAN", [called]]
        rules.append(physical(f"where_{number}", where=["call", "and", "BOOLEAN", [there, there]], select=[["v", called]]))
    whole = next(one for one in generated_udfs.SIGNATURES if one.name == "whole")
    inner = generated_udfs.called(whole, [field("x", "BIGINT")])
    outer = generated_udfs.called(whole, [["call", "add", "BIGINT", [inner, ["literal", "BIGINT", 1]]]])
    lazy = ["call", "coalesce", "BIGINT", [outer, inner, ["literal", "BIGINT", -1]]]
    return [*rules, physical("nested", select=[["v", outer], ["w", lazy], ["x", inner]])]


VALUES = [
    "1",
    "2",
    "3",
    "0",
    "-7",
    "10",
    "0.5",
    '"a"',
    '"nan"',
    "true",
    "false",
    "null",
    "[1,2]",
    "[]",
    '"2026-01-02"',
    '"9999-12-31"',
]


def test_every_function_is_called_and_fails_and_is_null(functions):
    events = [f'{{"x":{x},"y":{y},"times":2}}'.encode() for x in VALUES for y in ("1.5", "true", "null")]
    rules = every_call()
    agree(rules, events, functions)
    program = Program(rules, functions)
    result = program.run(events)
    reasons = Counter(operation.rpartition(": ")[0] for *_, operation in result.failures)
    for start in ("udf whole: ValueError", "udf sum_of: wrong_result", "udf half: wrong_result", "udf shout: AssertionError"):
        assert any(reason.startswith(start) for reason in reasons), (start, reasons)
    names = program.rule_names
    assert {names[rule] for rule, matched, *_ in result.rules if matched} == set(names)
    assert any(column == "" for *_, column, _operation in result.failures)
