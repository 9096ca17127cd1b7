"""What the worker of a key class counted since the beginning: state of the log, committed with the outputs that it counts.

One state a rule and dataset, written only when it changed, so that a small batch writes a little whatever the number of rules:
`etl/<class>/totals` (by source), `etl/<class>/rules` (since which event each rule runs; written when rules change),
`etl/<class>/rule/<name>` and `etl/<class>/dataset/<name>`. How many events went into a rule follows from the totals, since every
unique event of its source does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from headwater.kernel import Result

_TOTALS = "totals"
_RULES = "rules"
State: TypeAlias = Callable[[str], bytes | None]


class _Totals(msgspec.Struct):
    """Of one source: read = duplicates + dead + unique."""

    read: int = 0
    duplicates: int = 0
    dead: int = 0
    unique: int = 0


class _Span(msgspec.Struct):
    """The events that a rule got: ``before`` in earlier spans, and since ``since`` of its source where it runs now."""

    source: str
    into: str
    before: int = 0
    since: int | None = None


class _Known(msgspec.Struct):
    """Every rule that ever ran, and every dataset that one ever wrote."""

    rules: dict[str, _Span] = {}
    datasets: list[str] = []


class _Rule(msgspec.Struct):
    matched: int = 0
    where_errors: int = 0
    failed: int = 0
    not_finite: int = 0


class _Dataset(msgspec.Struct):
    """``matched`` by the rules, and rows ``emitted``: counted apart, and equal unless something is lost."""

    matched: int = 0
    emitted: int = 0


class RuleRef(msgspec.Struct, frozen=True):
    """What the figures need to know of a linked rule."""

    name: str
    source: str
    into: str


class Figures:
    """The cumulative figures of a class. Used by one thread; `view` gives values that others may keep."""

    def __init__(self, state: State, number: int) -> None:
        """Reads the last figures of that class; ``state`` is `Log.state`."""
        self._prefix = f"etl/{number}/"
        self._totals: dict[str, _Totals] = _load(state(self._prefix + _TOTALS), dict[str, _Totals])
        known: _Known = _load(state(self._prefix + _RULES), _Known)
        self._spans = known.rules
        self._rules = {name: _load(state(f"{self._prefix}rule/{name}"), _Rule) for name in self._spans}
        self._datasets = {name: _load(state(f"{self._prefix}dataset/{name}"), _Dataset) for name in known.datasets}
        self._changed: set[str] = set()

    @property
    def sources(self) -> tuple[str, ...]:
        """The topics that events were ever read from."""
        return tuple(self._totals)

    @property
    def written(self) -> frozenset[str]:
        """The datasets that rules ever wrote rows of."""
        return frozenset(name for name, counts in self._datasets.items() if counts.emitted)

    def link(self, source: str, rules: Iterable[RuleRef]) -> None:
        """From now on these rules run, and no others. ``source`` is the topic that the collector feeds."""
        self._totals.setdefault(source, _Totals())
        running = {rule.name: rule for rule in rules}
        for name, span in self._spans.items():
            rule = running.get(name)
            if span.since is not None and (rule is None or rule.source != span.source):
                span.before += self._unique(span.source) - span.since
                span.since = None
        for rule in running.values():
            known = self._spans.get(rule.name)
            before = known.before if known else 0
            since = known.since if known and known.since is not None else self._unique(rule.source)
            self._spans[rule.name] = _Span(rule.source, rule.into, before, since)
            self._rules.setdefault(rule.name, _Rule())
            self._datasets.setdefault(rule.into, _Dataset())
        self._changed |= {_TOTALS, _RULES}

    def add(self, source: str, read: int, duplicates: int, result: Result, rules: list[RuleRef]) -> None:
        """Adds a batch. ``rules`` are those of the program that gave the result, in its order."""
        totals = self._totals[source]
        totals.read += read
        totals.duplicates += duplicates
        totals.dead += len(result.rejects)
        totals.unique += result.events - len(result.rejects)
        self._changed.add(_TOTALS)
        for index, matched, where_errors, failed, not_finite in result.rules:
            rule, dataset = self._rules[rules[index].name], self._datasets[rules[index].into]
            rule.matched += matched
            rule.where_errors += where_errors
            rule.failed += failed
            rule.not_finite += not_finite
            dataset.matched += matched
            self._changed |= {f"rule/{rules[index].name}", f"dataset/{rules[index].into}"}
        for dataset_name, rows in result.rows.items():
            self._datasets[dataset_name].emitted += rows

    def add_dead(self, source: str) -> None:
        """Adds one event that became a dead letter before any rule had it."""
        totals = self._totals[source]
        totals.read += 1
        totals.dead += 1
        self._changed.add(_TOTALS)

    def take_changed(self) -> tuple[tuple[str, bytes], ...]:
        """The states that changed since the last call, for the append group of the batch."""
        changed, self._changed = sorted(self._changed), set()
        return tuple((self._prefix + name, msgspec.json.encode(self._value(name))) for name in changed)

    def view(self) -> dict[str, Any]:
        """All of it as JSON values: {"read", "duplicates", "dead", "unique", "rules": {name: …}, "datasets": {name: …}}."""
        keys = _Totals.__struct_fields__
        view: dict[str, Any] = {key: sum(getattr(totals, key) for totals in self._totals.values()) for key in keys}
        view["rules"] = {name: self._rule_view(name, span) for name, span in sorted(self._spans.items())}
        view["datasets"] = {name: msgspec.to_builtins(counts) for name, counts in sorted(self._datasets.items())}
        return view

    def _rule_view(self, name: str, span: _Span) -> dict[str, Any]:
        counts = self._rules[name]
        events = span.before + (0 if span.since is None else self._unique(span.source) - span.since)
        not_matched = events - counts.matched - counts.failed
        place = {"into": span.into, "running": span.since is not None, "in": events, "not_matched": not_matched}
        return {**place, **msgspec.structs.asdict(counts)}

    def _unique(self, source: str) -> int:
        return self._totals[source].unique if source in self._totals else 0

    def _value(self, name: str) -> Any:
        if name == _TOTALS:
            return self._totals
        if name == _RULES:
            return _Known(self._spans, sorted(self._datasets))
        kind, key = name.split("/", 1)
        return self._rules[key] if kind == "rule" else self._datasets[key]


def total(views: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sum of what `Figures.view` gave of several classes. ``into`` is that of a class where the rule runs, if any."""
    summed: dict[str, Any] = {key: sum(view[key] for view in views) for key in _Totals.__struct_fields__}
    summed["rules"] = {}
    for view in views:
        for name, rule in view["rules"].items():
            known = summed["rules"].setdefault(name, {})
            for key, value in rule.items():
                if key == "into":
                    known[key] = value if rule["running"] else known.get(key, value)
                else:
                    known[key] = (known.get(key, False) or value) if key == "running" else known.get(key, 0) + value
    summed["rules"] = dict(sorted(summed["rules"].items()))
    names = sorted({name for view in views for name in view["datasets"]})
    summed["datasets"] = {
        name: {key: sum(view["datasets"].get(name, {}).get(key, 0) for view in views) for key in _Dataset.__struct_fields__}
        for name in names
    }
    return summed


def sources(state: State, classes: int) -> tuple[str, ...]:
    """The topics that events were ever read from, by the worker of any class."""
    known: dict[str, None] = {}
    for number in range(classes):
        known |= dict.fromkeys(_load(state(f"etl/{number}/{_TOTALS}"), dict[str, _Totals]))
    return tuple(known)


def _load(stored: bytes | None, kind: Any) -> Any:
    return kind() if stored is None else msgspec.json.decode(stored, type=kind)
