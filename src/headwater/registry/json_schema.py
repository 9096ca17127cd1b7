"""JSON Schema to the types that rules read.

integer → BIGINT, number → DOUBLE, boolean → BOOLEAN, string → VARCHAR (format date-time → TIMESTAMP), object → STRUCT,
array → LIST. A type list with null is that type. What has no single type is JSON: mixed types, oneOf and anyOf (but for
"X or null"), no type, objects without properties, recursion. `required`, bounds and patterns do not change a type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from headwater.core.dataset import SourceSchema
from headwater.core.errors import SchemaError
from headwater.core.limits import SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX
from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, TIMESTAMP, VARCHAR, DataType, ListOf, StructOf

JsonSchema: TypeAlias = Mapping[str, Any]

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_SCALARS = {"integer": BIGINT, "number": DOUBLE, "boolean": BOOLEAN}
DATASET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def source_from_json_schema(name: str, schema: JsonSchema) -> SourceSchema:
    """The source ``name`` with the fields that a JSON Schema (any draft) gives its events.

    Raises SchemaError where the schema is not one, describes something else than an object, or two names differ only in case.
    """
    if not DATASET_NAME.fullmatch(name):
        raise SchemaError(f"{name!r} is not the name of a dataset; valid are letters, digits and _, not beginning with a digit")
    if not isinstance(schema, Mapping):
        raise SchemaError(f"schema of {name}: a JSON Schema is an object; got {_shown(schema)}")
    reader = _Reader(name, schema)
    kind = reader.read(schema, "#", ())
    if set(reader.types_of(schema)) - {"object"} or not (isinstance(kind, StructOf) or kind == JSON):
        raise SchemaError(
            f"schema of {name}: an event is an object, but the schema says type {_shown(schema.get('type', str(kind)))}"
        )
    return SourceSchema(name, kind if isinstance(kind, StructOf) else StructOf(()))


def source_from_file(name: str, file: Path) -> SourceSchema:
    """Reads a JSON Schema from a file. Raises SchemaError, with the file and, for what is not JSON, its line and column."""
    try:
        schema = json.loads(file.read_bytes())
    except OSError as error:
        raise SchemaError(f"{file}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise SchemaError(f"{file}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{file}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise SchemaError(f"{file}: nested deeper than {SCHEMA_DEPTH_MAX} levels") from None
    try:
        return source_from_json_schema(name, schema)
    except SchemaError as error:
        raise SchemaError(f"{file}: {error}") from None


class _Reader:
    """Walks one document. ``where`` is a JSON pointer for messages, ``open_refs`` the references that led here."""

    def __init__(self, name: str, document: JsonSchema) -> None:
        self.name = name
        self.document = document
        self.fields = 0

    def fail(self, where: str, text: str) -> SchemaError:
        return SchemaError(f"schema of {self.name}, {where}: {text}")

    def read(self, schema: Any, where: str, open_refs: tuple[str, ...], depth: int = 0) -> DataType:
        if isinstance(schema, bool):
            return JSON
        if not isinstance(schema, Mapping):
            raise self.fail(where, f"a schema is an object, true or false; got {_shown(schema)}")
        self.fields += 1
        if depth > SCHEMA_DEPTH_MAX or self.fields > SCHEMA_FIELDS_MAX:
            limit = (
                f"deeper than {SCHEMA_DEPTH_MAX} levels"
                if depth > SCHEMA_DEPTH_MAX
                else f"into more than {SCHEMA_FIELDS_MAX} fields"
            )
            raise self.fail(where, f"the schema unfolds {limit}; make fields JSON (an empty schema) where rules need no types")
        return _common(list(self._parts(schema, where, open_refs, depth)))

    def _parts(self, schema: JsonSchema, where: str, refs: tuple[str, ...], depth: int) -> Iterator[DataType]:
        """What each keyword says of the type, JSON where that is nothing definite. All of it holds at once."""
        own = self._own(schema, where, refs, depth)
        yield own
        if "$ref" in schema:
            target, ref = self.resolve(schema["$ref"], f"{where}/$ref")
            yield JSON if ref in refs else self.read(target, ref, (*refs, ref), depth + 1)
        for part, inner in enumerate(self._branches(schema, "allOf", where)):
            yield self.read(inner, f"{where}/allOf/{part}", refs, depth + 1)
        for keyword in ("oneOf", "anyOf"):
            branches = [inner for inner in self._branches(schema, keyword, where) if not _only_null(inner)]
            if branches and own == JSON:
                yield self.read(branches[0], f"{where}/{keyword}", refs, depth + 1) if len(branches) == 1 else JSON

    def _branches(self, schema: JsonSchema, keyword: str, where: str) -> list[Any]:
        branches = schema.get(keyword, [])
        if not isinstance(branches, list):
            raise self.fail(f"{where}/{keyword}", f"a list of schemas is needed; got {_shown(branches)}")
        return branches

    def types_of(self, schema: JsonSchema, where: str = "#") -> list[str]:
        """The names in `type`, without null."""
        given = schema.get("type", [])
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list):
            raise self.fail(f"{where}/type", f"a type is a text or a list of texts; got {_shown(given)}")
        for name in names:
            if name not in _TYPES:
                raise self.fail(f"{where}/type", f"no type {_shown(name)}; valid are {', '.join(_TYPES)}")
        return [name for name in names if name != "null"]

    def _own(self, schema: JsonSchema, where: str, refs: tuple[str, ...], depth: int) -> DataType:
        types = self.types_of(schema, where)
        if not types and "type" not in schema:
            types = ["object"] if "properties" in schema else ["array"] if "items" in schema else []
        if len(types) != 1:
            return JSON
        match types[0]:
            case "string":
                return TIMESTAMP if schema.get("format") == "date-time" else VARCHAR
            case "array":
                return self._list(schema, where, refs, depth)
            case "object":
                return self._struct(schema, where, refs, depth)
        return _SCALARS[types[0]]

    def _list(self, schema: JsonSchema, where: str, refs: tuple[str, ...], depth: int) -> DataType:
        items = schema.get("items", True)
        if isinstance(items, list) or "prefixItems" in schema:
            return ListOf(JSON)
        return ListOf(self.read(items, f"{where}/items", refs, depth + 1))

    def _struct(self, schema: JsonSchema, where: str, refs: tuple[str, ...], depth: int) -> DataType:
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise self.fail(f"{where}/properties", f"an object of schemas by name is needed; got {_shown(properties)}")
        if not properties:
            return JSON
        seen: dict[str, str] = {}
        for name in properties:
            if (other := seen.setdefault(name.casefold(), name)) != name:
                raise self.fail(f"{where}/properties", f"the names {other!r} and {name!r} differ only in case; rename one")
        return StructOf(
            tuple((name, self.read(inner, f"{where}/properties/{name}", refs, depth + 1)) for name, inner in properties.items())
        )

    def resolve(self, ref: Any, where: str) -> tuple[Any, str]:
        """The schema that a reference inside this document points to."""
        if not isinstance(ref, str):
            raise self.fail(where, f"a reference is a text; got {_shown(ref)}")
        base = self.document.get("$id", self.document.get("id"))
        local = ref.removeprefix(base.rstrip("#")) if isinstance(base, str) and ref.startswith(base.rstrip("#") + "#") else ref
        if not local.startswith("#"):
            raise self.fail(where, f"{ref!r} is another document; only references within this one are followed (#/$defs/…)")
        pointer = unquote(local[1:])
        if pointer and not pointer.startswith("/"):
            found = [inner for inner in _schemas(self.document) if inner.get("$anchor") == pointer]
            if not found:
                raise self.fail(where, f"no schema has the $anchor {pointer!r}")
            return found[0], local
        at: Any = self.document
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(at, Mapping) and key in at:
                at = at[key]
            elif isinstance(at, list) and key.isdecimal() and int(key) < len(at):
                at = at[int(key)]
            else:
                raise self.fail(where, f"{ref!r} points to nothing: there is no {key!r}")
        return at, local


def _common(kinds: list[DataType]) -> DataType:
    """The one type that satisfies all parts; STRUCTs are joined; JSON where they contradict one another or say nothing."""
    kinds = [kind for kind in kinds if kind != JSON] or [JSON]
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    if not all(isinstance(kind, StructOf) for kind in kinds):
        return JSON
    fields: dict[str, DataType] = {}
    for kind in kinds:
        assert isinstance(kind, StructOf)
        for name, inner in kind.fields:
            fields[name] = _common([fields[name], inner]) if name in fields else inner
    return StructOf(tuple(fields.items()))


def _only_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in ("null", ["null"])


def _schemas(schema: Any) -> Iterator[JsonSchema]:
    waiting = [schema]
    while waiting:
        at = waiting.pop()
        if isinstance(at, Mapping):
            yield at
            waiting.extend(at.values())
        elif isinstance(at, list):
            waiting.extend(at)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
