"""What events and rows are where the kernel is measured on Protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headwater.core.dataset import SourceSchema
from headwater.core.descriptor import descriptor_bytes
from headwater.kernel import Program, Protobuf
from headwater.registry.encoding import event_numbered_by_order, numbered_by_order
from headwater.rules import Compiled


class Formats(msgspec.Struct, frozen=True):
    """Descriptors as the kernel takes them: of events, and of rows by dataset."""

    input: bytes
    outputs: dict[str, bytes]

    def messages(self, batches: Sequence[bytes]) -> list[bytes]:
        """Batches of NDJSON as messages, without the lines that are no JSON objects and the fields that nobody registered."""
        codec, checker = Protobuf(self.input), Program([])
        found = []
        for batch in batches:
            rejected = {index for index, *_rest in checker.run(batch).rejects}
            lines = batch.split(b"\n")
            found.append(codec.encode(b"\n".join(line for index, line in enumerate(lines) if index not in rejected)))
        return found


def formats(compiled: Compiled, source: SourceSchema) -> Formats:
    """Descriptors made from the schema of the source and of the datasets; numbers go by the order of fields.

    Raises SchemaError where rows of a dataset cannot be of one message.
    """
    datasets: Mapping[str, SourceSchema] = {source.name: source}
    encoded = numbered_by_order(compiled.datasets, compiled.rules, datasets)
    outputs = {dataset.name: descriptor_bytes(dataset.descriptor) for dataset in encoded if dataset.descriptor is not None}
    return Formats(descriptor_bytes(event_numbered_by_order(source)), outputs)
