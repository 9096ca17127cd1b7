"""DuckDB text that reads a JSON value as a type by the reading table, which DuckDB's own casts do not follow.

`docs/formats/physical-rule.md` has the table.
"""

from __future__ import annotations

from typing import Any

_INTEGER = "-?(0|[1-9][0-9]*)"
_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_ISO_8601 = (
    "([0-9]{4}-[0-9]{2}-[0-9]{2})"
    "(?:[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?)"
    "(?:[Zz]|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?)?"
)


def read_json(value: str, kind: Any, depth: int = 0) -> str:
    """Reads the DuckDB expression ``value`` (of type JSON) as a stored type; NULL where the reading table says NULL."""
    match kind:
        case "BIGINT":
            return _bigint(value)
        case "DOUBLE":
            return _cases(value, {"VARCHAR": _finite(f"{value} ->> '$'"), "number": _finite(f"CAST({value} AS VARCHAR)")})
        case "BOOLEAN":
            text = f"lower({value} ->> '$')"
            return _cases(value, {"VARCHAR": f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END",
                                  "BOOLEAN": f"(CAST({value} AS VARCHAR) = 'true')"})  # fmt: skip
        case "VARCHAR":
            as_text = f"CAST({value} AS VARCHAR)"
            return _cases(value, {"VARCHAR": f"({value} ->> '$')", "BOOLEAN": as_text, "number": as_text})
        case "TIMESTAMP":
            return _cases(value, {"VARCHAR": _timestamp(f"({value} ->> '$')"), "number": _milliseconds(value)})
        case {"list": item}:
            name = f"item_{depth}"
            inner = read_json(name, item, depth + 1)
            return _cases(value, {"ARRAY": f"list_transform(CAST({value} AS JSON[]), lambda {name}: {inner})"})
        case {"struct": [*fields]}:
            return _cases(value, {"OBJECT": _struct(value, fields, depth)})
    return f"CASE WHEN json_type({value}) <> 'NULL' THEN {value} END"


def _cases(value: str, by_type: dict[str, str]) -> str:
    names = {"number": "IN ('BIGINT', 'UBIGINT', 'DOUBLE')"}
    branches = "".join(
        f" WHEN json_type({value}) {names.get(one) or f'= {chr(39)}{one}{chr(39)}'} THEN {text}" for one, text in by_type.items()
    )
    return f"CASE{branches} END"


def _bigint(value: str) -> str:
    text, written = f"({value} ->> '$')", f"CAST({value} AS VARCHAR)"
    from_text = f"CASE WHEN regexp_full_match({text}, '{_INTEGER}') THEN TRY_CAST({text} AS BIGINT) END"
    plain = (
        f"WHEN regexp_full_match({written}, '-?[0-9]+([.]0+)?') THEN TRY_CAST(regexp_extract({written}, '^-?[0-9]+') AS BIGINT)"
    )
    decimal = f"TRY_CAST({written} AS DECIMAL(38, 18))"
    exponent = f"WHEN {decimal} = trunc({decimal}) THEN TRY_CAST({decimal} AS BIGINT)"
    return _cases(value, {"VARCHAR": from_text, "number": f"CASE {plain} {exponent} END"})


def _finite(text: str) -> str:
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN regexp_full_match({text}, '{_NUMBER}') AND isfinite({number}) THEN {number} END"


def _timestamp(text: str) -> str:
    """ISO 8601 with its offset taken away; DuckDB's cast would keep the clock's reading."""

    def group(number: int) -> str:
        return f"regexp_extract({text}, '^{_ISO_8601}$', {number})"

    def minutes(hour: int, minute: int) -> str:
        return f"coalesce(TRY_CAST({group(hour)} AS BIGINT) * 60 + coalesce(TRY_CAST({group(minute)} AS BIGINT), 0), 0)"

    clock = f"TRY_CAST({group(1)} || ' ' || coalesce(nullif({group(2)}, ''), '00:00') AS TIMESTAMP)"
    sign = f"CASE {group(3)} WHEN '-' THEN -1 ELSE 1 END"
    moment = in_range(f"({clock} - to_minutes({sign} * {minutes(4, 5)}))")
    return f"CASE WHEN regexp_full_match({text}, '{_ISO_8601}') THEN {moment} END"


def in_range(moment: str) -> str:
    """A TIMESTAMP from the year 1 to the year 9999; NULL outside, where DuckDB goes on."""
    return f"CASE WHEN {moment} BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN {moment} END"


def _milliseconds(value: str) -> str:
    return in_range(f"TRY(make_timestamp(TRY(({_bigint(value)}) * CAST(1000 AS BIGINT))))")


def _struct(value: str, fields: list[Any], depth: int) -> str:
    parts = []
    for name, kind in fields:
        path = "$." + '"' + name.replace("'", "''") + '"'
        key = '"' + name.replace('"', '""') + '"'
        parts.append(f"{key} := {read_json(f'json_extract({value}, {chr(39)}{path}{chr(39)})', kind, depth)}")
    return f"struct_pack({', '.join(parts)})" if parts else "NULL"
