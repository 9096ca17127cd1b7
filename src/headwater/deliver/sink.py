"""What a sink does, whatever it writes to."""

from __future__ import annotations

from typing import Protocol

import msgspec


class SinkBatch(msgspec.Struct, frozen=True):
    """Records of one partition of a topic, as the log gave them: ``first_offset`` up to ``next_offset`` (exclusive)."""

    partition: int
    records: bytes
    first_offset: int
    next_offset: int


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a sink is: what it wrote up to here is durable. ``next_offsets`` by partition, ``rows`` written in all.

    ``place`` is the sink's own: where it stands, such as a file and its length.
    """

    next_offsets: dict[int, int] = {}
    rows: int = 0
    place: dict[str, int] = {}


class Sink(Protocol):
    """Where a dataset leaves to. Used by one thread.

    Exactly once rests on this: whoever drives the sink saves a checkpoint before the first `write` and after each `sync`; after a
    crash or any error it opens the sink with the last one saved, and the sink takes back all that it wrote since.
    """

    def open(self, checkpoint: Checkpoint | None) -> Checkpoint:
        """Goes back to ``checkpoint`` (None: the very first time) and gives the one to save before the first `write`.

        Also after an error, to go on. Raises SinkError.
        """
        ...

    def write(self, batch: SinkBatch) -> int:
        """Writes a batch, not durable yet; gives its rows. Raises SinkError; ValueError for records that came before."""
        ...

    def sync(self) -> Checkpoint:
        """Makes durable what was written. Raises SinkError."""
        ...

    def close(self) -> None:
        """Lets go of files and connections, without a sync. A second call does nothing."""
        ...
