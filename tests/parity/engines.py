"""The two engines under one roof, and exact comparison of what they give."""

from __future__ import annotations

import json
from typing import Any

from headwater.kernel import Program
from headwater.kernel.reference import ReferenceProgram

ENGINES = {"reference": ReferenceProgram, "kernel": Program}


def integer(lexeme: str) -> int | str:
    """Python refuses to convert numbers of very many digits; their text compares as well."""
    return int(lexeme) if len(lexeme) < 1000 else lexeme


def exact(text: bytes | str) -> Any:
    """JSON as a value that compares exactly: the order of keys, int and float and bool, -0.0 and every digit."""
    value = json.loads(
        text,
        object_pairs_hook=lambda pairs: ("object", *pairs),
        parse_float=lambda lexeme: ("double", float(lexeme)),
        parse_int=integer,
    )
    return repr(value)


def exact_rows(ndjson: bytes) -> list[str]:
    """The rows of an output. No column stands twice in a row."""
    rows = []
    for line in ndjson.splitlines():
        keys = json.loads(line, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
        assert len(keys) == len(set(keys)), line
        rows.append(exact(line))
    return rows


def lines_of(ndjson: bytes) -> list[bytes]:
    """Lines, split at line feeds alone."""
    return ndjson.split(b"\n")[:-1]


def all_of(program: Any, result: Any) -> dict[str, Any]:
    """Everything that a result says, by names rather than numbers, in a form that compares exactly."""
    names, paths = program.rule_names, program.field_paths
    check_balance(result)
    return {
        "events": result.events,
        "outputs": {dataset: [exact(line) for line in lines_of(rows)] for dataset, rows in result.outputs.items() if rows},
        "rows": {dataset: count for dataset, count in result.rows.items() if count},
        "rules": {names[number]: tuple(counts) for number, *counts in result.rules},
        "written": {names[number]: (emitted, nulls) for number, emitted, nulls, _bytes in result.written},
        "presence": list(result.presence),
        "fields": {paths[number]: tuple(counts) for number, *counts in result.fields},
        "rejects": [tuple(reject) for reject in result.rejects],
        "failures": [(*place, names[number], column, operation) for *place, number, column, operation in result.failures],
    }


def check_balance(result: Any) -> None:
    """Every rule emits what it matched; datasets get what rules emit, by rows and by bytes."""
    matched = {number: count for number, count, *_rest in result.rules if count}
    assert {number: emitted for number, emitted, _nulls, _bytes in result.written} == matched
    assert sum(matched.values()) == sum(result.rows.values())
    assert sum(size for *_rest, size in result.written) == sum(map(len, result.outputs.values()))


def differences(rules: list[bytes], batch: bytes | list[bytes], udfs: Any = None) -> list[str]:
    """What the kernel says otherwise than the reference, one line each. Rules may call the functions of ``udfs``."""
    said = []
    for engine in ("reference", "kernel"):
        program = ENGINES[engine](rules, udfs)
        said.append({"names": program.rule_names, "paths": program.field_paths, **all_of(program, program.run(batch))})
    reference, kernel = said
    return [
        f"{name}: reference {reference[name]!r}, kernel {kernel[name]!r}" for name in reference if reference[name] != kernel[name]
    ]
