"""The sources that the tests of rules read."""

import pytest

from headwater.core.dataset import EventTypeSchema, SourceSchema
from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, TIMESTAMP, VARCHAR, ListOf, StructOf

PROPERTIES = StructOf(
    (
        ("duration_ms", BIGINT),
        ("price", DOUBLE),
        ("is_ad", BOOLEAN),
        ("title", VARCHAR),
        ("started", TIMESTAMP),
        ("payload", JSON),
        ("tags", ListOf(VARCHAR)),
        ("items", ListOf(StructOf((("sku", VARCHAR), ("amount", BIGINT))))),
        ("order", VARCHAR),
    )
)
BASE = (("event", VARCHAR), ("app", VARCHAR), ("user_id", VARCHAR), ("device_id", VARCHAR), ("event_time", BIGINT))
PLAIN = SourceSchema("app_events", StructOf((*BASE, ("properties", PROPERTIES))))
PLANNED = SourceSchema(
    "planned",
    StructOf((*BASE, ("context", JSON))),
    (
        EventTypeSchema(
            "video",
            "video_like",
            ((("properties", "count"), BIGINT), (("properties", "place"), VARCHAR), (("properties", "kind"), VARCHAR)),
        ),
        EventTypeSchema("video", "video_play", ((("properties", "count"), VARCHAR), (("properties", "place"), VARCHAR))),
        EventTypeSchema("shop", "video_like", ((("properties", "count"), DOUBLE), (("properties", "log", "rank"), BIGINT))),
    ),
)


@pytest.fixture
def sources() -> dict[str, SourceSchema]:
    return {"app_events": PLAIN, "planned": PLANNED}
