"""The checkpoints of all sinks of a deliverer, in one file that is replaced as a whole: two syncs, however many sinks."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headwater.core.errors import SinkError
from headwater.core.files import replace_file
from headwater.deliver.sink import Checkpoint

FORMAT = 1


class _Stored(msgspec.Struct):
    format: int
    sinks: dict[str, Checkpoint]


class Checkpoints:
    """Checkpoints by dataset."""

    def __init__(self, path: Path) -> None:
        """Reads the file, where there is one. Raises SinkError where it cannot be read or has a format that is not known."""
        self._path = path
        self._sinks: dict[str, Checkpoint] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else None
        except OSError as e:
            raise SinkError(f"cannot read the checkpoints of the sinks, {path}: {e.strerror}") from e
        if data is not None:
            self._sinks = _decode(path, data).sinks

    def names(self) -> tuple[str, ...]:
        """The datasets that have a checkpoint."""
        return tuple(self._sinks)

    def get(self, dataset: str) -> Checkpoint | None:
        """The last checkpoint saved."""
        return self._sinks.get(dataset)

    def save(self, changed: dict[str, Checkpoint]) -> None:
        """Makes these durable beside the others. Raises SinkError; then none of them counts."""
        sinks = self._sinks | changed
        try:
            replace_file(self._path, msgspec.json.encode(_Stored(FORMAT, sinks)))
        except OSError as e:
            raise SinkError(f"cannot save the checkpoints of the sinks, {self._path}: {e.strerror}") from e
        self._sinks = sinks


def _decode(path: Path, data: bytes) -> _Stored:
    try:
        stored = msgspec.json.decode(data, type=_Stored)
    except msgspec.DecodeError as e:
        raise SinkError(f"{path} is damaged: {e}") from e
    if stored.format != FORMAT:
        raise SinkError(f"{path} has format {stored.format}; this Headwater reads format {FORMAT}")
    return stored
