"""A deterministic workload: canonical events, SQL rules over them and the JSON Schema of their dataset.

Event names and apps follow a Zipf law. 3 % of `properties.duration_ms` and 2 % of `properties.log_pb.rank` are text in place of
numbers, 1 % of `properties.position` is no whole number, 2 % of `properties.log_pb` has an unregistered field, `properties.price`
is text, a number or null; one line in ten is written with \\u escapes. Most rules name an event and an app; one in five passes
whole events on.
"""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headwater.core.ids import Random, seeded_random

EVENT_NAMES = 2000
APPS = 20
EVENT_EXPONENT, APP_EXPONENT = 1.05, 0.9
NOUNS = [
    "video",
    "article",
    "live",
    "product",
    "card",
    "banner",
    "profile",
    "feed",
    "comment",
    "music",
    "topic",
    "coupon",
    "order",
    "story",
    "ad",
    "shop",
]
VERBS = [
    "view",
    "click",
    "like",
    "share",
    "follow",
    "comment",
    "play",
    "pause",
    "show",
    "slide",
    "enter",
    "leave",
    "pay",
    "search",
    "open",
    "close",
]
PLATFORMS = ["android", "ios", "web", "desktop", "server"]
REGIONS = ["CN", "US", "JP", "BR", "ID", "IN", "DE", "FR", "GB", "MX"]
ENTRIES = ["feed", "search", "profile", "push", "share", "follow_tab", "hot_list", "detail"]
TITLES = [
    "今日热点",
    "Sunset over the bay \\o/",
    'He said "go"',
    "новости дня",
    "plain title",
    "10% off\tonly today",
    "é à ü",
    "🎬 clip",
]
FIRST_TIME_MS = 1_760_000_000_000
# A program of many rules has rules for one group of users each, as experiments have.
RULES_WITH_GROUPS_FROM, RULES_MOSTLY_GROUPS_FROM = 200, 2000


def event_name(number: int) -> str:
    """The name of an event type: 256 pairs of a noun and a verb, then numbered ones."""
    name = f"{NOUNS[number % 16]}_{VERBS[number // 16 % 16]}"
    return name if number < 256 else f"{name}_{number // 256}"


def zipf(count: int, exponent: float) -> list[float]:
    """The cumulative probabilities of ranks 0 … count − 1."""
    totals = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(count)))
    return [total / totals[-1] for total in totals]


NAMES = [event_name(number) for number in range(EVENT_NAMES)]
EVENT_LAW, APP_LAW = zipf(EVENT_NAMES, EVENT_EXPONENT), zipf(APPS, APP_EXPONENT)


def draw_name(chance: Random) -> str:
    """An event's name, by its law."""
    return NAMES[bisect.bisect_left(EVENT_LAW, chance.random())]


def draw_app(chance: Random) -> str:
    """An app, by its law."""
    return f"app_{bisect.bisect_left(APP_LAW, chance.random()):02d}"


def draw_price(chance: Random) -> str | int | None:
    """A price: text, a number, mostly None."""
    if chance.random() >= 0.3:
        return None
    as_text = chance.random() < 0.5
    price = chance.randrange(1, 99_999)
    return str(price) if as_text else price


def draw_properties(chance: Random) -> dict[str, Any]:
    """The event's own fields."""
    properties: dict[str, Any] = {
        "group_id": str(7_000_000_000_000_000_000 + chance.randrange(200_000)),
        "author_id": str(10**9 + chance.randrange(50_000)),
        "enter_from": chance.choice(ENTRIES),
        "position": chance.randrange(60),
        "duration_ms": int(chance.expovariate(1 / 8000)),
        "play_rate": round(chance.random(), 4),
        "is_ad": chance.random() < 0.1,
        "title": chance.choice(TITLES),
        "log_pb": {"impr_id": f"{chance.getrandbits(96):024x}", "rank": chance.randrange(200), "scene": chance.choice(ENTRIES)},
        "tags": [f"t{chance.randrange(300)}" for _ in range(chance.randrange(5))],
        "price": draw_price(chance),
        "ab_group": chance.randrange(1000),
    }
    for _ in range(chance.randrange(6)):
        properties[f"ext_{chance.randrange(40)}"] = chance.choice(["", "a", "B7", "unknown", "1"])
    if chance.random() < 0.03:
        properties["duration_ms"] = str(properties["duration_ms"])
    if chance.random() < 0.02:
        properties["log_pb"]["rank"] = str(properties["log_pb"]["rank"])
    if chance.random() < 0.02:
        properties["log_pb"]["debug"] = {"path": [1, 2]}
    if chance.random() < 0.01:
        properties["position"] = chance.choice(["first", 2.5, True])
    return properties


def draw_context(chance: Random) -> dict[str, Any]:
    """Where the event came from."""
    return {
        "app_version": f"{chance.randrange(10, 30)}.{chance.randrange(9)}.{chance.randrange(9)}",
        "channel": chance.choice(["store", "organic", "ads_1", "preload"]),
        "network": chance.choice(["wifi", "4g", "5g", "3g", "none"]),
        "region": chance.choice(REGIONS),
        "locale": chance.choice(["zh", "en", "ja", "pt", "id"]),
        "os": {"version": f"{chance.randrange(8, 18)}.{chance.randrange(6)}"},
        "device": {"model": chance.choice(["SM-G991B", "iPhone15,2", "Pixel 8", "M2102J2SC"])},
        "ip": f"203.0.{chance.randrange(256)}.{chance.randrange(256)}",
        "library": {"name": "sdk", "version": f"5.1.{chance.randrange(20)}"},
    }


def draw_event(chance: Random, number: int) -> dict[str, Any]:
    """One canonical event; times are ms since 1970."""
    time_ms = FIRST_TIME_MS + number // 50 + chance.randrange(2000)
    properties = draw_properties(chance)
    return {
        "event": draw_name(chance),
        "app": draw_app(chance),
        "event_id": f"{chance.getrandbits(128):032x}",
        "event_time": time_ms,
        "sent_time": time_ms + chance.randrange(3000),
        "received_time": time_ms + 3000 + chance.randrange(400),
        "user_id": str(10**8 + chance.randrange(1_000_000)) if chance.random() < 0.8 else None,
        "device_id": str(10**15 + chance.randrange(2_000_000)),
        "session_id": f"{chance.getrandbits(64):016x}",
        "platform": chance.choice(PLATFORMS),
        "context": draw_context(chance),
        "properties": properties,
        "hw": {"tier": chance.randrange(4), "plan": 17, "seq": number},
    }


def events(count: int, seed: int = 1) -> Iterator[bytes]:
    """NDJSON lines without their line feeds, about 880 bytes each."""
    chance = seeded_random(seed)
    for number in range(count):
        event = draw_event(chance, number)
        yield json.dumps(event, ensure_ascii=number % 10 == 0, separators=(",", ":")).encode()


def batches(lines: Iterator[bytes], size: int) -> Iterator[bytes]:
    """NDJSON of `size` lines each."""
    while batch := list(itertools.islice(lines, size)):
        yield b"".join(line + b"\n" for line in batch)


def sql_list(values: list[str]) -> str:
    """Texts as SQL has them behind IN."""
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"


FIXED_COLUMNS = ["coalesce(user_id, device_id) AS uid", "device_id AS did", "event_time AS ts", "event_id"]
COLUMNS = {
    "item_id": "TRY_CAST(properties.group_id AS BIGINT)",
    "author": "TRY_CAST(properties.author_id AS BIGINT)",
    "duration": "properties.duration_ms",
    "entry": "upper(properties.enter_from)",
    "model": "lower(context.device.model)",
    "title": "properties.title",
    "log_pb": "properties.log_pb",
    "tags": "properties.tags",
    "region": "context.region",
    "locale": "context.locale",
    "price": "properties.price",
    "network": "coalesce(nullif(context.network, 'none'), 'offline')",
    "ext": "coalesce(properties.ext_7, 'none')",
    "seconds": "properties.duration_ms / 1000.0",
    "who": "coalesce(user_id, device_id)",
    "kind": "CASE WHEN properties.is_ad THEN 'ad' WHEN properties.position < 3 THEN 'top' ELSE 'rest' END",
}

Condition = Callable[[Random], str]


def group_condition(chance: Random) -> str:
    """One of a thousand groups of users."""
    return f"properties.ab_group = {chance.randrange(1000)}"


CONDITIONS: list[Condition] = [
    lambda chance: f"properties.duration_ms {chance.choice(['>', '>='])} {chance.choice([1000, 3000, 10000])}",
    lambda chance: f"platform IN {sql_list(sorted(chance.sample(PLATFORMS, 2)))}",
    lambda chance: "NOT properties.is_ad",
    lambda chance: "user_id IS NOT NULL",
    lambda chance: f"properties.enter_from IN {sql_list(sorted(chance.sample(ENTRIES, 3)))}",
    lambda chance: f"context.region = '{chance.choice(REGIONS)}'",
    lambda chance: "context.network <> 'none'",
    lambda chance: f"context.app_version LIKE '{chance.randrange(10, 30)}.%'",
    lambda chance: "properties.price IS NOT NULL",
    lambda chance: f"properties.title LIKE '%{chance.choice(['today', '热点', 'clip'])}%'",
    lambda chance: f"properties.position BETWEEN {chance.randrange(5)} AND {chance.randrange(20, 40)}",
    lambda chance: f"(properties.play_rate > 0.8 OR properties.duration_ms > {chance.choice([5000, 20000])})",
    lambda chance: f"properties.log_pb.rank < {chance.choice([20, 50, 100])}",
]


def draw_where(chance: Random, number: int, total: int) -> list[str]:
    """The conditions of a rule: an event list, mostly an app list, one to three more."""
    names = sorted({draw_name(chance) for _ in range(chance.choice([1, 1, 2, 3]))})
    where = [f"event IN {sql_list(names)}" if len(names) > 1 else f"event = '{names[0]}'"]
    if chance.random() < 0.8:
        where.append(f"app IN {sql_list(sorted({draw_app(chance) for _ in range(chance.choice([1, 1, 2]))}))}")
    pool = CONDITIONS + [group_condition] * (4 if total > RULES_WITH_GROUPS_FROM else 0)
    where += [condition(chance) for condition in chance.sample(pool, chance.choice([1, 2, 3]))]
    if total > RULES_MOSTLY_GROUPS_FROM and number % 20 and not any("ab_group" in condition for condition in where):
        where.append(group_condition(chance))
    return where


def draw_rule(chance: Random, number: int, total: int) -> str:
    """One rule as a person writes it."""
    where = draw_where(chance, number, total)
    select = "*"
    if chance.random() >= 0.2:
        names = list(COLUMNS)
        extra = [names[index] for index in sorted(chance.sample(range(len(names)), chance.randrange(1, 9)))]
        columns = [*FIXED_COLUMNS, f"'act_{number % 37}' AS action", *(f"{COLUMNS[name]} AS {name}" for name in extra)]
        select = ", ".join(columns)
    dataset = f"{'split' if select == '*' else 'topic'}_{chance.randrange(max(4, min(total, 200))):03d}"
    conditions = "\n  AND ".join(where)
    return f"-- rule: r{number:05d}\nINSERT INTO {dataset}\nSELECT {select}\nFROM app_events\nWHERE {conditions};\n"


def rules(count: int, seed: int = 7) -> str:
    """The text of a file of rules."""
    chance = seeded_random(seed)
    return "\n".join(draw_rule(chance, number, count) for number in range(count))


def schema(properties: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON Schema of the dataset `app_events`, with these properties besides its own."""
    text, whole, real, flag = ({"type": name} for name in ("string", "integer", "number", "boolean"))

    def record(**fields: Any) -> dict[str, Any]:
        return {"type": "object", "properties": fields}

    own = record(
        group_id=text, author_id=text, enter_from=text, position=whole, duration_ms=whole, play_rate=real, is_ad=flag, title=text,
        log_pb=record(impr_id=text, rank=whole, scene=text), tags={"type": "array", "items": text}, price=whole, ab_group=whole,
        **{f"ext_{number}": text for number in range(40)}, **(properties or {}),
    )  # fmt: skip
    context = record(
        app_version=text, channel=text, network=text, region=text, locale=text, os=record(version=text),
        device=record(model=text), ip=text, library=record(name=text, version=text),
    )  # fmt: skip
    event = record(
        event=text, app=text, event_id=text, event_time=whole, sent_time=whole, received_time=whole, user_id=text,
        device_id=text, session_id=text, platform=text, context=context, properties=own,
        hw=record(tier=whole, plan=whole, seq=whole),
    )  # fmt: skip
    required = ["event", "app", "event_id", "event_time"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "app_events", **event, "required": required}
