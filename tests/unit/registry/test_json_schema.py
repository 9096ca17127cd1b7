"""JSON Schema → types, and what is said of schemas that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import SchemaError
from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, TIMESTAMP, VARCHAR, DataType, ListOf, StructOf
from headwater.registry.json_schema import source_from_file, source_from_json_schema

POINT = {"type": "object", "properties": {"x": {"type": "integer"}}}
POINT_TYPE = StructOf((("x", BIGINT),))


def of(schema: Any, **document: Any) -> DataType:
    source = source_from_json_schema("s", {"type": "object", "properties": {"f": schema}, **document})
    kind = source.base.field("f")
    assert kind is not None
    return kind


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "integer"}, BIGINT),
        ({"type": "number", "minimum": 0}, DOUBLE),
        ({"type": "boolean"}, BOOLEAN),
        ({"type": "string"}, VARCHAR),
        ({"type": "string", "format": "date-time"}, TIMESTAMP),
        ({"type": "string", "format": "date"}, VARCHAR),
        ({"type": ["integer", "null"]}, BIGINT),
        ({"type": ["null", "string"], "format": "date-time"}, TIMESTAMP),
        ({"type": ["integer"]}, BIGINT),
        ({"type": ["integer", "string"]}, JSON),
        ({"type": "null"}, JSON),
        ({}, JSON),
        (True, JSON),
        (False, JSON),
        ({"enum": ["a", 1]}, JSON),
        ({"type": "object"}, JSON),
        ({"type": "object", "properties": {}}, JSON),
        ({"type": "object", "additionalProperties": {"type": "string"}}, JSON),
        (POINT, POINT_TYPE),
        ({"properties": {"x": {"type": "integer"}}}, POINT_TYPE),
        ({"type": ["object", "null"], "properties": {"x": {"type": "integer"}}}, POINT_TYPE),
        ({"type": "array", "items": {"type": "string"}}, ListOf(VARCHAR)),
        ({"type": "array", "items": POINT}, ListOf(POINT_TYPE)),
        ({"type": "array"}, ListOf(JSON)),
        ({"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}, ListOf(JSON)),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, ListOf(JSON)),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, JSON),
        ({"oneOf": [{"type": "string"}, {"type": "string"}]}, JSON),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, BIGINT),
        ({"oneOf": [POINT, {"type": "null"}]}, POINT_TYPE),
        ({"type": "string", "oneOf": [{"const": "a"}, {"const": "b"}]}, VARCHAR),
        ({"type": "object", "oneOf": [POINT, {"type": "object", "properties": {"y": {}}}]}, JSON),
        ({**POINT, "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}, POINT_TYPE),
        ({"allOf": [POINT, {"properties": {"y": {"type": "string"}}}]}, StructOf((("x", BIGINT), ("y", VARCHAR)))),
        ({"allOf": [POINT, {"type": "object"}, {"required": ["x"]}, True]}, POINT_TYPE),
        ({"allOf": [POINT, {"properties": {"x": {"minimum": 1}}}]}, POINT_TYPE),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, JSON),
        ({"allOf": [POINT, {"properties": {"x": {"type": "string"}}}]}, StructOf((("x", JSON),))),
    ],
)
def test_a_schema_gives_its_type(schema: Any, kind: DataType) -> None:
    assert of(schema) == kind


@pytest.mark.parametrize(
    ("ref", "document"),
    [
        ("#/$defs/point", {"$defs": {"point": POINT}}),
        ("#/definitions/point", {"definitions": {"point": POINT}}),
        ("#/$defs/a~1b~0c%20d", {"$defs": {"a/b~c d": POINT}}),
        ("#/$defs/all/1", {"$defs": {"all": [True, POINT]}}),
        ("#point", {"$defs": {"p": {"$anchor": "point", **POINT}}}),
        ("https://example.org/s.json#/$defs/point", {"$id": "https://example.org/s.json", "$defs": {"point": POINT}}),
        ("#/$defs/again", {"$defs": {"again": {"$ref": "#/$defs/point"}, "point": POINT}}),
    ],
)
def test_references_within_the_document_are_followed(ref: str, document: dict[str, Any]) -> None:
    assert of({"$ref": ref}, **document) == POINT_TYPE
    assert of({"type": "object", "$ref": ref, "description": "beside it"}, **document) == POINT_TYPE
    assert of({"oneOf": [{"$ref": ref}, {"type": "null"}]}, **document) == POINT_TYPE


def test_recursion_ends_as_json() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
    }
    assert of({"$ref": "#/$defs/t"}, **{"$defs": {"t": tree}}) == StructOf((("name", VARCHAR), ("parts", ListOf(JSON))))
    assert of({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}) == JSON
    # The document itself: one level of it stands in the type, then JSON.
    assert of({"$ref": "#"}) == StructOf((("f", JSON),))


def test_a_schema_that_says_nothing_is_a_source_without_fields() -> None:
    for schema in ({}, {"type": "object"}, {"$schema": "https://json-schema.org/draft/2020-12/schema"}):
        assert source_from_json_schema("s", schema).base == StructOf(())


def test_fields_keep_their_order_and_source_its_name() -> None:
    source = source_from_json_schema("app_events", {"properties": {"b": {"type": "string"}, "a": {"type": "integer"}}})
    assert (source.name, source.event_types) == ("app_events", ())
    assert [name for name, _ in source.base.fields] == ["b", "a"]


def bomb(keyword: str) -> dict[str, Any]:
    def twice(target: str) -> dict[str, Any]:
        one = {"$ref": target}
        return {"allOf": [one, one]} if keyword == "allOf" else {"type": "object", "properties": {"a": one, "b": one}}

    definitions: dict[str, Any] = {f"d{i}": twice(f"#/$defs/d{i + 1}") for i in range(25)}
    return {"properties": {"f": {"$ref": "#/$defs/d0"}}, "$defs": {**definitions, "d25": {"type": "string"}}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return {"properties": {"f": schema}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array"}, 'schema of s: an event is an object, but the schema says type "array"'),
        ({"$ref": "#/x", "x": {"type": "string"}}, 'schema of s: an event is an object, but the schema says type "VARCHAR"'),
        ({"type": "str"}, 'schema of s, #/type: no type "str"; valid are array, boolean, integer, null, number, object, string'),
        ({"properties": {"f": {"type": "int"}}}, 'schema of s, #/properties/f/type: no type "int"; valid are array, boolean, '),
        ({"properties": {"f": {"type": 3}}}, "schema of s, #/properties/f/type: a type is a text or a list of texts; got 3"),
        ({"properties": {"f": 7}}, "schema of s, #/properties/f: a schema is an object, true or false; got 7"),
        ({"properties": ["f"]}, 'schema of s, #/properties: an object of schemas by name is needed; got ["f"]'),
        ({"properties": {"f": {"oneOf": {}}}}, "schema of s, #/properties/f/oneOf: a list of schemas is needed; got {}"),
        (
            {"properties": {"f": {"$ref": "other.json#/a"}}},
            "'other.json#/a' is another document; only references within this one",
        ),
        ({"properties": {"f": {"$ref": "#/$defs/x"}}}, "#/properties/f/$ref: '#/$defs/x' points to nothing: there is no '$defs'"),
        ({"properties": {"f": {"$ref": "#x"}}}, "no schema has the $anchor 'x'"),
        ({"properties": {"f": {"$ref": 1}}}, "a reference is a text; got 1"),
        (
            {"properties": {"userId": {}, "userID": {}}},
            "#/properties: the names 'userId' and 'userID' differ only in case; rename one",
        ),
        (deep(65), "the schema unfolds deeper than 64 levels; make fields JSON"),
        (bomb("allOf"), "the schema unfolds into more than 20000 fields; make fields JSON"),
        (bomb("properties"), "the schema unfolds into more than 20000 fields; make fields JSON"),
        ([], "schema of s: a JSON Schema is an object; got []"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, text: str) -> None:
    with pytest.raises(SchemaError) as caught:
        source_from_json_schema("s", schema)
    assert text in str(caught.value)


def test_a_source_needs_the_name_of_a_dataset() -> None:
    with pytest.raises(SchemaError, match="'app-events' is not the name of a dataset; valid are letters, digits and _"):
        source_from_json_schema("app-events", {})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"type":\n  objekt}', ":2:3: not JSON: Expecting value"),
        (b"\xff\xfe\xfa", ": not UTF-8 at byte"),
        (b'{"type": "array"}', ": schema of s: an event is an object"),
        (b"[" * 200_000, ": nested deeper than 64 levels"),
    ],
)
def test_errors_of_files_name_the_file(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(content)
    with pytest.raises(SchemaError) as caught:
        source_from_file("s", file)
    assert str(caught.value).startswith(f"{file}{text}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.json: cannot be read: No such file"):
        source_from_file("s", tmp_path / "none.json")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(POINT))
    assert source_from_file("s", file).base == POINT_TYPE


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "object", "#", "#/properties/f", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "$ref", "oneOf", "allOf", "f", "$defs", "$id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_any_json_gives_a_source_or_a_clear_error(schema: Any) -> None:
    try:
        said = str(source_from_json_schema("s", schema).base)
    except SchemaError as error:
        said = str(error)
    assert said.startswith(("schema of s", "STRUCT("))
