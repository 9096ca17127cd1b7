"""Plan files: what they give, and every mistake that is found in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from headwater.core.event import CONTEXT
from headwater.core.types import BIGINT, DOUBLE, SCALARS, VARCHAR, DataType, ListOf, Scalar, StructOf
from headwater.registry.plan import Plan
from headwater.registry.snapshot import Reporting, write_key_hash
from headwater.rules import Finding, type_of_text

APP = '[[app]]\nname = "shop"\nowner = "ann"\nwrite_keys = ["wk_12345678"]\n'
EVENT = '[[event_type]]\napp = "shop"\nname = "order"\n'
FIELDS = APP + EVENT + "[event_type.properties]\n"


def read(*texts: str) -> tuple[Plan, tuple[Finding, ...]]:
    plan = Plan()
    for number, text in enumerate(texts):
        plan.read(f"plan/{number}.toml", text)
    return plan, plan.finish()


def fields(text: str) -> dict[str, tuple[DataType, bool]]:
    plan, findings = read(APP + EVENT + text)
    assert not findings, "\n".join(map(str, findings))
    return {".".join(field.path): (field.type, field.required) for field in plan.event_types[0].fields}


def test_how_an_app_may_report() -> None:
    plan = Plan()
    plan.read("plan/a.toml", APP + "events_per_s = 500\norigins = ['https://shop.example', 'http://127.0.0.1:8000']\n")
    assert not plan.finish()
    assert plan.apps[0].reporting == Reporting(500, ("https://shop.example", "http://127.0.0.1:8000"))


def test_a_plan_is_read() -> None:
    text = """
[[app]]
name = "shop"
owner = "ann"
mode = "enforce"
write_keys = ["wk_12345678", "wk_87654321"]
description = "The shop."

[[event_type]]
app = "shop"
name = "Order Paid"
owner = "bob"
version = 3
tier = "P0"
description = "Paid."
[event_type.properties]
"order id" = "VARCHAR"
"""
    plan, findings = read(text)
    assert findings == ()
    (app,), (kind,) = plan.apps, plan.event_types
    assert (app.name, app.owner, app.mode, app.description) == ("shop", "ann", "enforce", "The shop.")
    assert app.reporting is UNSET
    assert app.write_keys == (write_key_hash("wk_12345678"), write_key_hash("wk_87654321"))
    assert (kind.app, kind.name, kind.owner, kind.version, kind.tier, kind.description) == (
        "shop", "Order Paid", "bob", 3, "P0", "Paid.",
    )  # fmt: skip
    assert [field.path for field in kind.fields] == [("properties", "order id")]


def test_what_is_left_out_has_a_default_and_apps_may_stand_in_a_later_file() -> None:
    plan, findings = read(EVENT, APP)
    assert findings == ()
    kind = plan.event_types[0]
    assert (kind.owner, kind.version, kind.tier, kind.description, kind.fields) == ("ann", 1, "P2", "", ())
    assert plan.apps[0].mode == "observe"


def test_fields_are_a_type_or_a_table() -> None:
    assert fields('[event_type.properties]\na = "bigint"\nb = { type = "VARCHAR[]", required = true, description = "x" }') == {
        "properties.a": (BIGINT, False),
        "properties.b": (ListOf(VARCHAR), True),
    }


def test_fields_inside_a_struct_stand_after_it() -> None:
    inner = StructOf((("sku", VARCHAR), ("n", BIGINT)))
    as_text = fields('[event_type.properties]\nitem = "STRUCT(sku VARCHAR, n BIGINT)"')
    assert list(as_text) == ["properties.item", "properties.item.sku", "properties.item.n"]
    assert as_text["properties.item"] == (inner, False)
    as_table = fields(
        '[event_type.properties.item]\ntype = "STRUCT"\nrequired = true\n'
        '[event_type.properties.item.fields]\nsku = { type = "VARCHAR", required = true }\nn = "BIGINT"'
    )
    assert as_table == {
        "properties.item": (inner, True),
        "properties.item.sku": (VARCHAR, True),
        "properties.item.n": (BIGINT, False),
    }


def test_lists_of_structs() -> None:
    expected = {"properties.items": (ListOf(StructOf((("n", BIGINT),))), False)}
    assert fields('[event_type.properties]\nitems = "STRUCT(n BIGINT)[]"') == expected
    assert fields('[event_type.properties]\nitems = { type = "STRUCT[]", fields = { n = "BIGINT" } }') == expected


def test_context_fields_may_be_added_or_required() -> None:
    found = fields('[event_type.context]\nregion = { type = "VARCHAR", required = true }\nlab = "DOUBLE"')
    assert found == {"context.region": (VARCHAR, True), "context.lab": (DOUBLE, False)}


def test_event_types_give_rules_their_outer_fields() -> None:
    plan, _ = read(FIELDS + 'item = "STRUCT(n BIGINT)"\nx = "JSON"')
    assert [path for path, _ in plan.event_types[0].schema().fields] == [("properties", "item"), ("properties", "x")]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1", 1, "there is no key 'x'; valid keys are app, event_type"),
        ("[[apps]]\nname = 'a'", 1, "there is no key 'apps'; did you mean `app`?"),
        ("[app]\nname = 'a'", 1, "app is a list of tables: write [[app]], not [app]"),
        ("app = [1]", 1, "app 1: a table is needed; got a whole number"),
        ("[[app]]", 1, "app 1: name is missing"),
        ("[[app]]\nname = 'a'", 1, "app 1: owner is missing"),
        (APP + "mode = 'enforced'", 5, "app 'shop': mode is 'observe' or 'enforce'; got 'enforced'; did you mean `enforce`?"),
        (APP + "mode = 1", 5, "app 'shop': mode is a text; got a whole number"),
        (APP + "ownr = 'x'", 5, "app 'shop': there is no key 'ownr'; did you mean `owner`?"),
        (APP + "\n" + APP.replace("1234", "abcd"), 7, "the app 'shop' stands twice"),
        (
            APP + "\n" + APP.replace("1234", "abcd").replace('"shop"', '"Shop"'),
            7,
            "the names 'shop' and 'Shop' differ only in case; rename one",
        ),
        (
            APP + "\n" + APP.replace('"shop"', '"b"'),
            9,
            "app 'b': a write key is already that of the app 'shop'; each app has its own",
        ),
        (APP.replace('["wk_12345678"]', '["k2345678", "k2345678"]'), 4, "a write key stands twice"),
        (
            APP.replace("wk_12345678", "short"),
            4,
            "a write key is a text of 8 to 200 visible ASCII characters, without a space or colon",
        ),
        (APP.replace('["wk_12345678"]', '"wk_12345678"'), 4, "write_keys is a list of texts; got a text"),
        (APP + "events_per_s = -1", 5, "app 'shop': events_per_s is a whole number from 0 to 100000000; got -1"),
        (APP + "origins = ['shop.example']", 5, "origins is a list of at most 100 texts such as 'https://shop.example'"),
        (APP + "origins = ['https://shop.example/']", 5, "origins is a list of at most 100 texts such as 'https://shop.example'"),
        (APP + "origins = 'https://shop.example'", 5, "origins is a list of at most 100 texts such as 'https://shop.example'"),
        (APP.replace('"ann"', '" "'), 3, "owner is a text with visible characters only, and not empty; got ' '"),
        (APP + EVENT.replace("shop", "shp"), 6, "event type 'order': there is no app 'shp'; did you mean `shop`?"),
        (EVENT, 2, "there is no app 'shop'; none is registered"),
        (APP + EVENT.replace("shop", "zzz"), 6, "there is no app 'zzz'; registered are 'shop'"),
        (APP + EVENT + "tier = 'P4'", 8, "event type 'order': tier is 'P0', 'P1', 'P2' or 'P3'; got 'P4'"),
        (APP + EVENT + "version = 0", 8, "version is a whole number from 1 to 2147483647; got 0"),
        (APP + EVENT + "version = true", 8, "version is a whole number from 1 to 2147483647; got true or false"),
        (APP + EVENT + EVENT, 10, "the event type 'order' stands twice"),
        (APP + EVENT + EVENT.replace("order", "Order"), 10, "the names 'order' and 'Order' differ only in case; rename one"),
        (APP + EVENT + "properties = []", 8, "properties is a table of fields; got a list"),
        (FIELDS + "a = 'BIGIN'", 9, "field 'properties.a': `BIGIN` is no type of rules; write BIGINT"),
        (FIELDS + "a = 'BIGINT x'", 9, "field 'properties.a': `x` cannot stand here"),
        (FIELDS + "a = 'STRUCT(b BIGINT'", 9, "the type 'STRUCT(b BIGINT' ends too early"),
        (FIELDS + "a = 'STRUCT'", 9, "a STRUCT names its fields; write STRUCT(name TYPE, …), or fields = "),
        (FIELDS + "a = 1", 9, "field 'properties.a': a table is needed; got a whole number"),
        (FIELDS + "a.b = 'JSON'", 9, "field 'properties.a': type is missing"),
        (FIELDS + "a = { type = 'JSON', requird = true }", 9, "there is no key 'requird'; did you mean `required`?"),
        (FIELDS + "a = { type = 'JSON', required = 1 }", 9, "required is true or false; got a whole number"),
        (FIELDS + "a = { type = 'JSON', fields = {} }", 9, "fields goes with the type STRUCT or STRUCT[]; the type is 'JSON'"),
        (FIELDS + "'' = 'JSON'", 9, "a field's name has visible characters only"),
        (FIELDS + '"a\\u0000" = "JSON"', 9, "a field's name has visible characters only"),
        (
            FIELDS + "a = { type = 'STRUCT[]', fields = { b = { type = 'JSON', required = true } } }",
            9,
            "required cannot be stated for fields inside a list",
        ),
        (FIELDS + "userId = 'JSON'\nuserID = 'JSON'", 10, "'properties.userId' and 'properties.userID' differ only in case"),
        (
            FIELDS + "s = 'STRUCT(x JSON)'\n[event_type.context]\nIP = 'VARCHAR'",
            11,
            "'context.ip' and 'context.IP' differ only in case",
        ),
        (
            APP + EVENT + "[event_type.context]\nos = 'VARCHAR'",
            9,
            f"it is a field of every event already, of the type {CONTEXT.field('os')}",
        ),
        ("a = [1\nb = 2", 2, "not TOML: "),
        ("a = ", 1, "not TOML: "),
        ("a = [", 1, "not TOML: "),
        ("a = " + "[" * 20_000, 1, "not TOML that can be read: nested too deep"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_where_it_is(text: str, line: int, said: str) -> None:
    _, findings = read(text)
    matching = [finding for finding in findings if said in str(finding)]
    assert matching, "\n".join(map(str, findings))
    assert matching[0].line == line
    assert matching[0].severity == "error"


def test_names_that_differ_only_in_case_are_found_across_files_and_event_types() -> None:
    one = EVENT + "[event_type.properties.item]\ntype = 'STRUCT'\nfields = { Sku = 'JSON' }"
    other = EVENT.replace("order", "cart") + "[event_type.properties]\nitem = 'STRUCT(sku VARCHAR)[]'"
    _, findings = read(APP + one, other)
    (finding,) = findings
    assert "'properties.item.Sku' and 'properties.item.sku' differ only in case" in finding.message
    assert (finding.file, finding.line) == ("plan/1.toml", 5)


def test_the_same_field_may_have_other_types_in_other_event_types() -> None:
    one = EVENT + "[event_type.properties]\na = 'BIGINT'\n"
    other = EVENT.replace("order", "cart") + "[event_type.properties]\na = 'VARCHAR'\n"
    assert read(APP + one + other)[1] == ()


def test_every_mistake_is_found_at_once() -> None:
    text = "[[app]]\nname = 'a'\nmode = 'x'\n[[event_type]]\napp = 'b'\nname = 'e'\ntier = 'x'\n[event_type.properties]\nf = 'x'"
    _, findings = read(text, "y = 1")
    assert [(finding.file[-6], finding.line) for finding in findings] == [
        ("0", 1),
        ("0", 3),
        ("0", 5),
        ("0", 7),
        ("0", 9),
        ("1", 1),
    ]


@pytest.mark.parametrize(
    "text",
    [
        APP.replace('"wk_12345678"', '"wk_12345678", "x"'),
        APP.replace('["wk_12345678"]', '[\n"wk_12345678"\n"wk_abcdefgh"\n]'),
        APP.replace('["wk_12345678"]', '"wk_12345678"'),
        APP + APP,
        APP.replace("write_keys", "write_key"),
        "[[app]]\nwrite_keys = ['wk_12345678' 'wk_abcdefgh']",
    ],
)
def test_no_finding_shows_a_write_key(text: str) -> None:
    _, findings = read(text)
    assert findings
    for finding in findings:
        assert "12345678" not in str(finding)
        assert "abcdefgh" not in str(finding)


NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\x7f'), min_size=1, max_size=6)
TYPES: st.SearchStrategy[DataType] = st.recursive(
    st.sampled_from([Scalar(name) for name in SCALARS]),
    lambda inner: (
        st.builds(ListOf, inner)
        | st.builds(
            StructOf,
            st.lists(st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda field: field[0].casefold()).map(tuple),
        )
    ),
    max_leaves=6,
)


@given(TYPES)
def test_a_type_s_text_reads_back(kind: DataType) -> None:
    assert type_of_text(str(kind)) == kind


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_says_why_not(text: str) -> None:
    try:
        said = str(type_of_text(text))
    except ValueError as error:
        said = str(error)
    assert said


@given(st.text(st.sampled_from("[]{}=\"'\n.# abnametype,1é")))
def test_any_file_gives_findings_or_a_plan(text: str) -> None:
    plan, findings = read(APP + EVENT + text)
    assert all(1 <= finding.line <= text.count("\n") + 20 for finding in findings)
    assert len(plan.apps) <= 1
