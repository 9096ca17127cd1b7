"""Where a shard's records lie apart from its last segments: what was compacted, and what is to be deleted. See decision 0016.

The layouts of a shard are a journal of their own, and each change is the whole of the next one. So any process can tidy a
shard up without taking it over, and two that do so at the same time cannot both succeed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headwater.core.ids import new_id
from headwater.log.envelope import Shape
from headwater.log.journal import Journal
from headwater.log.ledger import numbers_in, object_name
from headwater.log.runtime import Runtime
from headwater.log.storage import ObjectMissing, StorageUnavailable
from headwater.log.takeover import Sites


class Compacted(msgspec.Struct, frozen=True):
    """A sorted copy of the counted segments with numbers ``first`` to ``last``: its parts, and the index that is put last.

    ``id`` is new for each copy, so that no object of it can be a stale one. ``records_bytes``: records before compression.
    """

    id: str
    first: int
    last: int
    parts: tuple[int, ...]
    index_bytes: int
    index_checksum: int
    records_bytes: int


class Layout(msgspec.Struct, frozen=True):
    """What lies before the last segments. Segments that count and have numbers below ``starts_at`` are ``compacted``, or gone.

    ``begun`` are ids of copies that somebody makes now. ``doomed`` and ``doomed_segments`` are not to be read any more, and are
    deleted after a grace.
    """

    shard: str
    starts_at: int = 0
    compacted: tuple[Compacted, ...] = ()
    begun: tuple[str, ...] = ()
    doomed: tuple[str, ...] = ()
    doomed_segments: tuple[int, ...] = ()


class Whole(msgspec.Struct, tag="state"):
    """The layout, as the journal keeps it from time to time in place of all changes before."""

    layout: Layout


class Change(msgspec.Struct, tag="change"):
    """This is the layout now. ``by`` makes each change unlike every other."""

    layout: Layout
    by: str


LAYOUT: Shape[Whole | Change] = Shape("a layout", b"\xf5HWY", 1, Whole | Change, numbered=True)


def layout_directory(shard: str) -> str:
    """Where the layouts of a shard are."""
    return f"{shard}/layout"


def compacted_directory(shard: str) -> str:
    """Where the objects of compacted copies are."""
    return f"{shard}/compacted"


def part_name(shard: str, id: str, part: int) -> str:
    """The object of a part of a compacted copy."""
    return f"{compacted_directory(shard)}/{id}.{part:06}"


def index_name(shard: str, id: str) -> str:
    """The object with the index of a compacted copy."""
    return f"{compacted_directory(shard)}/{id}.index"


def copy_of(name: str) -> str:
    """The id of the copy that an object in that directory is of."""
    return name.partition(".")[0]


def names_of(shard: str, compacted: Compacted) -> list[tuple[str, int]]:
    """Every object of a compacted copy with its bytes; the index comes last."""
    parts = [(part_name(shard, compacted.id, at), size) for at, size in enumerate(compacted.parts)]
    return [*parts, (index_name(shard, compacted.id), compacted.index_bytes)]


class Layouts:
    """The layouts of one shard: `read` them, `change` them. For one thread at a time."""

    def __init__(self, shard: str, sites: Sites, runtime: Runtime) -> None:
        self._shard = shard
        self._sites = sites
        empty = Whole(Layout(shard))
        self._journal: Journal[Whole, Change] = Journal(sites, layout_directory(shard), runtime, LAYOUT, empty, _apply)

    @property
    def last(self) -> Layout:
        """The layout that was read last, or made."""
        return self._journal.state.layout

    def read(self) -> Layout:
        """The layout that holds. Raises StorageUnavailable where no majority answers, CorruptLog."""
        self._journal.refresh()
        return self.last

    def look(self) -> Layout:
        """The layout to read by: the one that holds, or without a majority the last one known, or that any site knows.

        Whatever was proposed may be read by, as long as what it names is there. Raises CorruptLog.
        """
        try:
            return self.read()
        except StorageUnavailable:
            return self.last if self._journal.position >= 0 else self._any()

    def _any(self) -> Layout:
        directory = layout_directory(self._shard)
        found = [(-1, LAYOUT.encode(Whole(Layout(self._shard)), 0))]
        for site in self._sites.storages:
            try:
                numbers = numbers_in(site, directory)
                if numbers:
                    found.append((numbers[-1], site.get(object_name(directory, numbers[-1]))))
            except (ObjectMissing, StorageUnavailable):
                continue
        number, data = max(found)
        return LAYOUT.decode(data, object_name(directory, max(number, 0)), max(number, 0)).layout

    def change(self, how: Callable[[Layout], Layout | None]) -> Layout:
        """Makes the layout what ``how`` says of the one that holds, again and again until that is None; what holds then.

        Raises StorageUnavailable: a change may have been made, or come to be; CorruptLog.
        """

        def due(state: Whole) -> Change | None:
            wanted = how(state.layout)
            return None if wanted is None else Change(wanted, new_id())

        self._journal.perform(due)
        return self.last


def _apply(state: Whole, number: int, change: Change) -> None:
    state.layout = change.layout
