"""Fields of a source by path, and the type that a path has under one rule's WHERE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.core.dataset import EventTypeSchema, SourceSchema
from headwater.core.types import JSON, DataType, StructOf
from headwater.rules.admitted import admitted, literals_of
from headwater.rules.conversion import same_type
from headwater.rules.findings import closest_name
from headwater.rules.syntax import Node


class Tree:
    """A field and its inner fields; ``kind`` None where only inner fields are registered."""

    __slots__ = ("children", "kind")

    def __init__(self, kind: DataType | None = None) -> None:
        self.kind = kind
        self.children: dict[str, Tree] = {}
        if isinstance(kind, StructOf):
            for name, inner in kind.fields:
                self.children[name] = Tree(inner)

    def add(self, path: Sequence[str], kind: DataType) -> None:
        """Registers a field below this one."""
        at = self
        for name in path[:-1]:
            at = at.children.setdefault(name, Tree())
        at.children[path[-1]] = Tree(kind)

    def type(self) -> DataType:
        """The type of the whole: its own, or a STRUCT of what is registered inside."""
        if self.kind is not None:
            return self.kind
        return StructOf(tuple((name, child.type()) for name, child in self.children.items()))

    def walk(self, path: Sequence[str]) -> tuple[Tree, int]:
        """Goes along the path as far as it is registered: where it got, and how many names it took."""
        at = self
        for taken, name in enumerate(path):
            child = at.children.get(name)
            if child is None:
                return at, taken
            at = child
        return at, len(path)

    def paths(self, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Every path below."""
        for name, child in self.children.items():
            yield (*prefix, name)
            yield from child.paths((*prefix, name))


class SourceFields:
    """The fields of one source, made ready for look-ups."""

    def __init__(self, schema: SourceSchema) -> None:
        self.schema = schema
        self.base = Tree(schema.base)
        self.by_event: dict[str, list[EventTypeSchema]] = {}
        self._trees: dict[int, Tree] = {}
        self.apps = frozenset(one.app for one in schema.event_types)
        for one in schema.event_types:
            self.by_event.setdefault(one.event, []).append(one)

    def tree(self, event_type: EventTypeSchema) -> Tree:
        """The fields that one event type adds."""
        tree = self._trees.get(id(event_type))
        if tree is None:
            tree = self._trees[id(event_type)] = Tree()
            for path, kind in event_type.fields:
                tree.add(path, kind)
        return tree


class UnknownFieldError(Exception):
    """A path that is not registered: ``taken`` of its names are."""

    def __init__(self, message: str, hint: str | None, taken: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.taken = taken


class Scope:
    """What names mean in one rule."""

    def __init__(self, fields: SourceFields, where: Node | None, alias: str | None = None) -> None:
        self.fields = fields
        self.alias = alias
        self.where = where
        self._admitted: list[EventTypeSchema] | None = None
        self._known: dict[tuple[str, ...], tuple[DataType, int, str | None]] = {}

    @property
    def admitted(self) -> list[EventTypeSchema]:
        """The event types that the WHERE admits."""
        if self._admitted is None:
            self._admitted = admitted(self.where, self.fields.by_event)
        return self._admitted

    def resolve(self, path: tuple[str, ...]) -> tuple[DataType, int, str | None]:
        """The type of a path, how many of its names make the field (fewer where a list comes in between), and why it is JSON.

        A path that goes on inside a JSON field is read as JSON. Raises UnknownFieldError.
        """
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._resolve(path)
        return found

    def _resolve(self, path: tuple[str, ...]) -> tuple[DataType, int, str | None]:
        tree, taken = self.fields.base.walk(path)
        if taken == len(path) and tree.kind is not None:
            return tree.kind, taken, None
        reached = [(tree, taken)] if taken else []
        inside = []
        for one in self.admitted if self.fields.by_event else ():
            other, other_taken = self.fields.tree(one).walk(path)
            if other_taken == len(path):
                inside.append((one, other.type()))
            elif other_taken:
                reached.append((other, other_taken))
        if inside:
            return self._common(path, inside)
        for tree, _taken in reached:
            if tree.kind == JSON:
                return JSON, len(path), None
        for tree, taken in reached:
            if tree.kind is not None and not isinstance(tree.kind, StructOf):
                return tree.kind, taken, None
        raise self._unknown(path, max((taken for _tree, taken in reached), default=0))

    def _common(self, path: tuple[str, ...], inside: list[tuple[EventTypeSchema, DataType]]) -> tuple[DataType, int, str | None]:
        first, kind = inside[0]
        for one, other in inside[1:]:
            if not same_type(kind, other):
                kinds = f"{kind} in `{first.event}` of app `{first.app}`, {other} in `{one.event}` of app `{one.app}`"
                why = f"`{'.'.join(path)}` is JSON here: {kinds}"
                return JSON, len(path), why
        return kind, len(path), None

    def _unknown(self, path: tuple[str, ...], taken: int) -> UnknownFieldError:
        name = self.fields.schema.name
        dotted = ".".join(path[: taken + 1])
        message = f"no field `{dotted}` in {name}"
        if path[0] in (name, self.alias) and len(path) > 1:
            return UnknownFieldError(message, f"leave `{path[0]}.` out: fields are named without the dataset", taken)
        if others := [one for one in self.fields.schema.event_types if self.fields.tree(one).walk(path)[1] == len(path)]:
            message = f"`{'.'.join(path)}` is no field of an event type that this WHERE admits"
            return UnknownFieldError(message, f"`{others[0].event}` of app `{others[0].app}` has it", len(path) - 1)
        return UnknownFieldError(message, self._closest(path, taken), taken)

    def _closest(self, path: tuple[str, ...], taken: int) -> str | None:
        trees = [self.fields.base, *(self.fields.tree(one) for one in self.admitted)]
        siblings = {name: None for tree in trees for name in tree.walk(path[:taken])[0].children}
        if close := closest_name(path[taken], siblings):
            whole = (*path[:taken], close, *path[taken + 1 :])
            if not any(tree.walk(whole)[1] == len(whole) for tree in trees):
                whole = whole[: taken + 1]
            return f"did you mean `{'.'.join(whole)}`?"
        everywhere = {one[-1]: one for tree in trees for one in tree.paths()}
        if close := closest_name(path[-1], everywhere, at_least=0.85):
            return f"did you mean `{'.'.join(everywhere[close])}`?"
        shown = list(siblings)[:12]
        more = ", …" if len(siblings) > 12 else ""
        return f"fields there are {', '.join(f'`{one}`' for one in shown)}{more}" if shown else None

    def unregistered(self) -> Iterator[tuple[Node, str, str | None]]:
        """Text literals compared with `event` or `app` that are not registered: the literal, which field, what is close."""
        if not self.fields.by_event:
            return
        for name, known in (("event", self.fields.by_event.keys()), ("app", self.fields.apps)):
            for literal in literals_of(self.where, name):
                if literal.value[0] == "VARCHAR" and literal.value[1] not in known:
                    yield literal, name, closest_name(literal.value[1], known)
