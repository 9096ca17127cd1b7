"""Rules over messages give what they give over the JSON that these messages stand for."""

import json

import engines
import generated
import pytest
import wire_messages
from case_files import physical
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.core import record
from headwater.core.ids import seeded_random
from headwater.kernel import Program, Protobuf

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def said(result):
    """What a result says, without the places of events, which differ."""
    failures = [(index, *rest) for index, _start, _end, *rest in result.failures]
    engines.check_balance(result)
    written = [(rule, emitted, nulls) for rule, emitted, nulls, _bytes in result.written]
    counted = result.rules, result.fields, written, result.presence
    return dict(result.outputs), dict(result.rows), counted, failures


def agree(rules, stored, payloads, functions=None):
    batch = wire_messages.delimited(*payloads)
    lines, places, rejects, read = Protobuf(stored).decode(batch)
    assert read == len(batch)
    expected = Program(rules, functions).run(lines.split(b"\n")[:-1])
    assert not expected.rejects
    program = Program(rules, functions, input=stored)
    for given_batch in (batch, payloads):
        found = program.run(given_batch)
        assert said(found) == said(expected)
        assert found.events == len(payloads)
        assert [(index, reason, offset) for index, _start, _end, reason, offset in found.rejects] == rejects
        for index, start, end, _reason, _offset in found.rejects:
            assert (start, end) == (places[index] if given_batch is batch else (0, len(payloads[index])))


def columns_of(rule):
    """The columns of a rule with their types; of a star those that it replaces."""
    select = json.loads(rule)["select"]
    columns = select["replace"] if isinstance(select, dict) else select
    return [(name, value[1] if value[0] == "literal" else value[2]) for name, value in columns]


def split(batch):
    """The messages of a batch, each with its length."""
    found, at = [], 0
    while at < len(batch):
        end = shift = length = 0
        while True:
            byte = batch[at + end]
            length |= (byte & 0x7F) << shift
            shift, end = shift + 7, end + 1
            if byte < 0x80:
                break
        found.append(batch[at : at + end + length])
        at += end + length
    return found


def agree_written(chance, rules, stored, payloads, functions=None):
    """What is written as messages is what the JSON of it is encoded as, whatever the events are."""
    lines = Protobuf(stored).decode(wire_messages.delimited(*payloads))[0].split(b"\n")[:-1]
    plain = Program(rules, functions).run(lines)
    columns = {}
    for rule in rules:
        columns.setdefault(json.loads(rule)["into"], {}).update(columns_of(rule))
    outputs = {}
    for dataset, named in columns.items():
        kept = {name: kind if kind != "NULL" else "VARCHAR" for name, kind in named.items()}
        outputs[dataset] = wire_messages.stored_bytes(wire_messages.row_descriptor(chance, list(kept.items())))
    stars = {json.loads(rule)["into"] for rule in rules if isinstance(json.loads(rule)["select"], dict)}
    for dataset in stars:
        # Another message that the event fits somehow.
        outputs[dataset] = wire_messages.stored_bytes(wire_messages.draw_descriptor(chance))
    expected = {dataset: Protobuf(outputs[dataset]).encode(rows) for dataset, rows in plain.outputs.items()}
    for program, batch in (
        (Program(rules, functions, outputs=outputs), lines),
        (Program(rules, functions, input=stored, outputs=outputs), payloads),
        (Program(rules, functions, input=stored, outputs=outputs), wire_messages.delimited(*payloads)),
    ):
        found = program.run(batch)
        assert said(found)[1:] == said(plain)[1:]
        assert {name: split(rows) for name, rows in found.outputs.items()} == {n: split(rows) for n, rows in expected.items()}


def check(rules, seed):
    chance = seeded_random(seed)
    descriptor = wire_messages.draw_descriptor(chance)
    payloads = wire_messages.draw_payloads(chance, descriptor, 8)
    agree(rules, wire_messages.stored_bytes(descriptor), payloads)
    agree_written(chance, rules, wire_messages.stored_bytes(descriptor), payloads)


def draw_rules(chance, descriptor):
    """Rules that read the fields of a message as what they are."""
    fields = wire_messages.draw_fields(chance, descriptor)
    rules = []
    for number in range(3):
        columns = [[f"c{at}", field] for at, field in enumerate(chance.sample(fields, min(len(fields), 6)))]
        asked = chance.choice(fields) if fields else None
        where = ["call", "is_not_null", "BOOLEAN", [asked]] if asked and chance.random() < 0.3 else None
        star = {"star": True, "exclude": ["a"] if chance.random() < 0.5 else [], "replace": []}
        rules.append(physical(f"r{number}", f"out{number}", where, star if number == 2 else columns))
    return rules


@pytest.mark.parametrize("block", range(10))
def test_fields_that_are_read_as_what_they_are(block):
    for seed in range(block * 50, block * 50 + 50):
        chance = seeded_random(seed)
        descriptor = wire_messages.draw_descriptor(chance)
        rules = draw_rules(chance, descriptor)
        payloads = wire_messages.draw_payloads(chance, descriptor, 8)
        agree(rules, wire_messages.stored_bytes(descriptor), payloads)
        agree_written(chance, rules, wire_messages.stored_bytes(descriptor), payloads)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(generated.programs, st.integers(0, 2**32))
def test_generated_rules_and_messages(rules, seed):
    check(rules, seed)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=CHECKS)
@given(generated.programs, st.integers(0, 2**32))
def test_many_generated_rules_and_messages(rules, seed):
    check(rules, seed)


MESSAGE = {
    "messages": [
        {
            "name": "M",
            "fields": [
                {"name": "n", "number": 1, "kind": "int64"},
                {"name": "t", "number": 2, "kind": "string", "cardinality": "implicit"},
                {"name": "deep", "number": 3, "kind": "message", "message": 0},
            ],
        }
    ]
}
RULE = physical("r", "out", None, [["n", ["field", ["n"], "BIGINT"]], ["t", ["field", ["t"], "VARCHAR"]]])


def test_absent_zero_and_empty_are_told_apart_where_the_descriptor_does():
    program = Program([RULE], input=wire_messages.stored_bytes(MESSAGE))
    found = program.run(wire_messages.delimited(b"", b"\x08\x00", b"\x12\x01a", b"\x08\x01\x08\x02"))
    assert found.outputs["out"] == b'{"t":""}\n{"n":0,"t":""}\n{"t":"a"}\n{"n":2,"t":""}\n'


def test_what_is_left_of_a_batch_is_one_reject():
    program = Program([RULE], input=wire_messages.stored_bytes(MESSAGE))
    whole = wire_messages.delimited(b"\x08\x01")
    assert program.run(whole + b"\x05ab").rejects == [(1, 3, 6, "cut_off", 3)]
    assert program.run(whole + b"\xff\xff\xff\xff\xff").rejects == [(1, 3, 8, "invalid_varint", 0)]
    assert program.run(b"").events == 0


def test_depth_is_bounded():
    program = Program([RULE], input=wire_messages.stored_bytes(MESSAGE))
    payload = b"\x08\x01"
    for _ in range(99):
        payload = b"\x1a" + wire_messages.varint(len(payload)) + payload
    deeper = b"\x1a" + wire_messages.varint(len(payload)) + payload
    assert [(index, reason) for index, _, _, reason, _ in program.run([payload, deeper]).rejects] == [(1, "too_deep")]


def test_a_descriptor_that_is_none_is_refused():
    with pytest.raises(ValueError, match="list of messages"):
        Program([RULE], input=b"{}")


def test_payloads_of_records_are_messages():
    payloads = [b"\x08\x07\x12\x01x", b"\x08"]
    records = b"".join(record.encode(record.Record(received_time=1, payload=payload)) for payload in payloads)
    program = Program([RULE], input=wire_messages.stored_bytes(MESSAGE))
    found = program.run_records(records, "topic", 0, 5, 1)
    assert [one.payload for one in record.decode_all(found.outputs["out"])] == [b'{"n":7,"t":"x"}']
    assert [(index, reason) for index, _, _, reason, _ in found.rejects] == [(1, "cut_off")]


def test_whole_events_are_copied_where_the_descriptors_agree():
    stored = wire_messages.stored_bytes(MESSAGE)
    rules = [
        physical("all", "same", None, {"star": True, "exclude": [], "replace": []}),
        physical("less", "some", None, {"star": True, "exclude": ["t"], "replace": []}),
        physical("row", "out", None, [["n", ["field", ["n"], "BIGINT"]], ["one", ["literal", "BIGINT", 1]]]),
    ]
    # Fields out of order, one that is unknown, and one that stands twice.
    payloads = [b"\x12\x01x\x08\x07", b"\x08\x01\x4a\x01z", b"\x08\x01\x08\x02"]
    program = Program(rules, input=stored, outputs={"same": stored, "some": stored, "out": stored})
    batch = wire_messages.delimited(*payloads)
    for given_batch in (batch, payloads):
        outputs = program.run(given_batch).outputs
        assert outputs["same"] == batch
        assert outputs["some"] == outputs["out"] == wire_messages.delimited(b"\x08\x07", b"\x08\x01", b"\x08\x02")
    records = b"".join(record.encode(record.Record(received_time=1, payload=payload)) for payload in payloads)
    outputs = program.run_records(records, "topic", 0, 5, 1).outputs
    assert [one.payload for one in record.decode_all(outputs["same"])] == payloads
    assert [one.payload for one in record.decode_all(outputs["out"])] == [b"\x08\x07", b"\x08\x01", b"\x08\x02"]


@pytest.mark.parametrize("length", [0, 1, 100, 125, 126, 127, 128, 16_379, 16_380, 16_381, 3_000_000])
def test_rows_of_every_length_stand_behind_it(length):
    stored = wire_messages.stored_bytes(MESSAGE)
    rules = [physical("r", "out", None, [["t", ["field", ["t"], "VARCHAR"]]])]
    event = json.dumps({"t": "x" * length}).encode()
    outputs = Program(rules, outputs={"out": stored}).run([event, event]).outputs
    row = b"\x12" + wire_messages.varint(length) + b"x" * length
    assert outputs["out"] == wire_messages.delimited(row, row)


ROW = {
    "messages": [
        {
            "name": "R",
            "fields": [
                {"name": "n", "number": 1, "kind": "int64"},
                {"name": "t", "number": 2, "kind": "string"},
                {"name": "upper", "number": 20, "kind": "string"},
                {"name": "whole", "number": 4, "kind": "int64"},
            ],
        }
    ]
}


def test_what_rules_share_is_right_where_one_of_them_fails():
    text, number = ["field", ["t"], "VARCHAR"], ["field", ["n"], "BIGINT"]
    upper = ["upper", ["call", "upper", "VARCHAR", [text]]]
    star = {"star": True, "exclude": [], "replace": []}
    rules = [
        physical("fails", "a", None, [upper, ["whole", ["call", "cast", "BIGINT", [text]]]]),
        physical("first", "b", None, [["n", number], upper]),
        physical("second", "c", None, [["t", text], upper, ["n", number]]),
        physical("star1", "d", None, star),
        physical("star2", "e", None, star),
        physical("other", "f", None, star),
    ]
    rows = wire_messages.stored_bytes(ROW)
    outputs = {**dict.fromkeys("abcde", rows), "f": wire_messages.stored_bytes(MESSAGE)}
    lines = [b'{"n":1,"t":"ab"}', b'{"n":2,"t":"12"}', b'{"t":"\xc3\xa9"}', b'{"n":300}', b'{"n":-1,"t":"%s"}' % (b"7" * 300)]
    messages = Protobuf(outputs["f"]).encode(b"\n".join(lines))
    plain, over_messages = Program(rules).run(lines), Program(rules, input=outputs["f"]).run(messages)
    # What is passed on as it is has no field that is absent from it.
    for found, expected, whole in (
        (Program(rules, outputs=outputs).run(lines), plain, Protobuf(outputs["f"]).encode(plain.outputs["f"])),
        (Program(rules, input=outputs["f"], outputs=outputs).run(messages), over_messages, messages),
    ):
        assert [rule for _, _, _, rule, *_ in found.failures] == [0] * len(expected.failures)
        assert len(expected.failures) >= 3
        encoded = {name: Protobuf(outputs[name]).encode(text) for name, text in expected.outputs.items()}
        assert dict(found.outputs) == {**encoded, "f": whole}
        assert found.outputs["d"] == found.outputs["e"]
