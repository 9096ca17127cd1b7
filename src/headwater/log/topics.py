"""Settings of topics: partitions, retention, durability. One journal holds those of all topics."""

from __future__ import annotations

from typing import Literal

import msgspec

from headwater.core.clock import now_ms
from headwater.core.errors import LogError
from headwater.core.limits import TOPIC_SETTINGS_AGE_S_MAX, TOPICS_MAX
from headwater.log.envelope import Shape
from headwater.log.journal import SNAPSHOT_ENTRIES, Journal, check_name
from headwater.log.runtime import Runtime
from headwater.log.storage import StorageUnavailable
from headwater.log.takeover import Sites

DIRECTORY = "_topics"
_NUMBER_MAX = 2**63 - 1
_PARTITIONS_MAX = 2**32
_SET_BY_US = ("created_ms", "deleted_ms")


class TopicSettings(msgspec.Struct, frozen=True):
    """What holds for a topic; a topic that nobody created has these defaults.

    ``partitions``: 0 to this less one; None: as they come. ``retention_ms``, ``retention_bytes`` (of a partition): older records,
    and those beyond, may be removed; None: never. ``durability``: an append is acknowledged once it is synced (``fsync``), is
    synced every ``interval_ms`` (``interval``), or when the system likes (``none``). ``created_ms``, ``deleted_ms``: when, by
    the wall clock of who did it; a topic that is deleted may be created anew.
    """

    partitions: int | None = None
    retention_ms: int | None = None
    retention_bytes: int | None = None
    durability: Literal["fsync", "interval", "none"] = "fsync"
    interval_ms: int = 100
    created_ms: int = 0
    deleted_ms: int | None = None


class Topics(msgspec.Struct, tag="state"):
    """The settings of all topics that were ever created, deleted ones included."""

    topics: dict[str, TopicSettings] = {}


class Set(msgspec.Struct, tag="set"):
    """A topic has these settings now. ``forget``: a deleted topic that goes for it."""

    topic: str
    settings: TopicSettings
    forget: str | None = None


SHAPE: Shape[Topics | Set] = Shape("an entry of the settings of topics", b"\xf5HWT", 1, Topics | Set, numbered=True)


class TopicRegistry:
    """Create, change and look up topics. For one thread at a time. All calls raise StorageUnavailable, CorruptLog."""

    def __init__(self, sites: Sites, runtime: Runtime, snapshot_entries: int = SNAPSHOT_ENTRIES) -> None:
        self._runtime = runtime
        self._journal: Journal[Topics, Set] = Journal(sites, DIRECTORY, runtime, SHAPE, Topics(), _apply, snapshot_entries)
        self._read_s: float | None = None

    def get(self, topic: str) -> TopicSettings:
        """The settings of a topic, or the defaults. As they were within the last `TOPIC_SETTINGS_AGE_S_MAX` seconds.

        Or as they were last, where no majority of the sites answers now.
        """
        now = self._runtime.now()
        if self._read_s is None or now - self._read_s > TOPIC_SETTINGS_AGE_S_MAX:
            try:
                self._journal.refresh()
            except StorageUnavailable:
                if self._read_s is None:
                    raise
            self._read_s = now
        return self._found(self._journal.state, topic) or TopicSettings()

    def list(self) -> dict[str, TopicSettings]:
        """All topics that were created and not deleted, sorted, as they are now."""
        self._journal.refresh()
        return {name: settings for name, settings in sorted(self._journal.state.topics.items()) if settings.deleted_ms is None}

    def deleted(self) -> dict[str, TopicSettings]:
        """The topics that are deleted: their records may be removed."""
        self._journal.refresh()
        return {name: each for name, each in sorted(self._journal.state.topics.items()) if each.deleted_ms is not None}

    def create(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """Creates it; fine where it exists with the same settings. Raises LogError, naming the difference, where with others."""
        check_name("a topic", topic)
        _check(topic, settings)
        settings = msgspec.structs.replace(settings, created_ms=now_ms(), deleted_ms=None)

        def due(state: Topics) -> Set | None:
            found = self._found(state, topic)
            if found is None:
                return Set(topic, settings, _to_forget(state, topic))
            differences = _differences(found, settings)
            if differences:
                raise LogError(f"topic {topic} exists with other settings: {differences}; change them with alter")
            return None

        self._journal.perform(due)
        return self._journal.state.topics[topic]

    def alter(self, topic: str, **changes: object) -> TopicSettings:
        """Changes some settings, by their names. Raises LogError: no such topic or setting, or fewer partitions than it has."""
        _check_changes(topic, changes)

        def due(state: Topics) -> Set | None:
            found = self._existing(state, topic)
            settings: TopicSettings = msgspec.structs.replace(found, **changes)
            _check(topic, settings)
            if found.partitions is not None and (settings.partitions is None or settings.partitions < found.partitions):
                raise LogError(f"topic {topic} has {found.partitions} partitions, and cannot have fewer: {settings.partitions}")
            return None if settings == found else Set(topic, settings)

        self._journal.perform(due)
        return self._journal.state.topics[topic]

    def delete(self, topic: str) -> None:
        """Marks it as deleted. Raises LogError where there is no such topic."""
        deleted_ms, asked = now_ms(), False

        def due(state: Topics) -> Set | None:
            nonlocal asked
            if asked and self._found(state, topic) is None:
                return None
            asked = True
            return Set(topic, msgspec.structs.replace(self._existing(state, topic), deleted_ms=deleted_ms))

        self._journal.perform(due)

    def _found(self, state: Topics, topic: str) -> TopicSettings | None:
        found = state.topics.get(topic)
        return found if found is not None and found.deleted_ms is None else None

    def _existing(self, state: Topics, topic: str) -> TopicSettings:
        found = self._found(state, topic)
        if found is None:
            raise LogError(f"there is no topic {topic}; create it, or see the list of topics")
        return found


def _apply(state: Topics, number: int, change: Set) -> None:
    if change.forget is not None:
        state.topics.pop(change.forget, None)
    state.topics[change.topic] = change.settings


def _to_forget(state: Topics, topic: str) -> str | None:
    """The topic that was deleted first, where there is no place for one more. Raises LogError where all are in use."""
    if topic in state.topics or len(state.topics) < TOPICS_MAX:
        return None
    deleted = [(each.deleted_ms, name) for name, each in state.topics.items() if each.deleted_ms is not None]
    if not deleted:
        raise LogError(f"there are {TOPICS_MAX} topics; {topic} can only be created once another is deleted")
    return min(deleted)[1]


def _differences(found: TopicSettings, wanted: TopicSettings) -> str:
    names = [name for name in TopicSettings.__struct_fields__ if name not in _SET_BY_US]
    return ", ".join(
        f"{name} is {getattr(found, name)}, not {getattr(wanted, name)}"
        for name in names
        if getattr(found, name) != getattr(wanted, name)
    )


def _check_changes(topic: str, changes: dict[str, object]) -> None:
    valid = [name for name in TopicSettings.__struct_fields__ if name not in _SET_BY_US]
    unknown = sorted(changes.keys() - set(valid))
    if unknown:
        raise LogError(f"topic {topic}: no settings to change: {', '.join(unknown)}; valid are {', '.join(valid)}")


def _check(topic: str, settings: TopicSettings) -> None:
    """Raises LogError for settings that no topic can have."""
    try:
        msgspec.convert(msgspec.to_builtins(settings), TopicSettings)
    except msgspec.ValidationError as e:
        raise LogError(f"topic {topic}: {e}") from None
    for name, least, most in (
        ("partitions", 1, _PARTITIONS_MAX),
        ("retention_ms", 1, _NUMBER_MAX),
        ("retention_bytes", 1, _NUMBER_MAX),
        ("interval_ms", 1, _NUMBER_MAX),
    ):
        value = getattr(settings, name)
        if value is not None and not least <= value <= most:
            raise LogError(f"topic {topic} cannot have {name} {value}; valid are {least} to {most}")
