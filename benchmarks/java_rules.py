"""The workload's rules as Java source, for Janino: one class an event type, over Protobuf generated messages or Jackson's trees.

Both are written as a team would by hand: fields are read when a rule needs them (once an event from Jackson's tree), rows go
straight into a generator or a generated message, an event passed on whole is its own bytes. Conditions stand in methods of a few
rules, rows in one method each, since HotSpot compiles no method of more than 8,000 bytes of code.
"""

from __future__ import annotations

import json
from typing import Any

import compiled_python
import workload

from headwater.rules import PhysicalRule

RULES_A_METHOD = 20
BOXES = {
    "BIGINT": ("Long", "bigint"),
    "DOUBLE": ("Double", "real"),
    "VARCHAR": ("String", "text"),
    "BOOLEAN": ("Boolean", "flag"),
}
PROTO_TYPES = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}


def camel(name: str) -> str:
    """The name of a field in generated methods."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def text(value: Any) -> str:
    """A Java literal of text."""
    return json.dumps(value)


def proto(columns: dict[str, Any]) -> str:
    """The .proto of events, by the workload's schema, and of rows, by their columns."""
    lines = ['syntax = "proto3";', "package headwater.bench;", 'option java_package = "headwater.bench";']
    lines += ['option java_outer_classname = "Workload";', *message("Event", workload.schema()["properties"])]
    lines.append("message Row {")
    for number, (name, kind) in enumerate(sorted(columns.items()), 1):
        stored = {"BIGINT": "int64", "DOUBLE": "double", "VARCHAR": "string", "BOOLEAN": "bool"}.get(str(kind))
        if stored is None:
            stored = "repeated string" if "list" in kind else "optional Event.Properties.LogPb"
        lines.append(f"  {stored if stored.startswith(('repeated', 'optional')) else f'optional {stored}'} {name} = {number};")
    return "\n".join([*lines, "}", ""])


def message(name: str, fields: dict[str, Any]) -> list[str]:
    """A message and those inside it."""
    lines = [f"message {name} {{"]
    for number, (field, kind) in enumerate(fields.items(), 1):
        if kind["type"] == "object":
            lines += message(camel(field), kind["properties"])
            lines.append(f"  optional {camel(field)} {field} = {number};")
        elif kind["type"] == "array":
            lines.append(f"  repeated string {field} = {number};")
        else:
            lines.append(f"  optional {PROTO_TYPES[kind['type']]} {field} = {number};")
    return [*lines, "}"]


class Source:
    """Writes Java for one kind of event. Raises NotImplementedError for what the workload does not have."""

    event = ""

    def __init__(self, fields: dict[tuple[str, ...], int], datasets: dict[str, int]) -> None:
        self.fields = fields
        self.datasets = datasets
        self.locals = 0

    def number(self, path: list[str]) -> int:
        return self.fields.setdefault(tuple(path), len(self.fields))

    def has(self, path: list[str], kind: str) -> str:
        raise NotImplementedError

    def get(self, path: list[str], kind: str) -> str:
        raise NotImplementedError

    def row(self, dataset: int, columns: list[tuple[str, Any]]) -> list[str]:
        raise NotImplementedError

    def star(self, dataset: int) -> str:
        raise NotImplementedError

    def true(self, condition: Any) -> str:
        """Java that is true where a condition is TRUE."""
        match condition:
            case ["field", path, kind]:
                return f"({self.has(path, kind)} && {self.get(path, kind)})"
            case ["call", ("and" | "or") as op, _, parts]:
                return "(" + (" && " if op == "and" else " || ").join(self.true(part) for part in parts) + ")"
            case ["call", "not", _, [["field", path, kind]]]:
                return f"({self.has(path, kind)} && !{self.get(path, kind)})"
            case ["call", "not", _, [["call", "like", _, [["field", path, kind], *_]] as inner]]:
                return f"({self.has(path, kind)} && !{self.true(inner)})"
            case ["call", "is_not_null", _, [["field", path, kind]]]:
                return self.has(path, kind)
            case ["call", "in", _, [["field", path, "VARCHAR"], *literals]]:
                tests = " || ".join(f"{text(one[2])}.equals({self.get(path, 'VARCHAR')})" for one in literals)
                return f"({self.has(path, 'VARCHAR')} && ({tests}))"
            case ["call", "like", _, [["field", path, kind], ["literal", _, pattern], _]]:
                inner = pattern.strip("%")
                if "%" in inner or "_" in inner:
                    raise NotImplementedError(pattern)
                test = "contains" if pattern.startswith("%") else "startsWith"
                return f"({self.has(path, kind)} && {self.get(path, kind)}.{test}({text(inner)}))"
            case ["call", ("eq" | "ne") as op, _, [["field", path, "VARCHAR"], ["literal", _, value]]]:
                sign = "" if op == "eq" else "!"
                return f"({self.has(path, 'VARCHAR')} && {sign}{text(value)}.equals({self.get(path, 'VARCHAR')}))"
            case ["call", ("eq" | "ne" | "lt" | "le" | "gt" | "ge") as op, _, [["field", path, kind], ["literal", _, value]]]:
                sign = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[op]
                return f"({self.has(path, kind)} && {self.get(path, kind)} {sign} {value!r}{'L' if kind == 'BIGINT' else ''})"
        raise NotImplementedError(condition)

    def value(self, expression: Any) -> str:
        """Java of a boxed value, null where it is NULL."""
        match expression:
            case ["field", path, kind] if kind in BOXES:
                return f"({self.has(path, kind)} ? {self.boxed(self.get(path, kind), kind)} : null)"
            case ["literal", "VARCHAR", value]:
                return text(value)
            case ["call", "coalesce", _, [one, ["literal", "VARCHAR", other]]]:
                return f"Texts.or({self.value(one)}, {text(other)})"
            case ["call", "coalesce", _, [one, other]]:
                return f"Texts.or({self.value(one)}, {self.value(other)})"
            case ["call", "nullif", _, [one, other]]:
                return f"Texts.unless({self.value(one)}, {self.value(other)})"
            case ["call", "try_cast", "BIGINT", [inner]]:
                return f"Values.cast({self.value(inner)})"
            case ["call", "div", _, [["call", "cast", _, [["field", path, kind]]], ["literal", _, divisor]]]:
                return f"({self.has(path, kind)} ? Double.valueOf({self.get(path, kind)} / {divisor!r}) : null)"
            case ["call", ("lower" | "upper") as op, _, [inner]]:
                return f"Texts.{op}({self.value(inner)})"
            case ["call", "case", _, [*parts]]:
                *branches, otherwise = parts
                pairs = zip(branches[::2], branches[1::2], strict=True)
                return "(" + "".join(f"{self.true(a)} ? {self.value(b)} : " for a, b in pairs) + f"{self.value(otherwise)})"
        raise NotImplementedError(expression)

    @staticmethod
    def boxed(value: str, kind: str) -> str:
        return value

    def rule(self, number: int, rule: dict[str, Any]) -> tuple[str, list[str]]:
        """The statement of one rule, and the method that writes its row."""
        # The class is of the event type, so nothing is left of the condition that names it.
        left = [each for each in compiled_python.conjuncts(rule["where"]) if compiled_python.event_names(each) is None]
        test = " && ".join(self.true(each) for each in left) or "true"
        dataset = self.datasets.setdefault(rule["into"], len(self.datasets))
        if isinstance(rule["select"], dict):
            return f"if ({test}) {self.star(dataset)}", []
        head = f"private static void row{number}({self.event} e, Out out) throws Exception {{"
        return f"if ({test}) row{number}(e, out);", [head, *self.row(dataset, rule["select"]), "}"]

    def source(self, name: str, rules: list[dict[str, Any]]) -> str:
        """The class of one event type."""
        written = [self.rule(number, rule) for number, rule in enumerate(rules)]
        parts = [written[at : at + RULES_A_METHOD] for at in range(0, len(rules), RULES_A_METHOD)]
        given = f"{self.event} e, Out out"
        lines = [f"public class {name} implements Rules {{"]
        lines += ["public void run(Object given, Out out) throws Exception {", f"{self.event} e = ({self.event}) given;"]
        lines += [f"run{number}(e, out);" for number in range(len(parts))] + ["}"]
        for number, part in enumerate(parts):
            lines += [f"private static void run{number}({given}) throws Exception {{"]
            lines += [statement for statement, _row in part] + ["}"]
        lines += [line for _statement, row in written for line in row]
        return "\n".join([*lines, "}"])


class JacksonSource(Source):
    """Over Jackson's tree; rows are JSON."""

    event = "JsonEvent"

    def has(self, path: list[str], kind: str) -> str:
        return f"e.{BOXES[kind][1]}({self.number(path)}) != null"

    def get(self, path: list[str], kind: str) -> str:
        unboxed = {"BIGINT": ".longValue()", "DOUBLE": ".doubleValue()", "BOOLEAN": ".booleanValue()", "VARCHAR": ""}[kind]
        return f"e.{BOXES[kind][1]}({self.number(path)}){unboxed}"

    def value(self, expression: Any) -> str:
        if expression[0] == "field":
            return f"e.{BOXES[expression[2]][1]}({self.number(expression[1])})"
        return super().value(expression)

    def star(self, dataset: int) -> str:
        return f"out.line({dataset}, e.line);"

    def row(self, dataset: int, columns: list[tuple[str, Any]]) -> list[str]:
        lines = [f"com.fasterxml.jackson.core.JsonGenerator row = out.row({dataset});"]
        for at, (name, expression) in enumerate(columns):
            kind = expression[1] if expression[0] == "literal" else expression[2]
            if isinstance(kind, str):
                write = {"VARCHAR": "writeStringField", "BIGINT": "writeNumberField", "DOUBLE": "writeNumberField"}[kind]
                unboxed = {"VARCHAR": "", "BIGINT": ".longValue()", "DOUBLE": ".doubleValue()"}[kind]
                lines.append(f"{BOXES[kind][0]} v{at} = {self.value(expression)};")
                lines.append(f"if (v{at} != null) row.{write}({text(name)}, v{at}{unboxed});")
                continue
            test, write = "isArray", f"Values.texts(row, v{at})"
            if "struct" in kind:
                names, kinds = (", ".join(text(pair[at]) for pair in kind["struct"]) for at in (0, 1))
                test, write = "isObject", f"Values.struct(row, v{at}, new String[] {{{names}}}, new String[] {{{kinds}}})"
            lines.append(f"com.fasterxml.jackson.databind.JsonNode v{at} = e.node({self.number(expression[1])});")
            lines.append(f"if (v{at} != null && v{at}.{test}()) {{ row.writeFieldName({text(name)}); {write}; }}")
        return [*lines, "out.end(row);"]


class ProtobufSource(Source):
    """Over generated messages; rows are messages too."""

    event = "ProtobufEvent"

    def parent(self, path: list[str]) -> str:
        return "e.message" + "".join(f".get{camel(name)}()" for name in path[:-1])

    def has(self, path: list[str], kind: Any) -> str:
        return f"{self.parent(path)}.has{camel(path[-1])}()"

    def get(self, path: list[str], kind: Any) -> str:
        return f"{self.parent(path)}.get{camel(path[-1])}()"

    @staticmethod
    def boxed(value: str, kind: str) -> str:
        return value if kind == "VARCHAR" else f"{BOXES[kind][0]}.valueOf({value})"

    def star(self, dataset: int) -> str:
        return f"out.encoded({dataset}, e.encoded);"

    def row(self, dataset: int, columns: list[tuple[str, Any]]) -> list[str]:
        lines = ["headwater.bench.Workload.Row.Builder row = headwater.bench.Workload.Row.newBuilder();"]
        for at, (name, expression) in enumerate(columns):
            kind = expression[1] if expression[0] == "literal" else expression[2]
            if not isinstance(kind, str):
                path = expression[1]
                test = "" if "list" in kind else f"if ({self.has(path, kind)}) "
                setter = f"addAll{camel(name)}({self.parent(path)}.get{camel(path[-1])}List())"
                lines.append(f"{test}row.{setter if 'list' in kind else f'set{camel(name)}({self.get(path, kind)})'};")
            elif expression[0] == "field":
                lines.append(f"if ({self.has(expression[1], kind)}) row.set{camel(name)}({self.get(expression[1], kind)});")
            else:
                unboxed = {"VARCHAR": "", "BIGINT": ".longValue()", "DOUBLE": ".doubleValue()"}[kind]
                lines.append(f"{BOXES[kind][0]} v{at} = {self.value(expression)};")
                lines.append(f"if (v{at} != null) row.set{camel(name)}(v{at}{unboxed});")
        return [*lines, f"out.message({dataset}, row.build());"]


def translated(rules: list[PhysicalRule]) -> dict[str, str]:
    """File names and texts: the .proto, the fields and number of datasets, and the classes for each kind of event."""
    groups: dict[str, list[dict[str, Any]]] = {}
    columns: dict[str, Any] = {}
    for one in rules:
        rule = one.to_json()
        names = compiled_python.event_names(rule["where"])
        if names is None:
            raise NotImplementedError(f"{rule['name']} has no condition on event")
        if not isinstance(rule["select"], dict):
            columns |= {name: kind[1] if kind[0] == "literal" else kind[2] for name, kind in rule["select"]}
        for name in names:
            groups.setdefault(name, []).append(rule)
    fields: dict[tuple[str, ...], int] = {}
    datasets: dict[str, int] = {}
    files = {"workload.proto": proto(columns)}
    for kind, source in (("jackson", JacksonSource(fields, datasets)), ("protobuf", ProtobufSource(fields, datasets))):
        parts = [f"{name}\nR{at}\n{source.source(f'R{at}', held)}" for at, (name, held) in enumerate(groups.items())]
        files[f"{kind}.txt"] = "\n=====\n".join(parts)
    files["fields.txt"] = "\n".join([str(len(datasets)), *(".".join(path) for path in fields)])
    return files
