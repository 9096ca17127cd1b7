"""Datasets in Protobuf: which ones the plan names, their descriptors, and whether their columns fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headwater.core.dataset import DatasetSchema, SourceSchema
from headwater.core.descriptor import ITEMS, MAP, PACKED, REPEATED, TIME, Descriptor, WireField
from headwater.core.errors import SchemaError
from headwater.core.types import JSON, DataType, ListOf, Scalar, StructOf, type_from_json
from headwater.registry.numbers import LOCK_FILE, Numbers, camel, changed
from headwater.registry.plan_dataset import PlannedDataset
from headwater.registry.proto_file import descriptor_from_files
from headwater.registry.proto_schema import generated
from headwater.rules import PhysicalRule
from headwater.rules.physical import Star

_EXACT = {
    "BIGINT": ("int64", "sint64", "sfixed64"),
    "DOUBLE": ("double",),
    "BOOLEAN": ("bool",),
    "VARCHAR": ("string",),
    "JSON": ("string",),
}
"""The kinds that hold every value of a type."""


class Encoder(msgspec.Struct):
    """What is known of a project when its datasets are encoded. ``numbers`` are those of the lock file."""

    project: str
    planned: Mapping[str, PlannedDataset]
    numbers: Numbers
    protos: Mapping[str, str]

    def generated(
        self, datasets: Iterable[DatasetSchema], rules: Iterable[PhysicalRule], sources: Mapping[str, SourceSchema]
    ) -> dict[str, StructOf]:
        """The rows of the messages that are made from schemas, by the dataset whose numbers they have."""
        read_by = {rule.into: rule.source for rule in rules}
        found = {}
        for dataset in datasets:
            planned = self.planned.get(dataset.name)
            if planned is not None and planned.encoding == "protobuf" and not planned.proto:
                name = read_by[dataset.name] if dataset.star else dataset.name
                found[name] = whole_event(sources[name]) if dataset.star else StructOf(dataset.columns)
        return found

    def encode(
        self, datasets: Iterable[DatasetSchema], rules: Iterable[PhysicalRule], sources: Mapping[str, SourceSchema]
    ) -> tuple[DatasetSchema, ...]:
        """The datasets with their descriptors. What keeps one from being Protobuf is found at its table of the plan."""
        rules, known = list(rules), list(datasets)
        self._unknown([dataset.name for dataset in known], sources)
        rows = self.generated(known, rules, sources)
        self._same_names(rows)
        return tuple(self._encoded(dataset, rules, rows, sources) for dataset in known)

    def _unknown(self, names: list[str], sources: Mapping[str, SourceSchema]) -> None:
        for name, planned in self.planned.items():
            if name in sources:
                planned.table.say("name", "wrong_value", f"{name!r} is the source, which the collector writes as JSON")
            elif name not in names:
                valid = f"rules write {', '.join(map(repr, sorted(names)))}" if names else "no rule writes any"
                planned.table.say("name", "unknown_dataset", f"no rule writes the dataset {name!r}", valid)

    def _same_names(self, rows: Mapping[str, StructOf]) -> None:
        called: dict[str, str] = {}
        for name in rows:
            other = called.setdefault(camel(name), name)
            if other != name and name in self.planned:
                self.planned[name].table.say(
                    "name", "case_conflict", f"its message has the name of that of {other!r}: {camel(name)}"
                )

    def _encoded(
        self,
        dataset: DatasetSchema,
        rules: list[PhysicalRule],
        rows: Mapping[str, StructOf],
        sources: Mapping[str, SourceSchema],
    ) -> DatasetSchema:
        planned = self.planned.get(dataset.name)
        if planned is None or planned.encoding != "protobuf":
            return dataset
        own = [rule for rule in rules if rule.into == dataset.name]
        name = own[0].source if dataset.star else dataset.name
        if planned.proto:
            try:
                descriptor = descriptor_from_files(self.protos, planned.proto, planned.message)
            except SchemaError as error:
                planned.table.say("proto", "proto_file", str(error))
                return dataset
            for wrong in misfits(descriptor, dataset, sources[own[0].source]):
                planned.table.say("message", "column_type", wrong)
        elif self._numbered(planned, name, rows[name]):
            descriptor = generated(self.project, name, rows[name], self.numbers)
        else:
            return dataset
        for wrong in _misfits_of_replaced(descriptor, own):
            planned.table.say("name", "column_type", wrong)
        return msgspec.structs.replace(dataset, descriptor=descriptor)

    def _numbered(self, planned: PlannedDataset, name: str, row: StructOf) -> bool:
        """Whether every field has its number; a finding says of the first one that has none, or has another type."""
        missing = list(self.numbers.misfits(name, row))
        for where, kind, known in missing:
            if known is not None:
                hint = "give the field another name, or take it out, run `headwater proto`, and put it back under a new number"
                planned.table.say("name", "number_type", changed(name, where, kind, known), hint)
                return False
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            text = f"{LOCK_FILE} has no number for the field `{'.'.join(missing[0][0])}`{more} of {name!r}"
            planned.table.say("name", "number_missing", text, "run `headwater proto`, which gives numbers, and keep the file")
        return not missing


def numbered_by_order(
    datasets: Iterable[DatasetSchema], rules: Iterable[PhysicalRule], sources: Mapping[str, SourceSchema]
) -> tuple[DatasetSchema, ...]:
    """Datasets with descriptors whose numbers go by the order of columns: for files that stand alone, outside a project.

    Raises SchemaError where rows of whole events cannot be of one message.
    """
    rules, found, numbers = list(rules), [], Numbers()
    for dataset in datasets:
        own = [rule for rule in rules if rule.into == dataset.name]
        if dataset.star and len({rule.source for rule in own}) > 1:
            raise SchemaError(f"the dataset {dataset.name} holds events of several sources, which have no message in common")
        row = whole_event(sources[own[0].source]) if dataset.star else StructOf(dataset.columns)
        numbers.assign(dataset.name, row)
        descriptor = generated("headwater", dataset.name, row, numbers)
        if wrong := _misfits_of_replaced(descriptor, own):
            raise SchemaError(f"the dataset {dataset.name} cannot be Protobuf: {'; '.join(wrong)}")
        found.append(msgspec.structs.replace(dataset, descriptor=descriptor))
    return tuple(found)


def event_numbered_by_order(source: SourceSchema) -> Descriptor:
    """The message of a source's whole events, whose numbers go by the order of fields."""
    row, numbers = whole_event(source), Numbers()
    numbers.assign(source.name, row)
    return generated("headwater", source.name, row, numbers)


def whole_event(source: SourceSchema) -> StructOf:
    """The type of a whole event: what every event has and what event types add; a field that they type differently is JSON."""
    base = [((name,), kind) for name, kind in source.base.fields]
    return _struct([*base, *(one for kind in source.event_types for one in kind.fields)])


def misfits(descriptor: Descriptor, dataset: DatasetSchema, source: SourceSchema) -> list[str]:
    """Why rows of a dataset cannot be messages. A dataset of whole events has in it what its message has."""
    if not dataset.star:
        return _misfits(descriptor, 0, StructOf(dataset.columns), "")
    event = whole_event(source)
    held = {field.name for field in descriptor.root.fields}
    within = StructOf(tuple((name, _within(descriptor, 0, name, kind)) for name, kind in event.fields if name in held))
    return _misfits(descriptor, 0, within, "")


def _within(descriptor: Descriptor, struct: int, name: str, kind: DataType) -> DataType:
    """A type without the inner fields that the message does not have."""
    field = _field(descriptor, struct, name)
    if field is None or field.message < 0:
        return kind
    if isinstance(kind, ListOf):
        return ListOf(_within(descriptor, struct, name, kind.item)) if not isinstance(kind.item, ListOf) else kind
    if isinstance(kind, StructOf):
        held = {one.name for one in descriptor.messages[field.message].fields}
        return StructOf(tuple((one, _within(descriptor, field.message, one, inner)) for one, inner in kind.fields if one in held))
    return kind


def _misfits(descriptor: Descriptor, struct: int, row: StructOf, prefix: str) -> list[str]:
    found = []
    for name, kind in row.fields:
        field = _field(descriptor, struct, name)
        if field is None:
            valid = ", ".join(one.name for one in descriptor.messages[struct].fields)
            found.append(
                f"the message {descriptor.messages[struct].name} has no field `{name}` for {prefix}{name}; it has {valid}"
            )
        else:
            found += _misfit(descriptor, field, kind, f"{prefix}{name}")
    return found


def _misfit(descriptor: Descriptor, field: WireField, kind: DataType, path: str) -> list[str]:
    repeated = field.cardinality in (REPEATED, PACKED)
    if isinstance(kind, ListOf) and repeated:
        return _misfit_item(descriptor, field, kind.item, path)
    if isinstance(kind, ListOf) or repeated or field.cardinality == MAP:
        return [f"`{path}` is {kind}, but the field of the message is {_shown(field)}"]
    return _misfit_item(descriptor, field, kind, path)


def _misfit_item(descriptor: Descriptor, field: WireField, kind: DataType, path: str) -> list[str]:
    inner = descriptor.messages[field.message] if field.message >= 0 else None
    match kind:
        case StructOf() if inner is not None and not inner.meaning:
            return _misfits(descriptor, field.message, kind, f"{path}.")
        case ListOf() if inner is not None and inner.meaning == ITEMS:
            return _misfit_item(descriptor, inner.fields[0], kind.item, path)
        case Scalar("TIMESTAMP") if inner is not None and inner.meaning == TIME:
            return []
        case Scalar(name) if field.kind in _EXACT.get(name, ()):
            return []
    valid = " or ".join(_EXACT.get(str(kind), ())) or (
        "google.protobuf.Timestamp" if kind == Scalar("TIMESTAMP") else "a message"
    )
    return [f"`{path}` is {kind}, which the field's {_shown(field)} cannot hold; it takes {valid}"]


def _shown(field: WireField) -> str:
    lead = f"{field.cardinality} " if field.cardinality in (REPEATED, MAP) else "repeated " if field.cardinality == PACKED else ""
    return f"{lead}{field.kind}"


def _field(descriptor: Descriptor, struct: int, name: str) -> WireField | None:
    return next((one for one in descriptor.messages[struct].fields if one.name == name), None)


def _misfits_of_replaced(descriptor: Descriptor, rules: list[PhysicalRule]) -> list[str]:
    found = []
    for rule in rules:
        select = rule.select
        if isinstance(select, Star):
            replaced = [(name, _type_of(expression)) for name, expression in select.replace]
            wrong = _misfits(descriptor, 0, StructOf(tuple(one for one in replaced if one[1] != Scalar("NULL"))), "REPLACE ")
            found += [f"rule `{rule.name}`: {text}" for text in wrong]
    return found


def _type_of(expression: list[Any]) -> DataType:
    return type_from_json(expression[1 if expression[0] == "literal" else 2])


def _struct(fields: list[tuple[tuple[str, ...], DataType]]) -> StructOf:
    by_name: dict[str, list[tuple[tuple[str, ...], DataType]]] = {}
    for path, kind in fields:
        by_name.setdefault(path[0], []).append((path[1:], kind))
    return StructOf(tuple((name, _joined(found)) for name, found in by_name.items()))


def _joined(found: list[tuple[tuple[str, ...], DataType]]) -> DataType:
    """The type of a field that was registered so often, whole (the path is empty) or by what is inside it."""
    whole = [kind for path, kind in found if not path]
    if whole and all(kind == whole[0] for kind in whole) and len(whole) == len(found):
        return whole[0]
    if not all(isinstance(kind, StructOf) for kind in whole):
        return JSON
    inner = [((name,), kind) for one in whole if isinstance(one, StructOf) for name, kind in one.fields]
    return _struct(inner + [(path, kind) for path, kind in found if path])
