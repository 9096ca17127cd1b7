"""What rules lower to: names, types, conversions, headers, datasets."""

import pytest

from headwater.core.dataset import DatasetSchema
from headwater.core.types import DOUBLE, VARCHAR, ListOf
from headwater.rules import PhysicalRule, compile_sql
from headwater.rules.physical import Star


def field(path, kind="VARCHAR"):
    return ["field", path.split("."), kind]


def text(value):
    return ["literal", "VARCHAR", value]


def number(value):
    return ["literal", "BIGINT", value]


def call(op, kind, *args):
    return ["call", op, kind, list(args)]


def rules(sql, sources):
    compiled = compile_sql(sql, "rules/feed.sql", sources)
    assert not compiled.errors, "\n".join(map(str, compiled.errors))
    return compiled.rules


def column(expression, sources, source="app_events", where="event = 'a'"):
    [rule] = rules(f"INSERT INTO d SELECT {expression} AS x FROM {source} WHERE {where}", sources)
    return rule.select[0][1]


DURATION, PRICE, AD = (
    field("properties.duration_ms", "BIGINT"),
    field("properties.price", "DOUBLE"),
    field("properties.is_ad", "BOOLEAN"),
)
STARTED, PAYLOAD = field("properties.started", "TIMESTAMP"), field("properties.payload", "JSON")
USER, NULL = field("user_id"), ["literal", "NULL", None]
TAGS = ["field", ["properties", "tags"], {"list": "VARCHAR"}]
ITEM = {"struct": [["sku", "VARCHAR"], ["amount", "BIGINT"]]}
ITEMS = ["field", ["properties", "items"], {"list": ITEM}]

LOWERED = {
    "user_id": USER,
    '"user_id"': USER,
    "properties.duration_ms": DURATION,
    "properties['duration_ms']": DURATION,
    "(properties).duration_ms": DURATION,
    'properties."order"': field("properties.order"),
    "properties.order": field("properties.order"),
    "properties.payload.a['b c']": field("properties.payload.a.b c", "JSON"),
    "properties.tags[1]": call("list_get", "VARCHAR", TAGS, number(1)),
    "properties.items[-1].sku": call("struct_get", "VARCHAR", call("list_get", ITEM, ITEMS, number(-1)), text("sku")),
    "-5": number(-5),
    "- 9223372036854775808": number(-(2**63)),
    "1_000": number(1000),
    "1.5": ["literal", "DOUBLE", 1.5],
    "-1e3": ["literal", "DOUBLE", -1000.0],
    "'it''s'": text("it's"),
    "''": text(""),
    "TRUE": ["literal", "BOOLEAN", True],
    "-properties.duration_ms": call("neg", "BIGINT", DURATION),
    "properties.duration_ms + 1": call("add", "BIGINT", DURATION, number(1)),
    "properties.duration_ms + 1.5": call("add", "DOUBLE", call("cast", "DOUBLE", DURATION), ["literal", "DOUBLE", 1.5]),
    "properties.price * 2": call("mul", "DOUBLE", PRICE, ["literal", "DOUBLE", 2.0]),
    "properties.duration_ms / 1000": call("div", "DOUBLE", call("cast", "DOUBLE", DURATION), ["literal", "DOUBLE", 1000.0]),
    "properties.duration_ms // 1000": call("int_div", "BIGINT", DURATION, number(1000)),
    "user_id || properties.duration_ms || 'x'": call("concat", "VARCHAR", USER, call("cast", "VARCHAR", DURATION), text("x")),
    "properties.duration_ms > 1.5": call("gt", "BOOLEAN", call("cast", "DOUBLE", DURATION), ["literal", "DOUBLE", 1.5]),
    "user_id <> 'a'": call("ne", "BOOLEAN", USER, text("a")),
    "user_id != 'a'": call("ne", "BOOLEAN", USER, text("a")),
    "properties.started >= '1970-01-01T00:00:01.5+00:01'": call("ge", "BOOLEAN", STARTED, ["literal", "TIMESTAMP", -58_500_000]),
    "user_id IS NOT DISTINCT FROM device_id": call("not_distinct", "BOOLEAN", USER, field("device_id")),
    "user_id IS DISTINCT FROM NULL": call("is_not_null", "BOOLEAN", USER),
    "user_id IN ('a', 'b')": call("in", "BOOLEAN", USER, text("a"), text("b")),
    "user_id IN ('a')": call("eq", "BOOLEAN", USER, text("a")),
    "user_id NOT IN ('a', NULL)": call("not", "BOOLEAN", call("or", "BOOLEAN", call("eq", "BOOLEAN", USER, text("a")), NULL)),
    "user_id IN ('a', device_id)": call(
        "or", "BOOLEAN", call("eq", "BOOLEAN", USER, text("a")), call("eq", "BOOLEAN", USER, field("device_id"))
    ),
    "properties.duration_ms IN (1, 2.0)": call(
        "in", "BOOLEAN", call("cast", "DOUBLE", DURATION), ["literal", "DOUBLE", 1.0], ["literal", "DOUBLE", 2.0]
    ),
    "properties.duration_ms NOT BETWEEN 1 AND 2": call(
        "not",
        "BOOLEAN",
        call("and", "BOOLEAN", call("ge", "BOOLEAN", DURATION, number(1)), call("le", "BOOLEAN", DURATION, number(2))),
    ),
    "user_id NOT LIKE 'a!%' ESCAPE '!'": call("not", "BOOLEAN", call("like", "BOOLEAN", USER, text("a!%"), text("!"))),
    "user_id LIKE 'a'": call("like", "BOOLEAN", USER, text("a"), text("")),
    "CASE WHEN properties.is_ad THEN 1 ELSE 2.5 END": call(
        "case", "DOUBLE", AD, ["literal", "DOUBLE", 1.0], ["literal", "DOUBLE", 2.5]
    ),
    "CASE user_id WHEN 'a' THEN 1 WHEN NULL THEN 2 END": call(
        "case", "BIGINT", call("eq", "BOOLEAN", USER, text("a")), number(1), NULL
    ),
    "coalesce(user_id, NULL, 'x')": call("coalesce", "VARCHAR", USER, text("x")),
    "coalesce(NULL, user_id)": USER,
    "coalesce(properties.price, properties.duration_ms)": call("coalesce", "DOUBLE", PRICE, call("cast", "DOUBLE", DURATION)),
    "nullif(user_id, 'x')": call("nullif", "VARCHAR", USER, text("x")),
    "nullif(user_id, NULL)": USER,
    "CAST(user_id AS BIGINT)": call("cast", "BIGINT", USER),
    "TRY_CAST(user_id AS DOUBLE)": call("try_cast", "DOUBLE", USER),
    "user_id::timestamp": call("cast", "TIMESTAMP", USER),
    "CAST(user_id AS VARCHAR)": USER,
    "CAST(properties.payload AS STRUCT(a BIGINT, \"b c\" VARCHAR[])).a": call(
        "struct_get", "BIGINT", call("cast", {"struct": [["a", "BIGINT"], ["b c", {"list": "VARCHAR"}]]}, PAYLOAD), text("a")
    ),
    "LOWER(user_id)": call("lower", "VARCHAR", USER),
    "trim(user_id, 'x')": call("trim", "VARCHAR", USER, text("x")),
    "length(properties.tags)": call("length", "BIGINT", TAGS),
    "substring(user_id, 2)": call("substring", "VARCHAR", USER, number(2)),
    "CAST(user_id AS BIGINT) IS NULL": call("is_null", "BOOLEAN", call("cast", "BIGINT", USER)),
    "NULL IS NULL": ["literal", "BOOLEAN", True],
    "properties.is_ad AND NULL": call("and", "BOOLEAN", AD, NULL),
    "CAST(lower(NULL) || (1 + NULL) AS BOOLEAN)": NULL,
    "CAST(CAST(NULL AS STRUCT(a BIGINT[])).a[1] AS VARCHAR)": NULL,
}  # fmt: skip


@pytest.mark.parametrize("expression", LOWERED)
def test_an_expression_is_lowered(expression, sources):
    assert column(expression, sources) == LOWERED[expression]


def test_header_comments_describe_a_rule(sources):
    sql = """/* a file */
-- rule: likes
-- owner: feed-team
-- Tier: P1
-- description: What people like: videos, articles
-- and a remark
INSERT INTO likes SELECT user_id FROM app_events WHERE event = 'like';
-- description: unnamed
INSERT INTO likes SELECT device_id FROM app_events WHERE event = 'like';
;
insert into likes select app from app_events where event = 'like'
"""
    found = [[rule.to_json()[key] for key in ("name", "owner", "tier", "description")] for rule in rules(sql, sources)]
    assert found == [
        ["likes", "feed-team", "P1", "What people like: videos, articles"],
        ["feed.2", None, None, "unnamed"],
        ["feed.3", None, None, None],
    ]


def test_columns_take_the_last_name_of_a_field(sources):
    [rule] = rules(
        "INSERT INTO d SELECT properties.duration_ms, properties['title'], properties.items[1].sku FROM app_events", sources
    )
    assert [name for name, _expression in rule.select] == ["duration_ms", "title", "sku"]


def test_star(sources):
    [rule] = rules("INSERT INTO d SELECT * EXCLUDE (app, user_id) REPLACE (lower(event) AS event) FROM app_events", sources)
    assert rule.select == Star(("app", "user_id"), (("event", call("lower", "VARCHAR", field("event"))),))
    assert rule.to_json()["select"] == {
        "star": True,
        "exclude": ["app", "user_id"],
        "replace": [["event", ["call", "lower", "VARCHAR", [["field", ["event"], "VARCHAR"]]]]],
    }


def test_datasets_are_the_union_of_their_rules(sources):
    sql = """
INSERT INTO d SELECT user_id AS a, NULL AS b FROM app_events WHERE event = 'x';
INSERT INTO whole SELECT * FROM app_events WHERE event = 'x';
INSERT INTO d SELECT properties.tags AS c, properties.price AS b FROM app_events WHERE event = 'x';
"""
    compiled = compile_sql(sql, "d.sql", sources)
    assert compiled.datasets == (
        DatasetSchema("d", False, (("a", VARCHAR), ("b", DOUBLE), ("c", ListOf(VARCHAR)))),
        DatasetSchema("whole", True),
    )
    assert not compiled.findings


class TestEventTypes:
    """Types of fields that several event types name."""

    def kind(self, path, where, sources):
        return column(path, sources, "planned", where)[2]

    def test_one_event_type(self, sources):
        assert self.kind("properties.count", "event = 'video_like' AND app = 'video'", sources) == "BIGINT"
        assert self.kind("properties.count", "event = 'video_play'", sources) == "VARCHAR"
        assert self.kind("properties.count", "'video_play' = event", sources) == "VARCHAR"

    def test_types_that_differ_are_json(self, sources):
        assert self.kind("properties.count", "event = 'video_like'", sources) == "JSON"
        assert self.kind("properties.count", "event IN ('video_like', 'video_play') AND user_id = 'x'", sources) == "JSON"
        assert self.kind("properties.count", "user_id = 'x'", sources) == "JSON"

    def test_a_common_type_stays(self, sources):
        assert self.kind("properties.place", "app = 'video'", sources) == "VARCHAR"
        assert self.kind("properties.place", "TRUE", sources) == "VARCHAR"

    @pytest.mark.parametrize(
        "where",
        [
            "event = 'video_like' AND NOT app = 'shop'",
            "event = 'video_like' AND app <> 'shop'",
            "event = 'video_like' AND app NOT IN ('shop', 'other')",
            "(event = 'video_like' AND app = 'video') OR (event = 'video_play' AND app = 'shop')",
            "event = 'video_like' AND (app = 'video' OR app = 'video')",
            "NOT (event <> 'video_like' OR app <> 'video')",
            "event = 'video_like' AND (app <> 'shop' OR FALSE)",
        ],
    )
    def test_and_or_not_narrow(self, where, sources):
        assert self.kind("properties.count", where, sources) == "BIGINT"

    @pytest.mark.parametrize(
        "where",
        [
            "event = 'video_like' AND (app = 'video' OR user_id = 'x')",
            "event = 'video_like' OR user_id = 'x'",
            "event = 'video_like' AND lower(app) = 'video'",
            "event LIKE 'video_like'",
            "event = 'video_like' AND NOT (app = 'shop' AND user_id = 'x')",
        ],
    )
    def test_what_may_be_true_is_admitted(self, where, sources):
        assert self.kind("properties.count", where, sources) == "JSON"

    def test_a_whole_struct_is_what_its_event_type_registers(self, sources):
        [count, place] = [["count", "VARCHAR"], ["place", "VARCHAR"]]
        assert self.kind("properties", "event = 'video_play'", sources) == {"struct": [count, place]}
        assert self.kind("properties", "event = 'video_like'", sources) == "JSON"
        assert self.kind("properties.log", "app = 'shop'", sources) == {"struct": [["rank", "BIGINT"]]}
        assert self.kind("properties.log.rank", "app = 'shop'", sources) == "BIGINT"

    def test_inside_a_json_field_everything_is_json(self, sources):
        assert column("context.ip.v4", sources, "planned", "event = 'video_play'") == field("context.ip.v4", "JSON")


def test_the_hash_depends_on_what_the_rule_says(sources):
    sql = "-- rule: a\nINSERT INTO d SELECT user_id FROM app_events WHERE event = 'x'"
    [one] = rules(sql, sources)
    [same] = rules(sql.replace("WHERE event", "where   (event)"), sources)
    [other] = rules(sql.replace("'x'", "'y'"), sources)
    assert one.hash == same.hash != other.hash
    assert one == PhysicalRule.from_json(one.to_json())
