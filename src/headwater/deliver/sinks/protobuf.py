"""Files of Protobuf messages: `<directory>/<20-digit n>.pb`, each message behind its length, with the `.proto` file beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from headwater.core.descriptor import Descriptor, descriptor_to_json
from headwater.core.files import replace_file
from headwater.core.limits import SINK_FILE_BYTES_MAX
from headwater.deliver.sinks.ndjson import NdjsonSink
from headwater.kernel import Protobuf


class ProtobufSink(NdjsonSink):
    """One dataset as Protobuf, or as JSON lines while ``descriptor`` gives None; a change of that begins a new file.

    A row that the dataset's earlier columns gave is written by the descriptor of now: what that does not know is left out.
    """

    def __init__(
        self, directory: Path, descriptor: Callable[[], Descriptor | None], file_bytes_max: int = SINK_FILE_BYTES_MAX
    ) -> None:
        super().__init__(directory, file_bytes_max)
        self._wanted = descriptor
        self._known: Descriptor | None = None
        self._codec: Protobuf | None = None

    def _wanted_suffix(self) -> str:
        return "ndjson" if self._wanted() is None else "pb"

    def _encoded(self, lines: bytes) -> bytes:
        if self._suffix != "pb":
            return lines
        wanted = self._wanted()
        if wanted is not None and wanted != self._known:
            for name, text in wanted.files:
                replace_file(self.directory / name, text.encode())
            self._codec = Protobuf(json.dumps(descriptor_to_json(wanted)).encode())
            self._known = wanted
        if self._codec is None:
            raise OSError(None, "it is Protobuf no more; what follows goes into the next file")
        return self._codec.encode(lines)
