"""The snapshot: one immutable, numbered, hashed version of all configuration. Collectors and workers run snapshots only.

Stored as JSON: `{"format", "number", "created_time", "hash", "content"}`; the hash is the SHA-256 of the canonical JSON of
`content` (keys sorted, no white space, UTF-8), so that equal configuration has an equal hash whenever it was published.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from headwater.core.dataset import DatasetSchema, EventTypeSchema, SourceSchema
from headwater.core.descriptor import descriptor_from_json, descriptor_to_json
from headwater.core.event import EVENT_BASE
from headwater.core.types import DataType, type_from_json, type_to_json
from headwater.core.udf import Signature, UdfSet
from headwater.rules import PhysicalRule

FORMAT = 1


class Reporting(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an app may report: ``events_per_s`` to one collector (0: as many as it likes), ``origins`` of pages (none: of any)."""

    events_per_s: int = 0
    origins: tuple[str, ...] = ()


class App(msgspec.Struct, frozen=True):
    """An app that may report events. ``mode`` is observe (unregistered events pass, flagged) or enforce (they are dead letters).

    ``write_keys`` are `write_key_hash` of its keys; the keys themselves are only in the plan file.
    """

    name: str
    owner: str
    mode: str
    write_keys: tuple[str, ...]
    description: str = ""
    reporting: Reporting | msgspec.UnsetType = msgspec.UNSET


class Field(msgspec.Struct, frozen=True):
    """A registered field. ``path`` is from the event's root, such as ``("properties", "price")``.

    A field inside a STRUCT stands as a Field of its own too, after the STRUCT, so that it can be required and described.
    """

    path: tuple[str, ...]
    type: DataType
    required: bool = False
    description: str = ""


class EventType(msgspec.Struct, frozen=True):
    """What is registered under a name for an app."""

    app: str
    name: str
    version: int
    owner: str
    tier: str
    description: str = ""
    fields: tuple[Field, ...] = ()

    def schema(self) -> EventTypeSchema:
        """What rules may read of it: the fields that are not inside another one."""
        paths = {field.path for field in self.fields}
        outer = tuple((field.path, field.type) for field in self.fields if field.path[:-1] not in paths)
        return EventTypeSchema(self.app, self.name, outer)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Compiled configuration that has no number yet. ``source`` is the dataset that the collector feeds.

    ``rules`` are physical rules (`docs/formats/physical-rule.md`), ``datasets`` what they write, ``udfs`` what they may call.
    """

    project: str
    source: str
    apps: tuple[App, ...] = ()
    event_types: tuple[EventType, ...] = ()
    rules: tuple[PhysicalRule, ...] = ()
    datasets: tuple[DatasetSchema, ...] = ()
    udfs: UdfSet = UdfSet()

    @property
    def sources(self) -> dict[str, SourceSchema]:
        """The datasets that rules may read, by name."""
        return {self.source: SourceSchema(self.source, EVENT_BASE, tuple(kind.schema() for kind in self.event_types))}

    def physical(self) -> list[bytes]:
        """The rules as the kernel links them, in order: canonical JSON."""
        return [rule.canonical() for rule in self.rules]

    def content(self) -> dict[str, Any]:
        """All of it, ready for `canonical`: what the hash covers."""
        content: dict[str, Any] = {
            "project": self.project,
            "source": self.source,
            "apps": [msgspec.to_builtins(app) for app in self.apps],
            "event_types": [_event_type_to_json(kind) for kind in self.event_types],
            "rules": [msgspec.Raw(rule.canonical()) for rule in self.rules],
            "datasets": [_dataset_to_json(dataset) for dataset in self.datasets],
        }
        if self.udfs.files:
            content["udfs"] = {"files": self.udfs.files, "functions": [one.to_json() for one in self.udfs.signatures]}
        return content

    def content_hash(self) -> str:
        """SHA-256 of the canonical JSON of `content`, in hexadecimal."""
        return hashlib.sha256(canonical(self.content())).hexdigest()


class Snapshot(Draft, frozen=True, kw_only=True):
    """Published configuration. ``number`` rises by one with each change; ``created_time`` is ms since 1970, UTC."""

    number: int
    created_time: int
    hash: str

    def encode(self) -> bytes:
        """The stored form."""
        head = {"format": FORMAT, "number": self.number, "created_time": self.created_time, "hash": self.hash}
        return canonical({**head, "content": self.content()}) + b"\n"


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no white space, UTF-8."""
    return msgspec.json.encode(value, order="sorted")


def write_key_hash(write_key: str) -> str:
    """How a write key appears in a snapshot: its SHA-256 in hexadecimal."""
    return hashlib.sha256(write_key.encode("utf-8", "surrogatepass")).hexdigest()


def numbered(draft: Draft, number: int, created_time: int, content_hash: str | None = None) -> Snapshot:
    """The draft as a snapshot; ``content_hash`` is its own, where that is known already."""
    parts = {name: getattr(draft, name) for name in Draft.__struct_fields__}
    return Snapshot(**parts, number=number, created_time=created_time, hash=content_hash or draft.content_hash())


def decode(data: bytes) -> Snapshot:
    """Reads the stored form. Raises ValueError that says what is wrong: not JSON, another format, or a hash that does not fit."""
    head = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    found_format = _part(head, "format", Any) if "format" in head else None
    if found_format != FORMAT:
        raise ValueError(f"snapshot format {found_format!r} is not known; this Headwater reads format {FORMAT}")
    try:
        stored, said_hash = bytes(head["content"]), _part(head, "hash", Any)
        found_hash = hashlib.sha256(stored).hexdigest()
        if found_hash != said_hash:
            # Somebody may have laid it out anew.
            stored = canonical(msgspec.json.decode(stored))
            found_hash = hashlib.sha256(stored).hexdigest()
        if found_hash != said_hash:
            raise ValueError(f"its content has the hash {found_hash[:12]}…, but it says {str(said_hash)[:12]}…")
        content = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
        return Snapshot(
            number=_part(head, "number", int),
            created_time=_part(head, "created_time", int),
            hash=found_hash,
            project=_part(content, "project", str),
            source=_part(content, "source", str),
            apps=_part(content, "apps", tuple[App, ...]),
            event_types=tuple(_event_type_from_json(kind) for kind in _part(content, "event_types", list[Any])),
            rules=tuple(PhysicalRule.from_canonical(bytes(rule)) for rule in _part(content, "rules", list[msgspec.Raw])),
            datasets=tuple(_dataset_from_json(dataset) for dataset in _part(content, "datasets", list[Any])),
            udfs=_udfs_from_json(_part(content, "udfs", Any)) if "udfs" in content else UdfSet(),
        )
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ValueError(f"it lacks or misplaces {error}") from None


def _part(stored: dict[str, msgspec.Raw], name: str, kind: Any) -> Any:
    return msgspec.json.decode(stored[name], type=kind)


def _udfs_from_json(stored: dict[str, Any]) -> UdfSet:
    return UdfSet(stored["files"], tuple(Signature.from_json(one) for one in stored["functions"]))


def _event_type_to_json(kind: EventType) -> dict[str, Any]:
    fields = [
        {"path": list(field.path), "type": type_to_json(field.type), "required": field.required, "description": field.description}
        for field in kind.fields
    ]
    head = {name: getattr(kind, name) for name in EventType.__struct_fields__ if name != "fields"}
    return {**head, "fields": fields}


def _event_type_from_json(stored: dict[str, Any]) -> EventType:
    fields = tuple(
        Field(tuple(field["path"]), type_from_json(field["type"]), field["required"], field["description"])
        for field in stored["fields"]
    )
    return EventType(**{**stored, "fields": fields})


def _dataset_to_json(dataset: DatasetSchema) -> dict[str, Any]:
    columns = [[name, type_to_json(kind)] for name, kind in dataset.columns]
    stored: dict[str, Any] = {"name": dataset.name, "star": dataset.star, "columns": columns}
    return stored if dataset.descriptor is None else {**stored, "protobuf": descriptor_to_json(dataset.descriptor)}


def _dataset_from_json(stored: dict[str, Any]) -> DatasetSchema:
    columns = tuple((name, type_from_json(kind)) for name, kind in stored["columns"])
    descriptor = descriptor_from_json(stored["protobuf"]) if "protobuf" in stored else None
    return DatasetSchema(stored["name"], stored["star"], columns, descriptor)
