"""What the plain workload lacks: failing casts, overflows, dirty inner fields, JSON columns, duplicate keys, broken lines."""

from __future__ import annotations

import json
import random
import re
from typing import Any

SCHEMA: dict[str, Any] = {
    "amount": {"type": "string"},
    "big": {"type": "integer"},
    "divisor": {"type": "integer"},
    "score": {"type": "number"},
    "flag": {"type": "boolean"},
    "at": {"type": "string", "format": "date-time"},
    "note": {"type": "string"},
    "extra": {},
    "cart": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}, "price": {"type": "number"}},
        },
    },
}

AMOUNTS = [
    "12",
    " 7 ",
    "1e3",
    "2.5",
    "-2.5",
    "x",
    "",
    "9223372036854775807",
    "9223372036854775808",
    "0x1F",
    "1_000",
    "nan",
    "inf",
    "true",
]
BIGS = [0, 1, -1, 2**62, 2**63 - 1, -(2**63), 2**63, 10**30, "12", "007", "+1", 1.0, 1e3, 1.5, True, None, 3_037_000_500]
DIVISORS = [0, 0, 1, -1, 7, "0", None, 2**63 - 1, -(2**63)]
SCORES = [0, -0.0, 1e-320, 1.5, "2.5", "nan", 10**400, 1e300, True, None, 0.1, 123456789012345678]
FLAGS = [True, False, "true", "FALSE", "yes", 1, None]
TIMES = [
    "2026-01-02",
    "2026-01-02T03:04:05.1234567Z",
    "2026-01-02 03:04:05+02:00",
    1_760_000_000_123,
    1.5,
    "yesterday",
    "2026-02-30",
    None,
]
NOTES = [
    "",
    "  padded\t ",
    "Straße İstanbul ΑΣ",
    "100%_sure\\",
    "lone \ud800 surrogate",
    "🎬" * 3,
    12,
    1.50,
    False,
    None,
    ["list"],
    {"an": 1},
    "2026-01-02 03:04:05+02",
    "2026-01-02T25:00:00",
    "2026/1/2 3:4",
]
# DuckDB, the witness, refuses JSON with a lone surrogate: `extra` has none, `note` has.
EXTRAS = [
    None,
    1,
    2.50,
    "7",
    "seven",
    True,
    [],
    [1, "2", None, {"a": []}],
    {"sku": "A", "count": "3"},
    {"nested": {"n": None, "é": "\u2028"}},
    10**25,
]
BROKEN_LINES = [
    b"{",
    b"",
    b"   ",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b'{"event":"video_view",}',
    b'{"event":NaN}',
    b'{"a":01}',
    b'{"a":"\\x"}',
    b'{"a":"\xff"}',
    b'{"a":"\x00"}',
    b"{'a':1}",
    b'{"a":1} {"b":2}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":"\xed\xa0\x80"}',
]


def draw_cart(chance: random.Random) -> Any:
    if chance.random() < 0.1:
        return chance.choice([None, {}, "none", [None], [[]]])
    items: list[Any] = []
    for _ in range(chance.randrange(4)):
        sku = chance.choice(["A-1", 7, None, {"x": 1}])
        item = {"sku": sku, "count": chance.choice(BIGS), "price": chance.choice(SCORES), "debug": 1}
        items.append({key: item[key] for key in chance.sample(sorted(item), chance.randrange(5))})
    return items


def soil_event(chance: random.Random, event: dict[str, Any]) -> None:
    """Adds fields of every type with values that do not always fit it, and spoils some that were fine."""
    properties = event["properties"]
    properties["amount"] = chance.choice(AMOUNTS)
    properties["big"] = chance.choice(BIGS)
    properties["divisor"] = chance.choice(DIVISORS)
    properties["score"] = chance.choice(SCORES)
    properties["flag"] = chance.choice(FLAGS)
    properties["at"] = chance.choice(TIMES)
    properties["note"] = chance.choice(NOTES)
    properties["extra"] = chance.choice(EXTRAS)
    properties["cart"] = draw_cart(chance)
    if chance.random() < 0.05:
        logs = [None, [], "log", {"rank": "x", "impr_id": 5}, {"rank": 1.0, "scene": None}, {"scene": ["feed"]}]
        properties["log_pb"] = chance.choice(logs)
    if chance.random() < 0.05:
        properties["tags"] = chance.choice([None, "t1", [1, None, True], [["t1"], {"a": 1}], {}])
    if chance.random() < 0.02:
        event["context"] = chance.choice([None, [], "context", {"os": 5, "device": None}])
    if chance.random() < 0.02:
        del event[chance.choice(["event", "user_id", "properties", "platform"])]


def soil_line(chance: random.Random, text: str) -> bytes:
    """The line; now and then with duplicate keys, escaped keys or white space, or one that is no event at all."""
    line = escape_surrogates(text).encode()
    kind = chance.randrange(100)
    if kind < 2:
        return chance.choice(BROKEN_LINES)
    if kind < 4:
        return b'{"app":"app_09","properties":{"big":1,"extra":{"a":1,"a":2}},' + line[1:]
    if kind < 6:
        return line[:-1] + b',"platform":"web","context":{"region":"CN","region":"US"}}'
    if kind < 8:
        return line.replace(b'"event":', b'"\\u0065vent" : ', 1).replace(b'"properties":', b'"prop\\u0065rties":\t', 1)
    if kind < 10:
        return b" \t" + json.dumps(json.loads(line)).encode() + b" \r"
    return line


def escape_surrogates(text: str) -> str:
    """UTF-8 has no surrogates: where `json` wrote one as it is, an escape takes its place."""
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found.group()):04x}", text)


# fmt: off
# (dataset, columns, condition); a rule without a condition takes every event.
RULES: list[tuple[str, str, str | None]] = [
    ("dirty_cast", "event_id, CAST(properties.amount AS BIGINT) AS n", "properties.is_ad"),
    ("dirty_try", "event_id, TRY_CAST(properties.amount AS BIGINT) AS n, TRY_CAST(properties.amount AS DOUBLE) AS d", None),
    ("dirty_where_cast", "event_id", "CAST(properties.amount AS BIGINT) > 10"),
    ("dirty_where_or", "event_id, platform", "CAST(properties.amount AS BIGINT) > 10 OR platform = 'web'"),
    ("dirty_where_and", "event_id", "platform IN ('web', 'ios') AND CAST(properties.amount AS DOUBLE) < 100.0"),
    ("dirty_where_not", "event_id", "NOT (CAST(properties.amount AS BIGINT) > 10)"),
    ("dirty_where_null", "event_id", "CAST(properties.amount AS BIGINT) IS NULL"),
    ("dirty_add", "event_id, properties.big + properties.divisor AS n", None),
    ("dirty_sub", "event_id, properties.big - 1 AS n, -properties.big AS m", "properties.big IS NOT NULL"),
    ("dirty_mul", "event_id", "properties.big * properties.big > 100"),
    ("dirty_div", "event_id, properties.big // properties.divisor AS q, properties.big % properties.divisor AS r",
     "properties.divisor IS NOT NULL"),
    ("dirty_double", "event_id, properties.score / properties.divisor AS n, properties.score * 1e300 AS m", None),
    ("dirty_score", "event_id, properties.score AS score, CAST(properties.score AS BIGINT) AS n", "properties.score < 1e18"),
    ("dirty_score_text", "event_id, CAST(properties.score AS VARCHAR) AS t", "properties.score > 0.0"),
    ("dirty_flag", "event_id, properties.flag AS flag, CAST(properties.flag AS BIGINT) AS n",
     "properties.flag IS DISTINCT FROM FALSE"),
    ("dirty_time", "event_id, properties.at AS at, CAST(properties.at AS VARCHAR) AS t", "properties.at IS NOT NULL"),
    ("dirty_time_cast", "event_id, CAST(properties.note AS TIMESTAMP) AS t", "properties.note LIKE '2%'"),
    ("dirty_note", "event_id, upper(properties.note) AS u, lower(properties.note) AS l, trim(properties.note) AS t", None),
    ("dirty_part", "event_id, substring(properties.note, -4, 3) AS s, replace(properties.note, 'a', '') AS r",
     "properties.note LIKE '%$%%' ESCAPE '$'"),
    ("dirty_extra", "event_id, properties.extra AS extra", None),
    ("dirty_extra_cast", "event_id, CAST(properties.extra AS BIGINT) AS n", "properties.extra IS NOT NULL"),
    ("dirty_extra_try", "event_id, TRY_CAST(properties.extra AS BIGINT) AS n, TRY_CAST(properties.extra AS VARCHAR) AS t", None),
    ("dirty_log", "event_id, properties.log_pb AS log_pb, properties.log_pb.rank AS rank", None),
    ("dirty_cart", "event_id, properties.cart AS cart, properties.cart[1] AS head, properties.cart[-1].count AS n", None),
    ("dirty_tags", "event_id, properties.tags AS tags, properties.tags[2] AS second, length(properties.tags) AS n",
     "length(properties.tags) > 0"),
    ("dirty_case", "event_id, CASE WHEN CAST(properties.amount AS BIGINT) > 10 THEN 'many' ELSE 'few' END AS k",
     "properties.position < 30"),
    ("dirty_lazy", "event_id, coalesce(user_id, CAST(CAST(properties.amount AS BIGINT) AS VARCHAR)) AS uid", None),
    ("dirty_or_lazy", "event_id, platform = 'web' OR CAST(properties.amount AS BIGINT) > 10 AS k", None),
    ("dirty_star", "*", "CAST(properties.amount AS BIGINT) > 10"),
    ("dirty_context", "event_id, context.region AS region, context.os.version AS version",
     "context.region IN ('CN', 'US') OR context.region IS NULL"),
]
# fmt: on


def rules() -> list[str]:
    """The dirty rules as SQL; each writes a dataset of its own."""
    texts = []
    for dataset, columns, condition in RULES:
        where = f"\nWHERE {condition}" if condition else ""
        texts.append(f"-- rule: {dataset}\nINSERT INTO {dataset}\nSELECT {columns}\nFROM app_events{where};\n")
    return texts
