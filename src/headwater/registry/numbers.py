"""Field numbers of Protobuf datasets: given once, kept in `plan/numbers.lock`, never used for anything else.

A column that goes keeps its number, reserved; one that comes back gets a new one. A column whose type changes is refused: readers
of its number would misread it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from headwater.core.types import DataType, ListOf, Scalar, StructOf
from headwater.registry.toml_file import Table, TomlFile
from headwater.rules.findings import Finding

LOCK_FILE = "plan/numbers.lock"
NUMBER_MAX = 2**29 - 1
_PROTOBUFS_OWN = range(19000, 20000)
_FORMAT = 1
_HEAD = (
    "# Numbers of Protobuf fields, written by `headwater proto`. Keep it with the plan. Readers rely on it: never edit a number."
)

Path = tuple[str, ...]


class Number(msgspec.Struct):
    """A field's number. ``called`` is its name in `.proto` files, ``inner`` the name of its message where it has one."""

    name: str
    number: int
    type: str
    called: str
    inner: str = ""
    reserved: bool = False


class NumberedStruct:
    """The numbers of one STRUCT: ``all`` that were ever given, and those that fields have now, by name."""

    def __init__(self) -> None:
        self.all: list[Number] = []
        self.live: dict[str, Number] = {}

    def add(self, number: Number) -> None:
        """Takes one more number."""
        self.all.append(number)
        if not number.reserved:
            self.live[number.name] = number

    def reserve_others(self, names: set[str]) -> None:
        """Reserves the numbers of fields that are not among ``names``."""
        for gone in self.live.keys() - names:
            self.live.pop(gone).reserved = True


class Numbers:
    """All numbers, by dataset and by the path of the STRUCT they are in, () being the row."""

    def __init__(self) -> None:
        self.structs: dict[str, dict[Path, NumberedStruct]] = {}

    def of(self, dataset: str, path: Path) -> NumberedStruct:
        """The numbers of one STRUCT, none where it is new."""
        return self.structs.get(dataset, {}).get(path) or NumberedStruct()

    def find(self, dataset: str, path: Path, name: str) -> Number | None:
        """The number that a field has now."""
        return self.of(dataset, path).live.get(name)

    def reserved(self, dataset: str, path: Path, fields: set[str]) -> list[int]:
        """The numbers in a STRUCT that none of ``fields`` has, sorted."""
        return sorted(one.number for one in self.of(dataset, path).all if one.reserved or one.name not in fields)

    def misfits(self, dataset: str, row: StructOf) -> Iterator[tuple[Path, str, Number | None]]:
        """Fields of a row that have no number (None), or that have it for another type: path, type now, number."""
        for path, kind in structs_of(row):
            for name, inner in kind.fields:
                known = self.find(dataset, path, name)
                if known is None or known.type != shown_type(inner):
                    yield (*path, name), shown_type(inner), known

    def assign(self, dataset: str, row: StructOf) -> None:
        """Gives numbers to the fields of a row that have none, and reserves those of fields that are gone.

        Raises ValueError where a field has its number for another type, or no number is left.
        """
        for where, kind_now, known in self.misfits(dataset, row):
            if known is not None:
                raise ValueError(changed(dataset, where, kind_now, known))
        for path, kind in structs_of(row):
            struct = self.structs.setdefault(dataset, {}).setdefault(path, NumberedStruct())
            struct.reserve_others({name for name, _ in kind.fields})
            taken = {form for one in struct.live.values() for form in _forms(one)}
            last = max((one.number for one in struct.all), default=0)
            for name, inner in kind.fields:
                if name not in struct.live:
                    new = _new(last, taken, name, inner)
                    struct.add(new)
                    last = new.number
                    taken |= _forms(new)

    def text(self) -> str:
        """The lock file."""
        lines = [_HEAD, f"format = {_FORMAT}"]
        for dataset in sorted(self.structs):
            for path, known in sorted(self.structs[dataset].items()):
                where = f"dataset = {_quoted(dataset)}\nin = [{', '.join(map(_quoted, path))}]"
                lines += ["", "[[struct]]", where, "fields = ["]
                lines += [f"  {_line(one)}," for one in sorted(known.all, key=lambda one: one.number)]
                lines.append("]")
        return "\n".join(lines) + "\n"


def read_numbers(text: str | None) -> tuple[Numbers, list[Finding]]:
    """The numbers of a lock file, none where there is no file, and what is wrong with it."""
    numbers = Numbers()
    if text is None:
        return numbers, []
    toml = TomlFile(LOCK_FILE, text)
    root = Table(toml, (), toml.content, LOCK_FILE)
    if not toml.findings and (found := root.get("format")) != _FORMAT:
        root.say("format", "wrong_value", f"format {found!r} is not known; this Headwater reads format {_FORMAT}")
    for table in root.tables("struct"):
        dataset = table.text("dataset")
        path = table.get("in", [])
        fields = list(table.tables("fields"))
        table.done()
        if not isinstance(path, list) or not all(isinstance(part, str) for part in path):
            table.say("in", "wrong_value", "in is a list of names")
            continue
        known = numbers.structs.setdefault(dataset, {}).setdefault(tuple(path), NumberedStruct())
        given = {one.number for one in known.all}
        for field in fields:
            number = _read(field)
            if number.number in given:
                field.say("number", "duplicate_number", f"the number {number.number} stands twice: each field has its own")
            if not number.reserved and number.name in known.live:
                field.say("name", "duplicate_name", f"the field {number.name!r} stands twice")
            given.add(number.number)
            known.add(number)
    root.done()
    return numbers, toml.findings


def structs_of(row: StructOf, path: Path = ()) -> Iterator[tuple[Path, StructOf]]:
    """A row and every STRUCT inside it, through lists too, with the path of its name."""
    yield path, row
    for name, kind in row.fields:
        item = kind
        while isinstance(item, ListOf):
            item = item.item
        if isinstance(item, StructOf):
            yield from structs_of(item, (*path, name))


def shown_type(kind: DataType) -> str:
    """A type as the lock file has it: what is inside a STRUCT has numbers of its own."""
    match kind:
        case Scalar(name):
            return name
        case ListOf(item):
            return f"{shown_type(item)}[]"
        case StructOf():
            return "STRUCT"


def changed(dataset: str, where: Path, kind_now: str, known: Number) -> str:
    """What is said of a field that has its number for another type."""
    return (
        f"the field `{'.'.join(where)}` of the Protobuf dataset `{dataset}` is {kind_now} now, but its number {known.number} is "
        f"that of a {known.type}"
    )


def camel(name: str) -> str:
    """The name of a Protobuf message: `user_actions` → `UserActions`."""
    joined = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
    return joined if joined[:1].isalpha() else f"X{joined}"


def _new(last: int, taken: set[str], name: str, kind: DataType) -> Number:
    """The number after ``last``, and names for the `.proto` file that are not among ``taken``."""
    number = last + 1
    if number in _PROTOBUFS_OWN:
        number = _PROTOBUFS_OWN.stop
    if number > NUMBER_MAX:
        raise ValueError(f"no number is left for the field {name!r}")
    item = kind
    while isinstance(item, ListOf):
        item = item.item
    nested = isinstance(item, StructOf) or shown_type(kind).endswith("[][]")
    before = re.sub(r"[^A-Za-z0-9_]", "_", name)
    called = _free(before if before[:1].isalpha() else f"f{before}", taken)
    inner = _free(camel(name), taken | {_json_name(called), called}) if nested else ""
    return Number(name, number, shown_type(kind), called, inner)


def _forms(one: Number) -> set[str]:
    """The names that a field takes in its message: its own, that in JSON, and its message's."""
    return {one.called, _json_name(one.called), one.inner}


def _free(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it where it, or the name that JSON would have for it, is taken."""
    free, count = name, 1
    while free in taken or _json_name(free) in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def _json_name(called: str) -> str:
    """The name that Protobuf gives a field in JSON, which must be its own as well."""
    first, *rest = called.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _read(table: Table) -> Number:
    name = table.get("name")
    found = Number(
        name if isinstance(name, str) else "",
        table.integer("number", 0, 1, NUMBER_MAX),
        table.text("type"),
        table.text("called", name if isinstance(name, str) else ""),
        table.text("inner", ""),
        table.flag("reserved"),
    )
    table.done()
    return found


def _line(one: Number) -> str:
    parts = [f"name = {_quoted(one.name)}", f"number = {one.number}", f"type = {_quoted(one.type)}"]
    parts += [f"called = {_quoted(one.called)}"] if one.called != one.name else []
    parts += [f"inner = {_quoted(one.inner)}"] if one.inner else []
    parts += ["reserved = true"] if one.reserved else []
    return f"{{ {', '.join(parts)} }}"


def _quoted(text: str) -> str:
    """A text as TOML has it; JSON's escapes are TOML's, but for those of DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
