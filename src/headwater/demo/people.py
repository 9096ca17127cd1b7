"""Who uses the demonstration's apps, and what they do there: people, and sessions as steps in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headwater.core.ids import Random

VIDEO, SHOP = "video", "shop"
_DEVICES = (
    ("ios", "iPhone 15", "Apple", "17.5"),
    ("ios", "iPhone SE", "Apple", "16.7"),
    ("ios", "iPad Air", "Apple", "17.4"),
    ("android", "Pixel 8", "Google", "14"),
    ("android", "Galaxy S24", "Samsung", "14"),
    ("android", "Redmi Note 12", "Xiaomi", "13"),
    ("web", "desktop", "", "128"),
)
_LOCALES = (("en-GB", "Europe/London"), ("de-DE", "Europe/Berlin"), ("pt-BR", "America/Sao_Paulo"), ("ja-JP", "Asia/Tokyo"))
_NETWORKS = ("wifi", "wifi", "wifi", "5g", "4g")
_TAGS = ("music", "cooking", "football", "travel", "comedy", "news", "gaming", "diy")
_QUERIES = (
    "running shoes",
    "Espresso machine",
    "  winter coat ",
    "lo-fi beats",
    "how to tie a tie",
    "USB-C cable",
    "marathon 2026",
)
_CATEGORIES = ("shoes", "kitchen", "clothing", "electronics")
_CAMPAIGNS = ("spring-sale", "new-users", "win-back")


class Person(msgspec.Struct, frozen=True):
    """One simulated user. ``user_id`` is None for one who never signed in."""

    device_id: str
    user_id: str | None
    context: dict[str, Any]
    groups: dict[str, str]


class Step(msgspec.Struct, frozen=True):
    """Something that a person does ``wait_s`` seconds after the step before."""

    wait_s: float
    app: str
    event: str
    properties: dict[str, Any]


def person(random: Random, number: int) -> Person:
    """The person of that number, with a device, a place and groups in two experiments."""
    platform, model, maker, version = random.choice(_DEVICES)
    locale, timezone = random.choice(_LOCALES)
    context = {
        "app": {
            "name": "Riverside",
            "version": random.choice(("5.1.0", "5.1.2", "5.2.0")),
            "build": str(random.randint(900, 999)),
        },
        "device": {"id": f"device-{number:05}", "model": model, "manufacturer": maker, "type": platform},
        "os": {"name": {"ios": "iOS", "android": "Android", "web": "Linux"}[platform], "version": version},
        "locale": locale,
        "timezone": timezone,
        "network": {random.choice(_NETWORKS): True},
        "screen": {"width": 1170, "height": 2532, "density": 3.0},
    }
    signed_in = random.random() < 0.7
    groups = {"feed-ranking": random.choice(("control", "treatment")), "short-checkout": random.choice("ab")}
    return Person(f"device-{number:05}", f"user-{number:05}" if signed_in else None, context, groups)


def session(random: Random, who: Person) -> Iterator[Step]:
    """One visit: the feed first, and for some the shop."""
    yield Step(
        0.0,
        VIDEO,
        "app_start",
        {"launch": random.choice(("cold", "warm")), "startup_ms": int(random.lognormvariate(6.2, 0.4))},
    )
    for name, group in who.groups.items():
        if random.random() < 0.5:
            yield Step(
                0.05, VIDEO, "experiment_exposure", {"experiment": name, "group": group, "variants": ["control", "treatment"]}
            )
    if random.random() < 0.35:
        yield _search(random, VIDEO)
    campaign = None
    for position in range(random.randint(1, 5)):
        for step in _video(random, position):
            if step.event == "ad_click":
                campaign = step.properties
            yield step
    if campaign or random.random() < 0.4:
        yield from _shopping(random, campaign)


def _search(random: Random, app: str) -> Step:
    return Step(
        random.uniform(0.2, 1.0),
        app,
        "search",
        {
            "query": random.choice(_QUERIES),
            "results": random.randint(0, 300),
            "filters": random.sample(_CATEGORIES, random.randint(0, 2)),
        },
    )


def _video(random: Random, position: int) -> Iterator[Step]:
    """A video on screen: seen, perhaps played, liked, shared; now and then an ad."""
    video = {"video_id": 7_000_000_000 + int(random.paretovariate(0.8)) % 5000, "position": position}
    yield Step(
        random.uniform(0.1, 0.6),
        VIDEO,
        "video_view",
        {**video, "source": "feed", "tags": random.sample(_TAGS, random.randint(1, 3))},
    )
    if random.random() < 0.7:
        duration_ms = random.randint(5_000, 180_000)
        played_ms = int(duration_ms * min(1.0, random.betavariate(1.2, 1.0)))
        quality = {"height": random.choice((480, 720, 1080)), "bitrate_kbps": round(random.uniform(600, 6000), 1)}
        stalled_ms = int(random.expovariate(1 / 800)) if random.random() < 0.2 else 0
        played = {**video, "duration_ms": duration_ms, "played_ms": played_ms, "stalled_ms": stalled_ms, "quality": quality}
        yield Step(random.uniform(0.3, 1.5), VIDEO, "video_play", played)
        if random.random() < 0.25:
            yield Step(0.2, VIDEO, "video_like", video)
        if random.random() < 0.08:
            yield Step(0.3, VIDEO, "video_share", {**video, "channel": random.choice(("link", "chat", "mail"))})
    if random.random() < 0.3:
        ad = {"ad_id": random.randint(500, 540), "slot": "feed", "campaign": random.choice(_CAMPAIGNS)}
        yield Step(0.1, VIDEO, "ad_view", ad)
        if random.random() < 0.3:
            yield Step(0.5, VIDEO, "ad_click", {**ad, "cost": round(random.uniform(0.02, 0.9), 3)})


def _shopping(random: Random, campaign: dict[str, Any] | None) -> Iterator[Step]:
    """Products looked at, a basket, perhaps an order, seldom a refund."""
    if random.random() < 0.5:
        yield _search(random, SHOP)
    basket = []
    for _ in range(random.randint(1, 4)):
        product = {
            "product_id": random.randint(10_000, 10_400),
            "price": round(random.lognormvariate(3.2, 0.8), 2),
            "currency": random.choice(("EUR", "GBP", "USD")),
            "category": random.choice(_CATEGORIES),
        }
        seen = {**product, "campaign": campaign["campaign"], "ad_id": campaign["ad_id"]} if campaign else product
        yield Step(random.uniform(0.2, 1.0), SHOP, "product_view", seen)
        if random.random() < 0.35:
            basket.append({"product_id": product["product_id"], "quantity": random.randint(1, 3), "price": product["price"]})
            yield Step(0.3, SHOP, "add_to_cart", basket[-1])
    if basket and random.random() < 0.6:
        order_id = f"o-{random.getrandbits(40):010x}"
        yield Step(random.uniform(0.5, 1.5), SHOP, "order_paid", _order(random, order_id, basket, campaign))
        if random.random() < 0.05:
            yield Step(1.0, SHOP, "order_refunded", {"order_id": order_id, "reason": random.choice(("damaged", "late", "other"))})


def _order(random: Random, order_id: str, basket: list[dict[str, Any]], campaign: dict[str, Any] | None) -> dict[str, Any]:
    """An order. Its total is text, as the shop's back end has it; a coupon is a number, but not always."""
    order: dict[str, Any] = {
        "order_id": order_id,
        "total": f"{sum(line['price'] * line['quantity'] for line in basket):.2f}",
        "items": basket,
        "paid_with": random.choice(("card", "card", "transfer", "voucher")),
    }
    if campaign:
        order |= {"campaign": campaign["campaign"], "ad_id": campaign["ad_id"]}
    if random.random() < 0.3:
        order["coupon"] = str(random.randint(1000, 9999)) if random.random() < 0.85 else random.choice(("SUMMER", "VIP"))
    return order
