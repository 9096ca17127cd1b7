"""What a log knows of its shards: how each is read, who writes it, what it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from headwater.core.errors import CorruptLog, LogError
from headwater.log.follow import Shown
from headwater.log.holdings import Owners
from headwater.log.segment import Mark, Segment, SegmentHeader
from headwater.log.shard_view import ShardView
from headwater.log.storage import Storage

if TYPE_CHECKING:
    from headwater.log.shard_writer import SharedWriter


class Shards:
    """The shards of a log. ``lock`` is for what they hold, ``changing`` for which there are, and while they are followed.

    ``storages`` are all sites of the log; ``first`` names the one to read from while it can be.
    """

    def __init__(self, first: str, storages: Sequence[Storage]) -> None:
        self.lock = threading.Lock()
        self.changing = threading.RLock()
        self.owners = Owners()
        self.views: dict[str, ShardView] = {}
        self.writers: dict[str, SharedWriter] = {}
        self._first = first
        self._storages = tuple(storages)

    def view(self, shard: str) -> ShardView:
        """The view of a shard; a new one where it was not known."""
        return self.views.setdefault(shard, ShardView(shard, self.lock, self._storages, self._first))

    def written(self) -> list[ShardView]:
        """Those that this process writes."""
        with self.changing:
            return [self.views[shard] for shard in self.writers]

    def take_in(self, view: ShardView, shown: Shown) -> None:
        """From now on these segments and groups may be read. Raises CorruptLog where they do not continue what is known."""
        with self.lock:
            if shown.anew:
                self.owners.forget(view.name)
                view.reset()
            holdings = self.owners.of(view.name)
            for one in shown.found:
                if isinstance(one, Segment):
                    self._begin(view, one, shown.anew)
                    continue
                directory = [entry for _, _, entries in one.blocks for entry in entries]
                self._claim(view.name, one.mark, ((topic, partition) for topic, partition, _, _ in directory))
                for topic, partition, first, count in directory:
                    end = holdings.ends.get((topic, partition), 0)
                    if first != end:
                        raise CorruptLog(
                            f"shard {view.name}: group {one.number} has {topic}/{partition} {first} where {end} belongs"
                        )
                    self.owners.extend(view.name, (topic, partition), first + count)
                holdings.take(one.mark.commits, one.mark.state, one.mark.produced)
                view.add(one.start, one.end, directory)
            self.owners.unread.pop(view.name, None)

    def _begin(self, view: ShardView, segment: Segment, anew: bool) -> None:
        header = segment.header
        view.begin(segment)
        if anew and header.checkpoint:
            self._claim(view.name, header, ((topic, partition) for topic, partition, _ in header.ends))
            for topic, partition, end in header.ends:
                self.owners.extend(view.name, (topic, partition), end)
            self.owners.of(view.name).take(header.commits, header.state, header.produced)

    def _claim(self, shard: str, names: SegmentHeader | Mark, places: Iterable[tuple[str, int]]) -> None:
        try:
            self.owners.claim_partitions(shard, places)
            self.owners.claim_names(shard, names.commits, names.state)
        except LogError as e:
            raise CorruptLog(str(e)) from None
