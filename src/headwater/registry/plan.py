"""Plan files: `[[app]]`, `[[event_type]]` and `[[dataset]]` tables. Every mistake is found, none is guessed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from headwater.core.event import CONTEXT, EVENT_BASE, TIERS
from headwater.core.limits import ORIGINS_MAX, RATE_EVENTS_PER_S_MAX, SCHEMA_DEPTH_MAX
from headwater.core.types import DataType, ListOf, StructOf
from headwater.registry.plan_dataset import PlannedDataset, read_dataset
from headwater.registry.snapshot import App, EventType, Field, Reporting, write_key_hash
from headwater.registry.toml_file import Table, TomlFile, kind_of
from headwater.rules import type_of_text
from headwater.rules.findings import Finding, did_you_mean

MODES = ("observe", "enforce")
VERSION_MAX = 2**31 - 1
WRITE_KEY_CHARS_MIN = 8
WRITE_KEY_CHARS_MAX = 200


class Plan:
    """The tracking plans of all apps, read from files one after the other; `finish` checks what no single file can show."""

    def __init__(self) -> None:
        self.apps: list[App] = []
        self.event_types: list[EventType] = []
        self.datasets: dict[str, PlannedDataset] = {}
        self._files: list[TomlFile] = []
        self._app_tables: dict[str, Table] = {}
        self._event_tables: dict[tuple[str, str], Table] = {}
        self._owners: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = dict(_spellings(("",), EVENT_BASE))

    def read(self, file: str, text: str) -> None:
        """Takes the apps, event types and datasets of one file."""
        toml = TomlFile(file, text)
        self._files.append(toml)
        root = Table(toml, (), toml.content, file)
        apps, event_types, datasets = (list(root.tables(key)) for key in ("app", "event_type", "dataset"))
        root.done()
        for table in apps:
            self._read_app(table)
        for table in event_types:
            self._read_event_type(table)
        for table in datasets:
            dataset = read_dataset(table)
            if self._is_new(table, dataset.name, ("dataset", dataset.name)):
                self.datasets[dataset.name] = dataset

    def finish(self) -> tuple[Finding, ...]:
        """Findings of all files, in their order."""
        for (app, _), table in self._event_tables.items():
            if app and app not in self._app_tables:
                known = f"registered are {', '.join(map(repr, self._app_tables))}" if self._app_tables else "none is registered"
                table.say("app", "unknown_app", f"there is no app {app!r}", did_you_mean(app, self._app_tables) or known)
        # An owner that is not named is the app's, and apps may stand in a later file.
        self.event_types = [
            kind if kind.owner else _with_owner(kind, self._owners.get(kind.app, "")) for kind in self.event_types
        ]
        return self.findings()

    def findings(self) -> tuple[Finding, ...]:
        """What is found so far; a dataset's encoding may add to what `finish` gave."""
        return tuple(finding for file in self._files for finding in sorted(file.findings, key=lambda one: (one.line, one.column)))

    def _read_app(self, table: Table) -> None:
        name, owner = table.text("name"), table.text("owner")
        table.name = f"app {name!r}" if name else table.name
        mode = table.text("mode", "observe", valid=MODES)
        description = table.text("description", "", lines=True)
        keys = table.get("write_keys", [])
        reporting = self._reporting(table)
        table.done()
        if not isinstance(keys, list):
            table.say("write_keys", "wrong_value", f"write_keys is a list of texts; got {kind_of(keys)}")
            keys = []
        hashes = tuple(found for key in keys if (found := self._write_key(table, name, key)))
        if self._is_new(table, name, ("app", name)):
            self._app_tables[name] = table
            self._owners[name] = owner
            # Unset where nothing is said, as in snapshots of before.
            self.apps.append(App(name, owner, mode, hashes, description, reporting if reporting != Reporting() else UNSET))

    def _reporting(self, table: Table) -> Reporting:
        events_per_s = table.integer("events_per_s", 0, 0, RATE_EVENTS_PER_S_MAX)
        origins = table.get("origins", [])
        if not isinstance(origins, list) or len(origins) > ORIGINS_MAX or not all(map(_is_origin, origins)):
            text = f"origins is a list of at most {ORIGINS_MAX} texts such as 'https://shop.example' (scheme, host, maybe a port)"
            table.say("origins", "wrong_value", text)
            origins = []
        return Reporting(events_per_s, tuple(origins))

    def _write_key(self, table: Table, app: str, key: Any) -> str | None:
        good = isinstance(key, str) and WRITE_KEY_CHARS_MIN <= len(key) <= WRITE_KEY_CHARS_MAX and key.isascii()
        if not good or not key.isprintable() or set(key) & {" ", ":"}:
            valid = f"{WRITE_KEY_CHARS_MIN} to {WRITE_KEY_CHARS_MAX} visible ASCII characters, without a space or colon"
            table.say("write_keys", "wrong_value", f"a write key is a text of {valid}")
            return None
        found = write_key_hash(key)
        if found in self._keys:
            owner = "stands twice" if self._keys[found] == app else f"is already that of the app {self._keys[found]!r}"
            table.say("write_keys", "duplicate_name", f"a write key {owner}; each app has its own")
            return None
        self._keys[found] = app
        return found

    def _read_event_type(self, table: Table) -> None:
        app, name = table.text("app"), table.text("name")
        table.name = f"event type {name!r}" if name else table.name
        kind = EventType(
            app=app,
            name=name,
            version=table.integer("version", 1, 1, VERSION_MAX),
            owner=table.text("owner", ""),
            tier=table.text("tier", "P2", valid=TIERS),
            description=table.text("description", "", lines=True),
            fields=tuple(
                field for part in ("properties", "context") for field in self._fields(table, part, table.get(part, {}), (part,))
            ),
        )
        table.done()
        if app and self._is_new(table, name, ("event type", app, name)):
            self._event_tables[(app, name)] = table
            self.event_types.append(kind)

    def _is_new(self, table: Table, name: str, spelled: tuple[str, ...]) -> bool:
        """Whether a name is there for the first time; a finding where it is not, or differs from another one only in case."""
        other = self._names.setdefault((*spelled[:-1], spelled[-1].casefold()), spelled)
        if not name or other is spelled:
            return bool(name)
        if other == spelled:
            table.say("name", "duplicate_name", f"the {spelled[0]} {name!r} stands twice")
        else:
            table.say("name", "case_conflict", f"the names {other[-1]!r} and {name!r} differ only in case; rename one")
        return False

    def _fields(self, table: Table, key: str, value: Any, path: tuple[str, ...]) -> Iterator[Field]:
        """The fields of one table of fields (``properties``, or ``fields`` of a STRUCT), each before its inner ones."""
        if not isinstance(value, dict):
            table.say(key, "wrong_value", f"{key} is a table of fields; got {kind_of(value)}")
            return
        place = (*table.path, key)
        for name, given in value.items():
            inner = {"type": given} if isinstance(given, str) else given
            field = Table(table.file, (*place, name), inner, f"{table.name}, field {'.'.join((*path, name))!r}")
            if not name or not name.isprintable():
                field.say(None, "wrong_value", "a field's name has visible characters only")
            elif len(path) > SCHEMA_DEPTH_MAX:
                field.say(None, "wrong_value", f"fields nest deeper than {SCHEMA_DEPTH_MAX} levels")
            else:
                yield from self._field(field, (*path, name))

    def _field(self, table: Table, path: tuple[str, ...]) -> Iterator[Field]:
        written = table.text("type")
        required = table.flag("required")
        description = table.text("description", "", lines=True)
        fields = table.get("fields")
        table.done()
        stem = "".join(written.upper().split())
        inner: tuple[Field, ...] = ()
        kind: DataType
        if fields is not None and stem.rstrip("[]") == "STRUCT":
            inner = tuple(self._fields(table, "fields", fields, path))
            kind = StructOf(tuple((one.path[-1], one.type) for one in inner if len(one.path) == len(path) + 1))
            for _ in range(stem.count("[]")):
                kind, inner = ListOf(kind), self._inside_list(table, inner)
        elif fields is not None:
            table.say("fields", "wrong_value", f"fields goes with the type STRUCT or STRUCT[]; the type is {written!r}")
            return
        elif parsed := _parsed(table, written):
            kind = parsed
        else:
            return
        if self._spelling_is_free(table, path, kind):
            yield Field(path, kind, required, description)
            yield from inner or _inner(path, kind)

    def _inside_list(self, table: Table, inner: tuple[Field, ...]) -> tuple[Field, ...]:
        if any(field.required for field in inner):
            table.say("fields", "wrong_value", "required cannot be stated for fields inside a list")
        return ()

    def _spelling_is_free(self, table: Table, path: tuple[str, ...], kind: DataType) -> bool:
        """Rules see the fields of all event types in one dataset, so the spelling of a path is one for all of them."""
        canonical = CONTEXT.field(path[1]) if path[0] == "context" and len(path) == 2 else None
        if canonical is not None and canonical != kind:
            table.say(
                None, "wrong_value", f"it is a field of every event already, of the type {canonical}; register another name"
            )
            return False
        for spelled, exact in _spellings(("", *path), kind):
            other = self._names.setdefault(spelled, exact)
            if other != exact:
                one, two = ".".join(other[1:]), ".".join(exact[1:])
                table.say(None, "case_conflict", f"the names {one!r} and {two!r} differ only in case; rename one")
                return False
        return True


def _parsed(table: Table, written: str) -> DataType | None:
    if not written:
        return None
    if written.upper().replace(" ", "").rstrip("[]") == "STRUCT":
        hint = 'write STRUCT(name TYPE, …), or fields = { name = "TYPE" } beside the type'
        table.say("type", "unknown_type", "a STRUCT names its fields", hint)
        return None
    try:
        return type_of_text(written)
    except ValueError as error:
        table.say("type", "unknown_type", str(error))
        return None


def _with_owner(kind: EventType, owner: str) -> EventType:
    return EventType(kind.app, kind.name, kind.version, owner, kind.tier, kind.description, kind.fields)


def _inner(path: tuple[str, ...], kind: DataType) -> Iterator[Field]:
    if isinstance(kind, StructOf):
        for name, inner in kind.fields:
            yield Field((*path, name), inner)
            yield from _inner((*path, name), inner)


def _spellings(path: tuple[str, ...], kind: DataType) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(path with letter case folded, path) of a field and everything inside it, through lists too."""
    yield tuple(part.casefold() for part in path), path
    while isinstance(kind, ListOf):
        kind = kind.item
    if isinstance(kind, StructOf):
        for name, inner in kind.fields:
            yield from _spellings((*path, name), inner)


def _is_origin(value: Any) -> bool:
    """Whether it is written as browsers write the header `Origin`."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and value == f"{parts.scheme}://{parts.netloc}".lower()
    except ValueError:
        return False
