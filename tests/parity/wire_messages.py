"""Random descriptors whose fields have the names that generated rules ask for, and messages that mostly fit them."""

from __future__ import annotations

import json
import struct
from typing import Any

from headwater.core.ids import Random

NAMES = ["a", "b", "p", "é", "ab", "x", "y", "q", "z", "k", "new"]
WHOLE = ["int64", "int32", "uint64", "uint32", "sint64", "sint32", "fixed64", "fixed32", "sfixed64", "sfixed32"]
KINDS = [
    *WHOLE,
    "int64",
    "int64",
    "double",
    "double",
    "float",
    "bool",
    "bool",
    *["string"] * 8,
    "bytes",
    "enum",
    *["message"] * 5,
]
TEXTS = ["", "a", "ab", "é", "🎬 x", "12", "007", "1.5", "true", "2026-01-02T03:04:05Z", 'q"\\\n\0\t', "x" * 200, "a\u2028b"]
JSONS = ["null", "1", '"t"', '{"x": 1,\n"y":"z","x":2}', "[1, 2.50]", "{", "", "1e400", "[]", '{"k":{"x":"7"}}']
WIRES = {"fixed64": 1, "sfixed64": 1, "double": 1, "string": 2, "bytes": 2, "message": 2, "group": 3}
WIRES |= {"fixed32": 5, "sfixed32": 5, "float": 5}
TIME = {
    "name": "T",
    "meaning": "timestamp",
    "fields": [
        {"name": "seconds", "number": 1, "kind": "int64", "cardinality": "implicit"},
        {"name": "nanos", "number": 2, "kind": "int32", "cardinality": "implicit"},
    ],
}


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def delimited(*payloads: bytes) -> bytes:
    return b"".join(varint(len(payload)) + payload for payload in payloads)


def draw_descriptor(chance: Random) -> dict[str, Any]:
    """The stored form of a descriptor."""
    items = {
        "name": "I",
        "meaning": "items",
        "fields": [draw_field(chance, "items", 1, chance.choice(["int64", "string"]), True)],
    }
    value = draw_field(chance, "value", 2, chance.choice(["int64", "string", "message"]))
    entry = {"name": "E", "fields": [{"name": "key", "number": 1, "kind": chance.choice(["string", "int32"])}, value]}
    messages = [TIME, items, entry]
    made = [draw_message(chance, f"M{number}", number + 1) for number in range(3)]
    # Messages 0 to 2 have fields, of which some hold later ones.
    stored = [*made, *messages]
    value.pop("cardinality", None)
    if value["kind"] == "message":
        value["message"] = 2
    return {"messages": stored}


def draw_message(chance: Random, name: str, deeper: int) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    numbers = chance.sample([*range(1, 20), 600, 5000], 12)
    for called in NAMES:
        if chance.random() < 0.15:
            continue
        kind = chance.choice(KINDS)
        if called in ("p", "q") and chance.random() < 0.7:
            kind = "message"
        field = draw_field(chance, called, numbers[len(fields)], kind)
        if kind == "message":
            field["message"] = chance.choice([min(deeper, 2), min(deeper, 2), 3, 4, 5])
            if called == "p" and chance.random() < 0.8:
                field.pop("cardinality", None)
                field["message"] = min(deeper, 2)
            elif field["message"] == 5:
                field["cardinality"] = "map"
        fields.append(field)
    return {"name": name, "fields": fields}


def draw_field(chance: Random, name: str, number: int, kind: str, repeated: bool = False) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "number": number, "kind": kind}
    pick = chance.random()
    if repeated or pick < 0.2:
        field["cardinality"] = "repeated"
        if kind not in ("string", "bytes", "message") and chance.random() < 0.7:
            field["cardinality"] = "packed"
    elif pick < 0.4 and kind != "message":
        field["cardinality"] = "implicit"
    if kind == "enum":
        field["values"] = [[0, "ZERO"], [1, "a"], [2, "12"], [-1, "true"]]
    if kind == "string" and chance.random() < 0.2:
        field["meaning"] = "json"
    return field


def draw_value(chance: Random, stored: dict[str, Any], field: dict[str, Any], depth: int) -> bytes:
    """What stands behind a tag."""
    kind = field["kind"]
    match WIRES.get(kind, 0):
        case 0:
            bits = chance.choice([0, 1, 2, 7, 300, 1767323045123, 2**31, 2**63 - 1, 2**63, 2**64 - 1, chance.getrandbits(64)])
            written = varint(bits)
            # A longer form than is needed is read as well.
            return written[:-1] + bytes([written[-1] | 0x80, 0]) if chance.random() < 0.03 and len(written) < 9 else written
        case 1:
            double = chance.choice([0.0, -0.0, 1.5, 1e300, 7.0, 0.1, float("nan"), float("-inf")] + [2.5] * 20)
            return struct.pack("<d", double) if kind == "double" else struct.pack("<Q", chance.choice([0, 7, 2**63, 2**63 - 1]))
        case 5:
            single = chance.choice([0.0, 1.5, 0.1, float("inf")] + [2.5] * 20)
            return struct.pack("<f", single) if kind == "float" else struct.pack("<I", chance.choice([0, 7, 2**31, 2**32 - 1]))
    if kind == "message":
        content = draw_payload(chance, stored, field["message"], depth + 1)
    elif kind == "bytes":
        content = bytes(chance.getrandbits(8) for _ in range(chance.randrange(8)))
    else:
        content = chance.choice(JSONS if field.get("meaning") == "json" else TEXTS).encode()
    return varint(len(content)) + content


def draw_payload(chance: Random, stored: dict[str, Any], number: int = 0, depth: int = 0) -> bytes:
    """A message that mostly fits: fields in the order of the descriptor, now and then twice, mixed, of other types, unknown."""
    parts = []
    for field in stored["messages"][number]["fields"]:
        if depth > 4 or chance.random() < 0.25:
            continue
        many = field.get("cardinality") in ("repeated", "packed", "map")
        tag = field["number"] << 3 | WIRES.get(field["kind"], 0)
        if field.get("cardinality") == "packed" and chance.random() < 0.8:
            run = b"".join(draw_value(chance, stored, field, depth) for _ in range(chance.randrange(4)))
            parts.append(varint(field["number"] << 3 | 2) + varint(len(run)) + run)
            continue
        for _ in range(chance.randrange(4) if many else 1 + (chance.random() < 0.04)):
            parts.append(varint(tag) + draw_value(chance, stored, field, depth))
    if chance.random() < 0.1:
        parts.append(odd_field(chance))
    if chance.random() < 0.15:
        chance.shuffle(parts)
    return b"".join(parts)


def odd_field(chance: Random) -> bytes:
    """A field of any number and wire type."""
    number, kind = chance.choice([*range(1, 20), 600, 7000, 2**29 - 1]), chance.choice([0, 1, 2, 2, 5, 3])
    content = {
        0: varint(chance.getrandbits(64)),
        1: b"12345678",
        5: b"1234",
        2: b"\x03abc",
        3: b"\x08\x01" + varint(number << 3 | 4),
    }
    return varint(number << 3 | kind) + content[kind]


def damaged(chance: Random, payload: bytes) -> bytes:
    """One in a few has a byte changed, lost or added."""
    if chance.random() < 0.8:
        return payload
    at, lost = chance.randrange(len(payload) + 1), chance.randrange(3)
    return payload[:at] + chance.choice([b"", b"\x00", b"\xff", b"\x80", b"\x0b", b"\xc3"]) + payload[at + lost :]


def draw_payloads(chance: Random, stored: dict[str, Any], count: int) -> list[bytes]:
    """Messages of the first kind, of which some are damaged."""
    return [damaged(chance, draw_payload(chance, stored)) for _ in range(count)]


NATURAL = dict.fromkeys(WHOLE, "BIGINT") | {"double": "DOUBLE", "float": "DOUBLE", "bool": "BOOLEAN", "message": "JSON"}


def draw_type(chance: Random, stored: dict[str, Any], field: dict[str, Any], depth: int = 0) -> Any:
    """A type that a field is read as: mostly what it is."""
    if chance.random() < 0.1:
        return chance.choice(["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "JSON", {"list": "VARCHAR"}])
    kind: Any = NATURAL.get(field["kind"], "VARCHAR")
    if field.get("cardinality") == "map" or field.get("meaning"):
        return "JSON"
    if field["kind"] == "message":
        message = stored["messages"][field["message"]]
        meaning = message.get("meaning")
        if meaning == "timestamp":
            kind = "TIMESTAMP"
        elif meaning == "items":
            kind = {"list": NATURAL.get(message["fields"][0]["kind"], "VARCHAR")}
        elif depth < 3:
            inner = [one for one in message["fields"] if chance.random() < 0.8 and one["name"] != "p"]
            chance.shuffle(inner)
            kind = {
                "struct": [[one["name"], draw_type(chance, stored, one, depth + 1)] for one in inner[: chance.randrange(1, 12)]]
            }
    return {"list": kind} if field.get("cardinality") in ("repeated", "packed") else kind


def draw_fields(chance: Random, stored: dict[str, Any], number: int = 0, above: tuple[str, ...] = ()) -> list[Any]:
    """Field expressions over a message: each of its fields once or so, and of what is inside it."""
    found: list[Any] = []
    for field in stored["messages"][number]["fields"]:
        path = [*above, field["name"]]
        if chance.random() < 0.8:
            found.append(["field", path, draw_type(chance, stored, field)])
        if field["kind"] == "message" and len(path) < 3:
            found += draw_fields(chance, stored, field["message"], tuple(path))
    return found


def stored_bytes(descriptor: dict[str, Any]) -> bytes:
    return json.dumps(descriptor).encode()


KIND_OF = {"BIGINT": "int64", "DOUBLE": "double", "BOOLEAN": "bool", "VARCHAR": "string", "JSON": "string"}
KIND_OF["TIMESTAMP"] = "message"


def row_descriptor(chance: Random, columns: list[tuple[str, Any]]) -> dict[str, Any]:
    """A descriptor for rows of these columns, most of whose fields are what the columns are."""
    messages: list[dict[str, Any]] = [{}, TIME]
    messages[0] = row_message(chance, messages, columns)
    return {"messages": messages}


def row_message(chance: Random, messages: list[dict[str, Any]], columns: list[tuple[str, Any]]) -> dict[str, Any]:
    numbers = chance.sample([*range(1, 30), 600, 5000], len(columns))
    fields = []
    for number, (name, kind) in zip(numbers, columns, strict=True):
        if chance.random() < 0.1:
            continue
        field = row_field(chance, messages, name, kind)
        field["number"] = number
        fields.append(field)
    chance.shuffle(fields)
    return {"name": "R", "fields": fields}


def row_field(chance: Random, messages: list[dict[str, Any]], name: str, kind: Any) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name}
    if chance.random() < 0.15:
        field["kind"] = chance.choice([*WHOLE, "double", "float", "bool", "string", "bytes"])
        return field
    if isinstance(kind, dict) and "list" in kind:
        inner = row_field(chance, messages, "items", kind["list"])
        if inner.pop("cardinality", "implicit") != "implicit":
            inner["cardinality"] = "packed" if inner["kind"] not in ("string", "bytes", "message") else "repeated"
            messages.append({"name": "I", "meaning": "items", "fields": [{**inner, "number": 1}]})
            inner = {"kind": "message", "message": len(messages) - 1}
        packable = inner["kind"] not in ("string", "bytes", "message")
        return {**inner, "name": name, "cardinality": "packed" if packable else "repeated"}
    if isinstance(kind, dict):
        messages.append({})
        at = len(messages) - 1
        messages[at] = row_message(chance, messages, [tuple(one) for one in kind["struct"]])
        return {**field, "kind": "message", "message": at}
    field["kind"] = KIND_OF[kind]
    if kind == "BIGINT" and chance.random() < 0.2:
        field["kind"] = chance.choice(WHOLE)
    if kind == "TIMESTAMP":
        field["message"] = 1
    elif kind == "JSON":
        field["meaning"] = "json"
    elif chance.random() < 0.2:
        field["cardinality"] = "implicit"
    return field
