"""Rules that call Python functions give the same rows as JSON, Protobuf and Arrow, from JSON and from messages."""

import json

import engines
import generated
import generated_udfs
import pytest
import test_arrow
import test_protobuf_rules
import wire_messages
from hypothesis import given, settings
from hypothesis import strategies as st
from test_udfs import CHECKS, every_call

from headwater.core.ids import seeded_random
from headwater.kernel import Protobuf
from headwater.kernel.reference import ReferenceProgram

# What the fields x and y are in messages; what is called with another type is NULL, as in JSON.
SCHEMAS = [("int64", "double"), ("double", "int64"), ("bool", "bool"), ("string", "double"), ("string", "bool")]
X = {
    "int64": [0, 1, 2, 3, 7, 10, -7, 2**63 - 1],
    "double": [0.5, 0.25, -1.5, 3.0, 1e300],
    "bool": [True, False],
    "string": ["a", "nan", "2026-01-02", "9999-12-31", "12", "true", ""],
}


@pytest.fixture(scope="module")
def functions():
    return generated_udfs.functions()


def descriptor(x, y, cardinality="optional"):
    fields = [("x", x, cardinality), ("y", y, "optional"), ("times", "int64", "optional")]
    named = [
        {"name": name, "number": number, "kind": kind, **({} if card == "optional" else {"cardinality": card})}
        for number, (name, kind, card) in enumerate(fields, 1)
    ]
    return wire_messages.stored_bytes({"messages": [{"name": "M", "fields": named}]})


def messages(x, y):
    """Every pair of values, some of them missing, as messages and as the lines that they stand for."""
    stored = descriptor(x, y)
    events = [{"x": one, "y": other, "times": 2} for one in [*X[x], None] for other in [*X[y], None]]
    given_lines = [json.dumps({name: value for name, value in event.items() if value is not None}).encode() for event in events]
    batch = Protobuf(stored).encode(b"\n".join(given_lines))
    lines, *_ = Protobuf(stored).decode(batch)
    return stored, batch, lines.split(b"\n")[:-1]


def held(rules, stored, payloads, functions, seed):
    """The reference on the JSON of messages; the kernel on both, into each format. Whole events become another message."""
    lines = Protobuf(stored).decode(wire_messages.delimited(*payloads))[0].split(b"\n")[:-1]
    assert engines.differences(rules, lines, functions) == []
    test_protobuf_rules.agree(rules, stored, payloads, functions)
    test_protobuf_rules.agree_written(seeded_random(seed + 1), rules, stored, payloads, functions)
    test_arrow.check(rules, payloads, stored, functions)
    test_arrow.check(rules, b"\n".join(lines), functions=functions)


@pytest.mark.parametrize(("x", "y"), SCHEMAS)
def test_every_function_in_where_and_select(functions, x, y):
    stored, batch, lines = messages(x, y)
    rules = every_call()
    said = ReferenceProgram(rules, functions).run(b"\n".join(lines))
    # Functions fail in SELECT and, with an empty column, in WHERE, except those that these types leave NULL.
    assert x in ("bool", "string") or {bool(column) for *_, column, _operation in said.failures} == {True, False}
    assert len([rule for rule, matched, *_ in said.rules if matched]) > len(rules) / 2
    held(rules, stored, [payload_of(one) for one in test_protobuf_rules.split(batch)], functions, 3)


def payload_of(delimited):
    """A message without the length before it."""
    at = next(at for at, byte in enumerate(delimited) if byte < 0x80)
    return delimited[at + 1 :]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated_udfs.programs, st.integers(0, 2**32))
def test_generated_rules_over_messages(functions, rules, seed):
    chance = seeded_random(seed)
    drawn = wire_messages.draw_descriptor(chance)
    payloads = wire_messages.draw_payloads(chance, drawn, 6)
    held(rules, wire_messages.stored_bytes(drawn), payloads, functions, seed)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated_udfs.programs, generated.batches)
def test_generated_rules_into_arrow(functions, rules, events):
    test_arrow.check(rules, events, functions=functions)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=CHECKS)
@given(generated_udfs.programs, st.integers(0, 2**32))
def test_many_generated_rules_over_messages(functions, rules, seed):
    test_generated_rules_over_messages.hypothesis.inner_test(functions, rules, seed)
