"""The snapshot: one immutable, numbered, hashed version of all configuration. Collectors and workers run snapshots only.

Stored as JSON: `{"format", "number", "created_time", "hash", "content"}`; the hash is the SHA-256 of the canonical JSON of
`content` (keys sorted, no white space, UTF-8), so that equal configuration has an equal hash whenever it was published.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from headwater.core.dataset import DatasetSchema, EventTypeSchema, SourceSchema
from headwater.core.descriptor import descriptor_from_json, descriptor_to_json
from headwater.core.event import EVENT_BASE
from headwater.core.types import DataType, type_from_json, type_to_json
from headwater.core.udf import Signature, UdfSet

FORMAT = 1


class App(msgspec.Struct, frozen=True):
    """An app that may report events. ``mode`` is observe (unregistered events pass, flagged) or enforce (they are dead letters).

    ``write_keys`` are `write_key_hash` of its keys; the keys themselves are only in the plan file.
    """

    name: str
    owner: str
    mode: str
    write_keys: tuple[str, ...]
    description: str = ""


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
    rules: tuple[dict[str, Any], ...] = ()
    datasets: tuple[DatasetSchema, ...] = ()
    udfs: UdfSet = UdfSet()

    @property
    def sources(self) -> dict[str, SourceSchema]:
        """The datasets that rules may read, by name."""
        return {self.source: SourceSchema(self.source, EVENT_BASE, tuple(kind.schema() for kind in self.event_types))}

    def physical(self) -> list[bytes]:
        """The rules as the kernel links them, in order: canonical JSON."""
        return [canonical(rule) for rule in self.rules]

    def content(self) -> dict[str, Any]:
        """All of it as JSON values: what the hash covers."""
        content: dict[str, Any] = {
            "project": self.project,
            "source": self.source,
            "apps": [msgspec.to_builtins(app) for app in self.apps],
            "event_types": [_event_type_to_json(kind) for kind in self.event_types],
            "rules": list(self.rules),
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
    stored = json.loads(data)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        found = stored.get("format") if isinstance(stored, dict) else stored
        raise ValueError(f"snapshot format {found!r} is not known; this Headwater reads format {FORMAT}")
    try:
        content = stored["content"]
        found_hash = hashlib.sha256(canonical(content)).hexdigest()
        if found_hash != stored["hash"]:
            raise ValueError(f"its content has the hash {found_hash[:12]}…, but it says {str(stored['hash'])[:12]}…")
        return Snapshot(
            number=stored["number"],
            created_time=stored["created_time"],
            hash=stored["hash"],
            project=content["project"],
            source=content["source"],
            apps=msgspec.convert(content["apps"], tuple[App, ...]),
            event_types=tuple(_event_type_from_json(kind) for kind in content["event_types"]),
            rules=tuple(content["rules"]),
            datasets=tuple(_dataset_from_json(dataset) for dataset in content["datasets"]),
            udfs=_udfs_from_json(content.get("udfs")),
        )
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ValueError(f"it lacks or misplaces {error}") from None


def _udfs_from_json(stored: dict[str, Any] | None) -> UdfSet:
    if stored is None:
        return UdfSet()
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
