"""Rows as Protobuf and back, beside Google's own library: generated schemas and events, and what is no message."""

import base64
import json
import math
import struct
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from protobufs import ROWS, message_class
from wire_messages import delimited, varint

from headwater.core.descriptor import Descriptor, descriptor_to_json
from headwater.core.types import DataType, ListOf, Scalar, StructOf, type_to_json
from headwater.kernel import Program, Protobuf
from headwater.kernel.reference import ReferenceProgram
from headwater.registry.numbers import Numbers
from headwater.registry.proto_file import descriptor_from_files
from headwater.registry.proto_schema import generated

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def codec(descriptor: Descriptor) -> Protobuf:
    return Protobuf(json.dumps(descriptor_to_json(descriptor)).encode())


def split(batch: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(batch):
        length = shift = 0
        while True:
            byte, at = batch[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found.append(batch[at : at + length])
        at += length
    return found


def values_of(kind: DataType) -> st.SearchStrategy[object]:
    """JSON values: mostly such as the type reads, and some of other types."""
    match kind:
        case ListOf(item):
            return st.lists(values_of(item), max_size=3)
        case StructOf(fields):
            return st.fixed_dictionaries({}, optional={name: values_of(inner) for name, inner in fields})
    whole, real, text = st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)
    ours = {
        "BIGINT": whole,
        "DOUBLE": real | st.integers(-1000, 1000),
        "BOOLEAN": st.booleans(),
        "VARCHAR": text,
        "TIMESTAMP": st.integers(-(10**13), 10**13)
        | st.sampled_from(["2026-01-02T03:04:05.678901Z", "0001-01-01", "9999-12-31"]),
        "JSON": st.recursive(st.none() | whole | text, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner)),
    }
    return ours[str(kind)] | ours[str(kind)] | st.none() | st.sampled_from(["12", "x", True, 1e3, 7, [], {}])


def expected(value: object, kind: DataType) -> object:
    """What a reader of the message sees of a row's value: no NULL items, no empty lists."""
    match kind:
        case ListOf(item):
            assert isinstance(value, list)
            found = [expected(one, item) for one in value if one is not None]
            return found
        case StructOf(fields):
            assert isinstance(value, dict)
            seen = {name: expected(value[name], inner) for name, inner in fields if name in value}
            return {name: one for name, one in seen.items() if one != [] or not isinstance(dict(fields)[name], ListOf)}
        case Scalar("DOUBLE"):
            return float(value)  # type: ignore[arg-type]
    return value


def seen(message, numbers, dataset, kind: StructOf, path=()):
    """The same from Google's library."""
    found = {}
    for name, inner in kind.fields:
        number = numbers.find(dataset, path, name)
        present = {field.number: (field, value) for field, value in message.ListFields()}
        if number.number in present:
            found[name] = seen_value(present[number.number][1], numbers, dataset, inner, (*path, name))
    return found


def seen_value(value, numbers, dataset, kind, path):
    match kind:
        case ListOf(item):
            return [seen_value(one.items if isinstance(item, ListOf) else one, numbers, dataset, item, path) for one in value]
        case StructOf():
            return seen(value, numbers, dataset, kind, path)
        case Scalar("TIMESTAMP"):
            micros = value.seconds * 1_000_000 + value.nanos // 1000
            at = (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat()
            return at.rstrip("0") + "Z" if "." in at else at + "Z"
        case Scalar("JSON"):
            return json.loads(value)
    return value


@settings(max_examples=40)
@given(st.data())
def test_rows_decode_equal_with_the_official_library(tmp_path_factory, data):
    row = data.draw(ROWS)
    numbers = Numbers()
    numbers.assign("rows", row)
    descriptor = generated("shop", "rows", row, numbers)
    official = message_class(dict(descriptor.files), "shop.Rows", tmp_path_factory.mktemp("proto"))
    select = [[name, ["field", [name], type_to_json(kind)]] for name, kind in row.fields]
    rule = {"format": 1, "name": "r", "owner": None, "tier": None, "description": None}
    rule |= {"from": "events", "into": "rows", "where": None, "select": select}
    stored = [json.dumps(rule).encode()]
    events = [json.dumps(data.draw(values_of(row)), ensure_ascii=data.draw(st.booleans())).encode() for _ in range(3)]
    lines = Program(stored).run(b"\n".join(events)).outputs["rows"]
    truth = ReferenceProgram(stored).run(b"\n".join(events)).outputs["rows"]
    encoded = codec(descriptor).encode(lines)
    rows = [json.loads(line) for line in truth.splitlines()]
    found = [seen(official.FromString(one), numbers, "rows", row) for one in split(encoded)]
    assert found == [expected(one, row) for one in rows]
    # And back: what it is read as from Protobuf is what a reader sees.
    again, places, rejects, read = codec(descriptor).decode(encoded)
    assert (rejects, read, len(places)) == ([], len(encoded), 3)
    assert [expected(json.loads(line), row) for line in again.splitlines()] == found


KINDS = """\
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
message M {
  optional int64 i64 = 1; int32 i32 = 2; uint64 u64 = 3; optional uint32 u32 = 4; sint64 s64 = 5; optional sint32 s32 = 6;
  optional fixed64 f64 = 7; fixed32 f32 = 8; optional sfixed64 sf64 = 9; optional sfixed32 sf32 = 10;
  optional double d = 11; optional float f = 12; optional bool b = 13; optional string s = 14; optional bytes y = 15;
  enum E { ZERO = 0; ONE = 1; } optional E e = 16; optional M m = 17; repeated M ms = 2000;
  repeated int64 packed = 19; repeated int64 loose = 20 [packed = false]; repeated string ss = 21; repeated double ds = 22;
  map<string, int64> counts = 23; map<int32, M> by = 24; optional google.protobuf.Timestamp at = 25; repeated bool bs = 26;
  bool implicit = 27; string empty = 28;
}
"""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    official = message_class({"t.proto": KINDS}, "t.M", tmp_path_factory.mktemp("kinds"))
    return official, codec(descriptor_from_files({"t.proto": KINDS}, "t.proto", "t.M"))


def as_json(official, message) -> dict[str, object]:
    """What a message stands for, told by the official library."""
    found: dict[str, object] = {}
    for field in official.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"].message_type
            if value:
                found[field.name] = {str(key): one if inner is None else as_json(type(one), one) for key, one in value.items()}
        elif field.is_repeated:
            if len(value):
                found[field.name] = [item(field, one) for one in value]
        elif not field.has_presence or message.HasField(field.name):
            found[field.name] = item(field, value)
    return found


def item(field, value):
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            micros = value.seconds * 1_000_000 + value.nanos // 1000
            at = (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat()
            return at.rstrip("0") + "Z" if "." in at else at + "Z"
        return as_json(type(value), value)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


FIELDS = st.lists(
    st.tuples(st.sampled_from([*range(1, 30), 2000]), st.integers(0, 5), st.binary(max_size=12), st.integers(0, 2**64 - 1))
)


def wire(fields) -> bytes:
    """Fields of any number and wire type; bytes are mostly such as the fields can be."""
    out = b""
    for number, kind, data, bits in fields:
        content = {0: varint(bits), 1: struct.pack("<Q", bits), 5: struct.pack("<I", bits % 2**32), 2: varint(len(data)) + data}
        if kind in content:
            out += varint(number << 3 | kind) + content[kind]
        else:
            out += varint(number << 3 | 3) + varint(8) + varint(number << 3 | 4)
    return out


@settings(max_examples=1500)
@given(
    st.one_of(
        FIELDS.map(wire),
        st.binary(max_size=30),
        st.tuples(FIELDS.map(wire), st.integers(0, 40)).map(lambda one: one[0][: one[1]]),
    )
)
def test_what_the_official_library_reads_is_read_the_same(kinds, payload):
    official, ours = kinds
    lines, _, rejects, read = ours.decode(delimited(payload))
    assert read == len(delimited(payload))
    try:
        message = official.FromString(payload)
    except DecodeError:
        assert [index for index, _, _ in rejects] == [0]
        assert lines == b"\n"
        return
    if message.HasField("at") and not (-62135596800 <= message.at.seconds <= 253402300799 and 0 <= message.at.nanos < 10**9):
        return
    assert rejects == []
    assert json.loads(lines) == as_json(official, message)


MESSAGES = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "i64": st.integers(-(2**63), 2**63 - 1),
            "u64": st.integers(0, 2**64 - 1),
            "s32": st.integers(-(2**31), 2**31 - 1),
            "f32": st.integers(0, 2**32 - 1),
            "sf64": st.integers(-(2**63), 2**63 - 1),
            "d": st.floats(),
            "f": st.floats(width=32),
            "b": st.booleans(),
            "s": st.text(max_size=5),
            "y": st.binary(max_size=5),
            "e": st.integers(0, 3),
            "packed": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
            "loose": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
            "ss": st.lists(st.text(max_size=3), max_size=3),
            "counts": st.dictionaries(st.text(max_size=2), st.integers(-5, 5), max_size=3),
            "implicit": st.booleans(),
            "empty": st.text(max_size=2),
        },
    ),
    lambda inner: st.fixed_dictionaries({}, optional={"m": inner, "ms": st.lists(inner, max_size=2)}),
    max_leaves=4,
)


@settings(max_examples=200)
@given(MESSAGES, MESSAGES)
def test_messages_that_stand_twice_are_merged(kinds, first, second):
    official, ours = kinds
    payload = official(**first).SerializeToString() + official(**second).SerializeToString()
    lines, _, rejects, _ = ours.decode(delimited(payload))
    assert rejects == []
    assert json.loads(lines) == as_json(official, official.FromString(payload))


BROKEN = [
    (b"\x08", "cut_off", 1),
    (b"\x72\x05abc", "cut_off", 5),
    (b"\x39\x00", "cut_off", 2),
    (b"\x00", "invalid_tag", 0),
    (b"\x0e", "invalid_tag", 0),
    (b"\x08" + b"\xff" * 11, "invalid_varint", 1),
    (b"\x72\x02\xc3\x28", "invalid_utf8", 2),
    (b"\x8a\x01\x03\x72\x01\xff", "invalid_utf8", 5),
    (b"\x0c", "unmatched_group", 0),
    (b"\xdb\x01", "unmatched_group", 0),
    (b"\xdb\x01\xd4\x01", "unmatched_group", 2),
]


@pytest.mark.parametrize(("payload", "reason", "at"), BROKEN)
def test_what_is_no_message_is_refused_with_a_reason(kinds, payload, reason, at):
    good = b"\x68\x01"
    lines, places, rejects, _ = kinds[1].decode(delimited(good, payload, good))
    assert rejects == [(1, reason, at)]
    assert [line != b"" for line in lines.split(b"\n")] == [True, False, True, False]
    assert places[1] == (4, 4 + len(payload))


def test_depth_is_bounded(kinds):
    payload = b""
    for _ in range(120):
        payload = b"\x8a\x01" + varint(len(payload)) + payload
    assert [reason for _, reason, _ in kinds[1].decode(delimited(payload))[2]] == ["too_deep"]
    assert [reason for _, reason, _ in kinds[1].decode(delimited(b"\xdb\x01" * 200 + b"\xdc\x01" * 200))[2]] == ["too_deep"]


def test_a_last_message_that_is_not_whole_is_left(kinds):
    whole = delimited(b"\x68\x01")
    for rest in (b"\x05ab", b"\x80", b"\xff\xff"):
        assert kinds[1].decode(whole + rest)[3] == len(whole)
    assert kinds[1].decode(whole + b"\xff\xff\xff\xff\xff")[2] == [(1, "invalid_varint", 0)]


WRONG = [
    ("[]", "list of messages"),
    ('{"messages": []}', "list of messages"),
    ('{"messages": [{"name": "A"}]}', "no list of fields"),
    ('{"messages": [{"name": "A", "fields": [{"name": "a", "number": 0, "kind": "bool"}]}]}', "is not from 1"),
    ('{"messages": [{"name": "A", "fields": [{"name": "a", "number": 1, "kind": "text"}]}]}', "is not one"),
    ('{"messages": [{"name": "A", "fields": [{"name": "a", "number": 1, "kind": "message", "message": 1}]}]}', "is not one"),
    ('{"messages": [{"name": "A", "meaning": "items", "fields": []}]}', "one field, which is repeated"),
    ("{", "is not JSON"),
]


@pytest.mark.parametrize(("stored", "said"), WRONG)
def test_a_descriptor_that_is_none_is_refused(stored, said):
    with pytest.raises(ValueError, match=said):
        Protobuf(stored.encode())


def test_what_is_no_row_is_said(kinds):
    with pytest.raises(ValueError, match="line 2 is no JSON object"):
        kinds[1].encode(b'{"b":true}\n[1]\n')
    assert kinds[1].encode(b'\n{"b":false,"gone":1}\n \n') == b"\x02\x68\x00"
