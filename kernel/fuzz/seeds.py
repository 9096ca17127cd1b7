"""Writes the inputs that fuzzing begins with, made of `tests/cases`: python kernel/fuzz/seeds.py DIRECTORY.

The heads of the files in `fuzz_targets` say what an input is.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1] / "tests"
sys.path.insert(0, str(TESTS / "parity"))

import case_files  # noqa: E402

# Larger inputs slow fuzzing down more than they help it.
SEED_BYTES_MAX = 3000
PATTERN_OPERATIONS = ("regexp_matches", "regexp_full_match", "regexp_extract", "regexp_replace")


def rules_and_events(case: dict[str, Any]) -> tuple[list[bytes], list[bytes]]:
    """The physical rules of a case, and its events, one a line."""
    if "rules" in case:
        events = [case_files.as_bytes(event) for event in case["events"]]
        return [case_files.physical(**rule) for rule in case["rules"]], [event for event in events if b"\n" not in event]
    if "type" in case:
        events = [f'{{"v":{case_files.json_text(given)}}}'.encode() for given, *_ in case["values"]]
        return [case_files.physical(select=[["v", ["field", ["v"], case["type"]]]])], events
    fields = case["fields"]
    expression = case_files.resolved(case["expression"], fields)
    events = [case_files.event_of(dict(zip(fields, arguments, strict=True))) for *arguments, _ in case["values"]]
    rules = [case_files.physical(select=[["r", expression]])]
    if expression[2] == "BOOLEAN":
        rules.append(case_files.physical("w", "out", expression, {"star": True}))
    return rules, events


def patterns(case: dict[str, Any]) -> Iterator[bytes]:
    """Patterns of a case with the texts that they are tried on."""
    match case.get("expression"):
        case ["call", op, _, [_, ["literal", "VARCHAR", pattern], *rest]] if op == "like" or op in PATTERN_OPERATIONS:
            written = rest[-1][2] if rest and rest[-1][1] == "VARCHAR" else ""
            options = 128 if op == "like" else sum(1 << bit for bit, letter in enumerate("gils") if letter in written)
            for given, *_ in case["values"]:
                text = json.loads(case_files.json_text(given) or '""')
                if isinstance(text, str):
                    yield bytes([options]) + f"{pattern}\0{text}".encode("utf-8", "surrogatepass")


def bodies() -> Iterator[bytes]:
    """Bodies of requests to the collector; the first byte chooses protocol and shape as `intake.rs` lists them."""
    for file in sorted((TESTS / "cases/protocols").glob("*.yaml")):
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            body = case.get("body", "")
            body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
            for shape in (0, 1, 3):
                yield bytes([shape]) + body


def record(payload: bytes, event_id: bytes = b"e-1") -> bytes:
    """A record of docs/formats/record.md."""
    fixed = struct.pack("<BBHqqQIIHHHH", 1, 2, 1, 1000, 2000, 7, 0, 9, len(event_id), 1, 0, 0)
    rest = fixed + b"k" + event_id + b"t" + payload
    return struct.pack("<I", len(rest)) + rest


def records() -> Iterator[bytes]:
    """Batches of records, and choices from which the target makes more."""
    yield b"\0" + record(b"{}") + record(b'{"a":1}', b"")
    yield b"\1" + record(b"{}")
    size = len(record(b"{}"))
    chunk, of_record = struct.pack("<IIIB3x", size, size, 0, 0), struct.pack("<IIQIIII", 0, 0, 0, 1, 0, 0, size)
    directory = struct.pack("<IIII4q", 1, 1, 1, 0, 0, 0, 0, 0) + chunk + of_record + struct.pack("<H", 1) + b"t"
    yield b"\2\0" + struct.pack("<HH", size, len(directory)) + directory + record(b"{}")
    for choice in (3, 4):
        yield bytes([choice]) + bytes(range(1, 200))


def protobufs() -> Iterator[bytes]:
    """Rows, messages, and descriptors with messages."""
    descriptor = (HERE / "seeds/descriptor.json").read_bytes()
    row = b'{"a":1,"b":"x","c":{"a":2},"d":[1.5,2],"e":{"x":[1]},"f":{"i":-3},"g":[[1,2],[]],"h":0,"j":{"k":{}},"k":[true]}'
    batch = b"\x0e\x08\x05\x12\x02\xc3\xa9\x1a\x02\x08\x01\x48\x03\x6a\x00"
    yield b"\x40" + row
    yield b"\0" + batch
    yield b"\xff" + descriptor + b"\0" + batch
    yield b"\xff" + b'{"messages":[{"name":"M","fields":[{"name":"a","number":1,"kind":"int64"}]}]}' + b"\0\x02\x08\x01"


def all_seeds() -> Iterator[tuple[str, bytes]]:
    """(target, input)."""
    for _, case in case_files.load():
        rules, events = rules_and_events(case)
        yield "physical", b"\n".join(rules) + b"\n\n" + b"\n".join(events)
        yield "scan", b"\n".join(events)
        for seed in patterns(case):
            yield "patterns", seed
    for target, made in (("intake", bodies()), ("records", records()), ("protobuf", protobufs())):
        for seed in made:
            yield target, seed
    for seed in protobufs():
        yield "wire", seed
    for number in range(16):
        yield "wire", b"\x40" + hashlib.sha512(bytes([number])).digest()
        yield "rules", b"".join(hashlib.sha256(bytes([number, part])).digest() for part in range(8))


def write(directory: Path) -> None:
    """Writes each input under the name of its target, named by its content."""
    for target, seed in all_seeds():
        if len(seed) <= SEED_BYTES_MAX:
            place = directory / target
            place.mkdir(parents=True, exist_ok=True)
            (place / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
