"""Reads `tests/cases/*.yaml`. A file is a list of cases, each of one of three kinds:

- **read**: `type` (as stored in physical rules) and `values`, a list of [JSON text, what is written or null, flags]; the flags
  are `c` (coerced), `e` (type error), both or none.
- **expression**: `fields` (name → type), `expression` (stored form; a bare text stands for the field of that name) and `values`,
  a list of [argument, …, result]. Arguments are JSON text, `~` for a missing field. The result is JSON text, `~` for NULL, or
  `fail` with the operation that failed in parentheses. What is BOOLEAN is tried as a WHERE as well, where failed NULL is an
  error; `where` (a list of `match`, `miss` and `error`) says what the results are there if that does not follow.
- **whole**: `rules` (stored form, with `name`, `into`, `where`, `select` as needed), `events` (lines; `!!binary` for what is no
  UTF-8) and what is expected: `outputs` (dataset → rows), `verbatim` (the same, byte for byte), `rejects` ([index, reason, at]),
  `failures` ([index, rule, column, operation]), `counts` (rule → [matched, where_errors, failed, not_finite]; those of 0 left
  out) and `counted` (path → [coerced, type_errors]).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parents[1] / "cases"


def load() -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and name, case) of every case."""
    for file in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            yield f"{file.stem}: {case['name']}", case


def physical(name: str = "r", into: str = "out", where: Any = None, select: Any = ()) -> bytes:
    """A physical rule as it is stored."""
    rule = {"format": 1, "name": name, "owner": None, "tier": None, "description": None, "from": "events", "into": into}
    return json.dumps({**rule, "where": where, "select": select}).encode()


def resolved(expression: Any, fields: dict[str, Any]) -> Any:
    """An expression in which a bare text stands for a field."""
    match expression:
        case str():
            return ["field", expression.split("."), fields[expression]]
        case ["call", op, kind, arguments]:
            return ["call", op, kind, [resolved(argument, fields) for argument in arguments]]
    return expression


def json_text(given: Any) -> str | None:
    """A JSON text of a case: what YAML made of a bare number or boolean is written back; None is nothing."""
    return given if given is None or isinstance(given, str) else json.dumps(given)


def event_of(arguments: dict[str, Any]) -> bytes:
    """An event with JSON texts under the names; a dotted name is nested."""
    members = []
    for name, given in arguments.items():
        text = json_text(given)
        if text is not None:
            first, *inner = name.split(".")
            nested = "".join(f'{{"{key}":' for key in inner) + str(text) + "}" * len(inner)
            members.append(f'"{first}":{nested}')
    return ("{" + ",".join(members) + "}").encode()


def as_bytes(line: str | bytes) -> bytes:
    """A line of a case."""
    return line if isinstance(line, bytes) else line.encode()
