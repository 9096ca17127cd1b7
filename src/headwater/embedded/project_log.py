"""The log of a project: its places opened, its key classes fixed, its collectors numbered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headwater.core.errors import ProjectError
from headwater.log import shared
from headwater.log.roster import Roster
from headwater.log.runtime import Threads
from headwater.log.stores.place import storage_at
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.registry.log_settings import LogSettings

# A topic that nobody writes: its partitions are the key classes.
_CLASSES = "key_classes"


def open_log(settings: LogSettings, name: str) -> shared.SharedLog:
    """The log of a project; ``name`` tells people which process writes. Raises what `shared.open_log` raises."""
    sites = {site: storage_at(place) for site, place in settings.sites.items()}
    witnesses = {witness: storage_at(place) for witness, place in settings.witnesses.items()}
    return shared.open_log(sites, witnesses, shared.LogSettings(first=settings.site, host=name))


def key_classes(log: shared.SharedLog) -> int | None:
    """How many key classes the log has; None where that was never fixed. Raises StorageUnavailable, CorruptLog."""
    with _threads() as runtime:
        settings = TopicRegistry(log.sites, runtime).list().get(_CLASSES)
    return settings.partitions if settings is not None else None


def fix_key_classes(log: shared.SharedLog, classes: int) -> None:
    """The log has so many, for as long as it lives. Raises ProjectError where it has others, StorageUnavailable, CorruptLog."""
    known = key_classes(log)
    if known is not None and known != classes:
        begun = f"this log was begun with {known}, and keeps that as long as it lives"
        raise ProjectError(f"headwater.toml: key_classes of [log] is {classes}, but {begun}")
    if known is None:
        with _threads() as runtime:
            TopicRegistry(log.sites, runtime).create(_CLASSES, TopicSettings(partitions=classes))


def number_of(log: shared.SharedLog, name: str) -> int:
    """The number of a collector, which its partitions follow from. Raises StorageUnavailable, CorruptLog."""
    with _threads() as runtime:
        return Roster(log.sites, runtime).number_of(name)


@contextmanager
def _threads() -> Iterator[Threads]:
    runtime = Threads()
    try:
        yield runtime
    finally:
        runtime.close()
