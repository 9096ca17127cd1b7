"""Protobuf files of a batch run: messages, each behind its length, made of the NDJSON rows."""

from __future__ import annotations

import json
from pathlib import Path

from headwater.core.descriptor import Descriptor, descriptor_to_json
from headwater.core.errors import OutputError
from headwater.core.limits import BATCH_CHUNK_BYTES
from headwater.kernel import Protobuf


def write_protobuf(descriptor: Descriptor, rows: Path, messages: Path) -> None:
    """Writes the rows (NDJSON) as messages of a dataset. Raises OutputError."""
    codec = Protobuf(json.dumps(descriptor_to_json(descriptor)).encode())
    try:
        with rows.open("rb") as source, messages.open("wb") as target:
            while lines := source.readlines(BATCH_CHUNK_BYTES):
                target.write(codec.encode(b"".join(lines)))
    except OSError as e:
        raise OutputError(f"cannot write {messages}: {e.strerror}") from e


def write_proto_file(file: Path, text: str) -> None:
    """Writes a `.proto` file. Raises OutputError."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as e:
        raise OutputError(f"cannot write {file}: {e.strerror}") from e
