"""What a rule costs: how it is found among the others, what is then evaluated and shared, and how far the events of a sample get.

The counts come from the kernel: each rule is run again with a part of its WHERE, first what finds it, then one more.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from headwater.kernel import Program
from headwater.kernel.udf.host import Host
from headwater.rules import PhysicalRule
from headwater.rules.physical import Expression
from headwater.rules.render import render

RUNS = 5


class Condition(msgspec.Struct):
    """A condition joined by AND: its text in SQL, in how many other rules it stands, how many events of a sample passed."""

    text: str
    shared_with: int
    passed: int | None = None


class Explained(msgspec.Struct):
    """One rule. ``finds`` are equality conditions: the index takes `event`, `app`, or the others, as they tell most rules apart.

    Of a sample: ``candidates`` passed all of these, ``matched`` the whole WHERE; ``ns_per_event`` is the CPU time that the rule
    costs alone, above a program without rules, rows included.
    """

    rule: str
    finds: list[Condition]
    then: list[Condition]
    candidates: int | None = None
    matched: int | None = None
    ns_per_event: int | None = None


def explain(rules: Sequence[PhysicalRule]) -> list[Explained]:
    """What can be said without events."""
    split = [_conditions(rule.where) for rule in rules]
    texts = [[(render(one), _finds(one)) for one in conditions] for conditions in split]
    shared = Counter(text for held in texts for text in {text for text, _finds in held})
    found = []
    for rule, held in zip(rules, texts, strict=True):
        made = [(Condition(text, shared[text] - 1), finds) for text, finds in held]
        first, then = [one for one, finds in made if finds], [one for one, finds in made if not finds]
        found.append(Explained(rule.name, first, then))
    return found


def sample(
    rules: Sequence[PhysicalRule],
    explained: Sequence[Explained],
    batch: bytes,
    progress: Callable[[int], None],
    functions: Host | None = None,
) -> int:
    """Fills in what a sample of events (NDJSON) says, and gives how many events it holds; ``progress`` is told each rule."""
    probes = [probe for number, rule in enumerate(rules) for probe in _probes(number, rule)]
    result = Program(probes, functions).run(batch)
    passed = {number: matched for number, matched, *_rest in result.rules}
    empty = _cpu_ns(Program([]), batch)
    at = 0
    for number, (rule, one) in enumerate(zip(rules, explained, strict=True)):
        counts = [passed.get(at + step, 0) for step in range(len(one.finds) + len(one.then) + 1)]
        at += len(counts)
        for condition, count in zip([*one.finds, *one.then], counts[1:], strict=True):
            condition.passed = count
        one.candidates, one.matched = counts[len(one.finds)], counts[-1]
        spent = _cpu_ns(Program([rule.canonical()], functions), batch) - empty
        one.ns_per_event = max(0, round(spent / max(result.events, 1)))
        progress(number + 1)
    return result.events


def _probes(number: int, rule: PhysicalRule) -> list[bytes]:
    """The rule without a WHERE, and with one condition more each time."""
    conditions = _conditions(rule.where)
    ordered = [one for one in conditions if _finds(one)] + [one for one in conditions if not _finds(one)]
    select = (("x", ["literal", "BIGINT", 1]),)
    probes = []
    for step in range(len(ordered) + 1):
        held = ordered[:step]
        where = held[0] if len(held) == 1 else ["call", "and", "BOOLEAN", held] if held else None
        probe = msgspec.structs.replace(rule, name=f"{number}.{step}", into="probe", where=where, select=select)
        probes.append(probe.canonical())
    return probes


def _conditions(where: Expression | None) -> list[Expression]:
    """What a WHERE joins with AND."""
    if where is None:
        return []
    if where[:2] == ["call", "and"]:
        return [inner for part in where[3] for inner in _conditions(part)]
    return [where]


def _finds(condition: Expression) -> bool:
    """Whether the index can find a rule by this: a value compared with literals by = or IN, alone or as alternatives."""
    match condition:
        case ["call", "or", _, parts]:
            values = [_compared(part) for part in parts]
            return values[0] is not None and all(value == values[0] for value in values)
    return _compared(condition) is not None


def _compared(condition: Expression) -> Any:
    """What an equality compares with literals; None where it is no such."""
    match condition:
        case ["call", "eq", _, [one, ["literal", "VARCHAR" | "BIGINT", _]]] if one[0] != "literal":
            return one
        case ["call", "eq", _, [["literal", "VARCHAR" | "BIGINT", _], one]] if one[0] != "literal":
            return one
        case ["call", "in", _, [one, *literals]] if all(literal[1] in ("VARCHAR", "BIGINT") for literal in literals):
            return one
    return None


def _cpu_ns(program: Program, batch: bytes) -> float:
    """Median CPU time of a run."""
    times = []
    for _ in range(RUNS + 1):
        start = time.thread_time_ns()
        _ = program.run(batch).outputs
        times.append(time.thread_time_ns() - start)
    return statistics.median(times[1:])
