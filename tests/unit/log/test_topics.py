"""Settings of topics: created once, changed, deleted; the same for all processes."""

from __future__ import annotations

import pytest

from headwater.core.errors import LogError, StorageUnavailable
from headwater.core.limits import TOPIC_SETTINGS_AGE_S_MAX
from headwater.log import topics
from headwater.log.takeover import Sites
from headwater.log.topics import TopicRegistry, TopicSettings
from tests.unit.log.places import Clock, Place

ORDERS = TopicSettings(partitions=12, retention_ms=86_400_000)


@pytest.fixture
def places() -> list[Place]:
    return [Place(name) for name in "abc"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(places: list[Place], clock: Clock) -> TopicRegistry:
    return TopicRegistry(Sites(tuple(places)), clock)


@pytest.fixture
def other(places: list[Place], clock: Clock) -> TopicRegistry:
    return TopicRegistry(Sites(tuple(places)), clock)


def test_a_topic_is_created_once(registry: TopicRegistry, other: TopicRegistry) -> None:
    created = registry.create("orders", ORDERS)
    assert created.partitions == 12
    assert created.durability == "fsync"
    assert created.created_ms > 1_600_000_000_000
    assert other.create("orders", ORDERS) == created, "the same settings are fine"
    with pytest.raises(
        LogError, match="topic orders exists with other settings: partitions is 12, not 3, durability is fsync, not "
    ):
        other.create("orders", TopicSettings(partitions=3, retention_ms=86_400_000, durability="none"))
    assert other.get("orders") == created
    assert other.list() == {"orders": created}


def test_a_topic_that_nobody_created_has_defaults(registry: TopicRegistry, places: list[Place]) -> None:
    assert registry.get("views") == TopicSettings()
    assert TopicSettings().partitions is None
    assert registry.list() == {}
    assert places[0].names() == []


def test_settings_change(registry: TopicRegistry, other: TopicRegistry) -> None:
    registry.create("orders", ORDERS)
    other.alter("orders", durability="interval", interval_ms=50)
    altered = registry.alter("orders", partitions=20, retention_ms=None)
    assert (altered.durability, altered.interval_ms, altered.partitions, altered.retention_ms) == ("interval", 50, 20, None)
    assert other.list()["orders"] == altered


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"partitions": 3}, "topic orders has 12 partitions, and cannot have fewer: 3"),
        ({"partitions": None}, "cannot have fewer: None"),
        ({"retention_ms": 0}, "topic orders cannot have retention_ms 0; valid are 1 to 9223372036854775807"),
        ({"durability": "often"}, "topic orders: Invalid enum value 'often'"),
        ({"partitions": "many"}, r"topic orders: Expected `int \| null`, got `str`"),
        ({"colour": 1}, "topic orders: no settings to change: colour; valid are partitions, retention_ms, retention_bytes, dura"),
        ({"created_ms": 1}, "no settings to change: created_ms"),
    ],
)
def test_what_no_topic_can_have_is_refused(registry: TopicRegistry, changes: dict[str, object], said: str) -> None:
    registry.create("orders", ORDERS)
    with pytest.raises(LogError, match=said):
        registry.alter("orders", **changes)


def test_a_deleted_topic_is_marked_and_may_come_anew(registry: TopicRegistry, other: TopicRegistry, clock: Clock) -> None:
    registry.create("orders", ORDERS)
    other.delete("orders")
    clock.sleep(TOPIC_SETTINGS_AGE_S_MAX + 1)
    assert registry.get("orders") == TopicSettings()
    assert registry.list() == {}
    assert registry.deleted()["orders"].partitions == 12
    for call in (lambda: registry.delete("orders"), lambda: registry.alter("orders", partitions=13)):
        with pytest.raises(LogError, match="there is no topic orders; create it, or see the list of topics"):
            call()
    assert registry.create("orders", TopicSettings(partitions=1)).partitions == 1
    assert registry.deleted() == {}


def test_settings_are_known_for_a_while_and_when_no_site_answers(
    registry: TopicRegistry, other: TopicRegistry, places: list[Place], clock: Clock
) -> None:
    registry.create("orders", ORDERS)
    assert other.get("orders").partitions == 12
    registry.alter("orders", partitions=13)
    assert other.get("orders").partitions == 12
    clock.sleep(TOPIC_SETTINGS_AGE_S_MAX + 1)
    assert other.get("orders").partitions == 13
    for place in places:
        place.silent = True
    clock.sleep(TOPIC_SETTINGS_AGE_S_MAX + 1)
    assert other.get("orders").partitions == 13
    with pytest.raises(StorageUnavailable):
        TopicRegistry(Sites(tuple(places)), clock).get("orders")


def test_any_text_names_a_topic(registry: TopicRegistry, other: TopicRegistry) -> None:
    for name in ("ordérs/…", "x" * 1024):
        registry.create(name, ORDERS)
    assert sorted(other.list()) == sorted(["ordérs/…", "x" * 1024])
    with pytest.raises(LogError, match="valid are 1 to 1024"):
        registry.create("x" * 1025, ORDERS)


def test_topics_are_bounded(registry: TopicRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TOPICS_MAX", 2)
    registry.create("a", ORDERS)
    registry.create("b", ORDERS)
    with pytest.raises(LogError, match="there are 2 topics; c can only be created once another is deleted"):
        registry.create("c", ORDERS)
    registry.delete("a")
    registry.create("c", ORDERS)
    assert registry.deleted() == {}
    assert sorted(registry.list()) == ["b", "c"]
