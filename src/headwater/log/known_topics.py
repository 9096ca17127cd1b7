"""The settings of topics as a log knows them without asking, and what they say of an append."""

from __future__ import annotations

import structlog

from headwater.core.errors import CorruptLog, LogError
from headwater.log.interface import AppendGroup
from headwater.log.runtime import Runtime
from headwater.log.storage import StorageUnavailable
from headwater.log.takeover import Sites
from headwater.log.topics import TopicRegistry, TopicSettings

_DEFAULTS = TopicSettings()
_log = structlog.get_logger()


class KnownTopics:
    """The settings as they were at the last `refresh`, which one thread calls; the rest is for any."""

    def __init__(self, sites: Sites, runtime: Runtime) -> None:
        self._sites = sites
        self._runtime = runtime
        self._registry = TopicRegistry(sites, runtime)
        self._created: dict[str, TopicSettings] = {}
        self.wrong = ""  # Why they cannot be read, where that is for damage.
        self.refresh()

    def refresh(self) -> None:
        """Looks for topics that were created, changed or deleted. Without a majority of the sites, what was known stays.

        So it does where they are damaged on too many: topics have the defaults then, which wait for every sync.
        """
        try:
            self._created, self.wrong = self._registry.list(), ""
        except StorageUnavailable:
            return
        except CorruptLog as e:
            if self.wrong != str(e):
                _log.error("the settings of topics cannot be read; it will be tried again", error=str(e))
            self.wrong = str(e)

    def create(self, topic: str, settings: TopicSettings) -> TopicSettings:
        """See `TopicRegistry.create`."""
        settled = TopicRegistry(self._sites, self._runtime).create(topic, settings)
        self._created = {**self._created, topic: settled}
        return settled

    def of(self, topic: str) -> TopicSettings:
        """The settings of a topic, or the defaults."""
        return self._created.get(topic, _DEFAULTS)

    def check_partitions(self, group: AppendGroup) -> None:
        """Raises LogError for a partition that its topic was created without."""
        for batch in group.batches if self._created else ():
            partitions = self.of(batch.topic).partitions
            if partitions is not None and batch.partition >= partitions:
                raise LogError(f"topic {batch.topic} has the partitions 0 to {partitions - 1}; there is no {batch.partition}")

    def sync_within_s(self, group: AppendGroup) -> float | None:
        """How long the group may wait to be durable: 0, then it is so before it is acknowledged; None for ever."""
        if not self._created or not group.batches:
            return 0.0
        least: float | None = None
        for settings in map(self.of, {batch.topic for batch in group.batches}):
            if settings.durability == "fsync":
                return 0.0
            if settings.durability == "interval":
                least = min(settings.interval_ms / 1000, least or settings.interval_ms / 1000)
        return least
