"""Datasets: named, typed streams of records. A source is the dataset that events enter; rules write the others."""

from __future__ import annotations

import msgspec

from headwater.core.descriptor import Descriptor
from headwater.core.types import DataType, StructOf


class EventTypeSchema(msgspec.Struct, frozen=True):
    """What one registered event type adds to its source: fields by path from the root, such as ``("properties", "price")``."""

    app: str
    event: str
    fields: tuple[tuple[tuple[str, ...], DataType], ...]


class SourceSchema(msgspec.Struct, frozen=True):
    """A dataset that rules read.

    ``base`` holds the fields that every event has. Where ``event_types`` is empty (a JSON Schema given by hand), ``base`` is all.
    Else a path is looked up in ``base`` first and then in the event types that the rule's WHERE admits.
    """

    name: str
    base: StructOf
    event_types: tuple[EventTypeSchema, ...] = ()


class DatasetSchema(msgspec.Struct, frozen=True):
    """A dataset that rules write: ``columns`` in order; a ``star`` dataset holds whole events and has no columns of its own.

    Its rows are JSON, or Protobuf where there is a ``descriptor``.
    """

    name: str
    star: bool
    columns: tuple[tuple[str, DataType], ...] = ()
    descriptor: Descriptor | None = None
