"""What a rule costs: how the kernel finds it among the others, what is then evaluated and shared, how far a sample's events get.

How rules are found is what the kernel's index says. How many events pass is counted by running each rule again with a part of its
WHERE. Times are the kernel's own, of the whole rule set with every event timed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from headwater.kernel import Counters, Program
from headwater.kernel.udf.host import Host
from headwater.rules import PhysicalRule
from headwater.rules.physical import Expression
from headwater.rules.render import render

RUNS = 5


class Condition(msgspec.Struct, kw_only=True):
    """A condition joined by AND: its text in SQL, in how many other rules it stands, how many events of a sample passed.

    ``level`` is 1 where it is the first atom by which the index finds the rule, 2 for the second, …, 0 where it finds nothing.
    ``tested`` is `mask` where it is one bit for many rules at once, `alone` where it is evaluated by itself, `no` where the index
    has said it all.
    """

    text: str
    shared_with: int
    level: int
    tested: str
    passed: int | None = None


class Explained(msgspec.Struct, kw_only=True):
    """One rule. ``finds`` are the conditions by which the index finds it, by level; ``then`` is what is left.

    ``groups`` of the index hold it, with up to ``beside`` other rules that are looked at together with it. Of a sample: it was
    ``evaluated`` for so many events, as the index could not rule it out, and ``matched`` so many. ``ns_per_event`` is its time
    over all of the sample's events, rows included; what several rules share is the first one's.
    """

    rule: str
    finds: list[Condition]
    then: list[Condition]
    groups: int
    beside: int
    evaluated: int | None = None
    matched: int | None = None
    ns_per_event: float | None = None


def explain(rules: Sequence[PhysicalRule]) -> list[Explained]:
    """What can be said without events."""
    said: dict[int, dict[str, Any]] = {}
    # What calls Python functions is no business of the index; without it nobody has to be called.
    plain = [_with_where(rule, [one for one in _conditions(rule.where) if not _calls_python(one)]) for rule in rules]
    for program, numbers in _programs(plain):
        said.update(zip(numbers, program.explain(), strict=True))
    calling = Counter(text for rule in rules for text in {render(one) for one in _conditions(rule.where) if _calls_python(one)})
    return [_explained(rule, said[number], calling) for number, rule in enumerate(rules)]


def _with_where(rule: PhysicalRule, conditions: list[Expression]) -> PhysicalRule:
    """The rule with these conditions, and a constant as its row."""
    where = None if not conditions else conditions[0] if len(conditions) == 1 else ["call", "and", "BOOLEAN", conditions]
    return rule.but(where=where, select=(("x", ["literal", "BIGINT", 1]),))


def _calls_python(expression: Expression) -> bool:
    """Whether a Python function is called in it."""
    return expression[0] == "call" and (expression[1] == "udf" or any(map(_calls_python, expression[3])))


def _programs(rules: Sequence[PhysicalRule], functions: Host | None = None) -> list[tuple[Program, list[int]]]:
    """One for each source, and the numbers of its rules."""
    numbers: dict[str, list[int]] = {}
    for number, rule in enumerate(rules):
        numbers.setdefault(rule.source, []).append(number)
    return [(Program([rules[number].canonical() for number in held], functions), held) for held in numbers.values()]


def _explained(rule: PhysicalRule, said: dict[str, Any], calling: Counter[str]) -> Explained:
    """A rule with what the kernel says of its conditions, which stand in the same order, but for those that call functions."""
    found = Explained(rule=rule.name, finds=[], then=[], groups=said["groups"], beside=said["beside"])
    known = iter(said["conditions"])
    for expression in _conditions(rule.where):
        if _calls_python(expression):
            text = render(expression)
            found.then.append(Condition(text=text, shared_with=calling[text] - 1, level=0, tested="alone"))
            continue
        level, _found_in, masked_in, alone_in, shared_with = next(known, (0, 0, 0, 0, 0))
        tested = "alone" if alone_in else "mask" if masked_in else "no"
        condition = Condition(text=render(expression), shared_with=shared_with, level=level, tested=tested)
        (found.finds if level else found.then).append(condition)
    found.finds.sort(key=lambda condition: condition.level)
    return found


def sample(rules: Sequence[PhysicalRule], explained: Sequence[Explained], batch: bytes, functions: Host | None = None) -> int:
    """Fills in what a sample of events (NDJSON) says, and gives how many events it holds."""
    probes = [probe for number, rule in enumerate(rules) for probe in _probes(number, rule, explained[number])]
    result = Program(probes, functions).run(batch)
    passed = {number: matched for number, matched, *_rest in result.rules}
    at = 0
    for one in explained:
        for condition in (*one.finds, *one.then):
            condition.passed = passed.get(at, 0)
            at += 1
    well_formed = result.events - len(result.rejects)
    for program, _numbers in _programs(rules, functions):
        evaluated, times = _times(program, batch)
        for one in explained:
            if one.rule in times:
                one.evaluated, one.matched = evaluated[one.rule]
                one.ns_per_event = round(times[one.rule] / max(well_formed, 1), 1)
    return result.events


def _times(program: Program, batch: bytes) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """Of each rule: (evaluated, matched) of one run, and the mean ns of several after one that warms up."""
    once = Counters(program)
    once.add(program.profile(batch))
    several = Counters(program)
    for _ in range(RUNS):
        several.add(program.profile(batch))
    counts = {name: (each["evaluated"], each["matched"]) for name, each in once.rules().items()}
    return counts, {name: each["ns"] // RUNS for name, each in several.rules().items()}


def _probes(number: int, rule: PhysicalRule, explained: Explained) -> list[bytes]:
    """The rule with one condition more each time, in the order in which they are told."""
    texts = {render(condition): condition for condition in _conditions(rule.where)}
    ordered = [texts[condition.text] for condition in (*explained.finds, *explained.then)]
    probes = []
    for step in range(1, len(ordered) + 1):
        probes.append(_with_where(rule, ordered[:step]).but(name=f"{number}.{step}", into="probe").canonical())
    return probes


def _conditions(where: Expression | None) -> list[Expression]:
    """What a WHERE joins with AND."""
    if where is None:
        return []
    if where[:2] == ["call", "and"]:
        return [inner for part in where[3] for inner in _conditions(part)]
    return [where]
