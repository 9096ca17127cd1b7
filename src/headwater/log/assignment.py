"""Who should have which unit of a consumer group: balanced, and as before where it can be. The same result for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Unit: TypeAlias = tuple[str, int]
"""What is shared out: (topic, partition); key classes are partitions of a topic that nobody writes."""


class Owned(NamedTuple):
    """A unit's owner, and whether it was asked to give the unit up."""

    owner: str
    going: bool


def assign(members: Mapping[str, Mapping[str, int]], units: Mapping[Unit, Owned | None]) -> dict[Unit, str]:
    """The member that each unit should have; units of topics that no member takes are left out.

    ``members``: the topics that each takes. Members that take the same topics differ by one unit at most; only as many units
    change hands as that needs, and those first that are on the move already.
    """
    having: dict[str, list[Unit]] = {name: [] for name in sorted(members)}
    takers = {topic: [name for name in having if topic in members[name]] for topic in sorted({topic for topic, _ in units})}
    free = []
    for unit in sorted(units):
        owned = units[unit]
        if owned is not None and owned.owner in having and unit[0] in members[owned.owner]:
            having[owned.owner].append(unit)
        elif takers[unit[0]]:
            free.append(unit)
    for unit in free:
        min((having[name] for name in takers[unit[0]]), key=len).append(unit)
    for mine in having.values():
        # The last is the first to go.
        mine.sort(key=lambda unit: (_is_going(units[unit]), unit))
    while _move_one(members, having):
        pass
    return {unit: name for name, mine in having.items() for unit in mine}


def _is_going(owned: Owned | None) -> bool:
    return owned is not None and owned.going


def _move_one(members: Mapping[str, Mapping[str, int]], having: dict[str, list[Unit]]) -> bool:
    """Moves a unit from a member with many to one with two fewer or more; False where there are no such two."""
    by_load = sorted(having, key=lambda name: len(having[name]))
    for giver in reversed(by_load):
        for taker in by_load:
            if len(having[giver]) - len(having[taker]) < 2:
                break
            for at in range(len(having[giver]) - 1, -1, -1):
                if having[giver][at][0] in members[taker]:
                    having[taker].append(having[giver].pop(at))
                    return True
    return False
