"""The outside witness: DuckDB runs the rendered rules on a table that the reference's reader has typed.

What it gives is compared with the rows of an engine as multisets of rows, dataset by dataset, and with its counters.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from headwater.core.dataset import SourceSchema
from headwater.core.types import DataType, ListOf, Scalar, StructOf
from headwater.kernel.functions.casts import timestamp_text
from headwater.kernel.reference_json import Malformed, Node, parse, write_text
from headwater.kernel.reference_read import read, write
from headwater.rules import PhysicalRule
from headwater.rules.physical import Star
from headwater.rules.render import duckdb_failed_predicate, duckdb_statement, duckdb_where_error_predicate, quoted

TABLE = "app_events"
# JSON and TIMESTAMP go in as text and are cast: DuckDB's reader would write JSON numbers anew.
AS_TEXT = ("JSON", "TIMESTAMP")


def sql_type(kind: DataType, text: bool) -> str:
    """A type in DuckDB's words; with `text`, VARCHAR for what is cast later."""
    match kind:
        case ListOf(item):
            return sql_type(item, text) + "[]"
        case StructOf(fields):
            return "STRUCT(" + ", ".join(f"{quoted(name)} {sql_type(inner, text)}" for name, inner in fields) + ")"
    return "VARCHAR" if text and str(kind) in AS_TEXT else str(kind)


def typed(value: Any, kind: DataType) -> str:
    """A value that was read, as JSON for DuckDB."""
    match kind:
        case ListOf(item):
            return "[" + ",".join("null" if each is None else typed(each, item) for each in value) + "]"
        case StructOf():
            members = (f"{write_text(name)}:{typed(inner, kind.field(name) or kind)}" for name, inner in value.items())
            return "{" + ",".join(members) + "}"
        case Scalar("JSON"):
            return write_text(value.raw.decode())
    return write(value, kind) or "null"


def typed_rows(lines: Iterable[bytes], source: SourceSchema) -> Iterable[str]:
    """The events that are JSON objects, read by the reading table, with the numbers of their lines."""
    for number, line in enumerate(lines):
        try:
            event = parse(line)
        except Malformed:
            continue
        if event.kind != "object":
            continue
        columns = [f'"line_number":{number}']
        for name, kind in source.base.fields:
            value = read(event.get(name), kind).value
            if value is not None:
                columns.append(f"{write_text(name)}:{typed(value, kind)}")
        yield "{" + ",".join(columns) + "}\n"


def typed_table(lines: Iterable[bytes], source: SourceSchema, folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection with the table `app_events`."""
    file = folder / "typed.ndjson"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(typed_rows(lines, source))
    fields = [("line_number", Scalar("BIGINT")), *source.base.fields]
    columns = ", ".join(f"{quoted(name)}: '{sql_type(kind, True)}'" for name, kind in fields)
    casts = ", ".join(f"CAST({quoted(name)} AS {sql_type(kind, False)}) AS {quoted(name)}" for name, kind in fields)
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute(
        f"CREATE TABLE {TABLE} AS SELECT {casts} FROM read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"
    )
    return connection


def from_duckdb(value: Any, kind: Any) -> Any:
    """A value of DuckDB in the form that is compared; `kind` is a stored type."""
    match kind:
        case _ if value is None or (kind == "DOUBLE" and not math.isfinite(value)):
            return None
        case "TIMESTAMP":
            assert isinstance(value, datetime)
            return timestamp_text((value - datetime(1970, 1, 1)) // (datetime.resolution), "T", "Z")
        case "JSON":
            return json.loads(value)
        case {"list": item}:
            return [from_duckdb(each, item) for each in value]
        case {"struct": fields}:
            found = {name: from_duckdb(value.get(name), inner) for name, inner in fields}
            return {name: inner for name, inner in found.items() if inner is not None}
    return value


def from_row(value: Any, kind: Any) -> Any:
    """A value of an output row in the form that is compared: a DOUBLE may stand as `1`."""
    match kind:
        case "DOUBLE":
            return float(value)
        case {"list": item}:
            return [None if each is None else from_row(each, item) for each in value]
        case {"struct": fields}:
            kinds = dict(map(tuple, fields))
            return {name: from_row(inner, kinds[name]) for name, inner in value.items()}
    return value


def canonical(row: dict[str, Any]) -> str:
    """A row as text that is the same for the same content."""
    return json.dumps(row, sort_keys=True)


def columns_of(rule: PhysicalRule) -> list[tuple[str, Any]]:
    """The columns of a rule, or those that it replaces, with their stored types."""
    columns = rule.select.replace if isinstance(rule.select, Star) else rule.select
    return [(name, expression[1] if expression[0] == "literal" else expression[2]) for name, expression in columns]


def star_rows(rule: PhysicalRule, found: list[tuple[Any, ...]], lines: list[bytes]) -> Iterable[str]:
    """The rows of a rule with `*`: the lines that it takes, without what it excludes and with what it replaces."""
    assert isinstance(rule.select, Star)
    for number, *values in found:
        event = json.loads(lines[number])
        for name in rule.select.exclude:
            event.pop(name, None)
        for (name, kind), value in zip(columns_of(rule), values, strict=True):
            event.pop(name, None)
            if (replaced := from_duckdb(value, kind)) is not None:
                event[name] = replaced
        yield canonical(event)


def expected(
    connection: duckdb.DuckDBPyConnection, rules: list[PhysicalRule], lines: list[bytes]
) -> tuple[dict[str, Counter[str]], dict[str, dict[str, int]]]:
    """What DuckDB says: the rows of every dataset, and of every rule {matched, where_errors, failed}."""
    rows: dict[str, Counter[str]] = {}
    counts = {}
    for rule in rules:
        found = connection.execute(duckdb_statement(rule, TABLE)).fetchall()
        dataset = rows.setdefault(rule.into, Counter())
        if isinstance(rule.select, Star):
            dataset.update(star_rows(rule, found, lines))
        else:
            for values in found:
                row = {name: from_duckdb(value, kind) for value, (name, kind) in zip(values, columns_of(rule), strict=True)}
                dataset[canonical({name: value for name, value in row.items() if value is not None})] += 1
        predicates = (duckdb_where_error_predicate(rule), duckdb_failed_predicate(rule))
        asked = ", ".join(f"count(*) FILTER (WHERE {predicate})" for predicate in predicates)
        errors, failed = connection.execute(f"SELECT {asked} FROM {TABLE}").fetchone() or (0, 0)
        counts[rule.name] = {"matched": len(found), "where_errors": errors, "failed": failed}
    return rows, counts


def given_rows(rules: list[PhysicalRule], outputs: dict[str, bytes]) -> dict[str, Counter[str]]:
    """The rows of an engine in the form that is compared. A dataset's columns have one type each."""
    kinds = {rule.into: {} for rule in rules}
    for rule in rules:
        kinds[rule.into].update(columns_of(rule))
    found = {}
    for dataset, text in outputs.items():
        known = kinds[dataset]
        rows = map(json.loads, text.split(b"\n")[:-1])
        found[dataset] = Counter(
            canonical({name: from_row(value, known.get(name)) for name, value in row.items()}) for row in rows
        )
    return found


def differences(wanted: dict[str, Counter[str]], given: dict[str, Counter[str]]) -> list[str]:
    """The datasets that differ, with some of the rows that only one side has."""
    found = []
    for dataset in sorted(wanted.keys() | given.keys()):
        missing, extra = (
            wanted.get(dataset, Counter()) - given.get(dataset, Counter()),
            given.get(dataset, Counter()) - wanted.get(dataset, Counter()),
        )
        if missing or extra:
            found.append(
                f"{dataset}: DuckDB alone {missing.total()} {list(missing)[:2]}, engine alone {extra.total()} {list(extra)[:2]}"
            )
    return found


def is_event(line: bytes) -> bool:
    """Whether a line is a JSON object."""
    try:
        node: Node = parse(line)
    except Malformed:
        return False
    return node.kind == "object"
