"""`headwater log groups`: who reads what, and how far they are."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from headwater.cli.log.place import JsonOption, LogOption, ProjectOption, find_log, reading
from headwater.cli.log.shown import print_table, time_text
from headwater.core.errors import LogError
from headwater.log.groups import group_names, read_group
from headwater.log.runtime import Threads
from headwater.log.shared import SharedLog


class Member(msgspec.Struct):
    """A process in a group. ``seen`` is when it said last that it lives, by its own clock (ms since 1970)."""

    name: str
    host: str
    seen: int
    lease_s: float


class Unit(msgspec.Struct):
    """A partition that a group reads. ``next_offset`` None: nobody committed. ``lag``: records behind it; None: not known."""

    topic: str
    partition: int
    member: str | None
    next_offset: int | None
    end: int | None
    lag: int | None


class Group(msgspec.Struct):
    """A group. ``generation`` None: its members are not kept in the log; each commits beside what it writes."""

    group: str
    generation: int | None
    members: list[Member]
    units: list[Unit]


def groups(
    names: Annotated[list[str] | None, typer.Argument(metavar="GROUP…", help="Only these groups.")] = None,
    project: ProjectOption = None,
    log: LogOption = None,
    json: JsonOption = False,
) -> None:
    """List consumer groups: members, offsets, lag.

    The lag of a partition is how many records the group has not done. Offsets are those of groups whose members share
    partitions, and those that workers commit together with what they write.
    """
    with reading(find_log(project, log)) as opened:
        found = _found(opened)
    missing = [name for name in names or () if name not in found]
    if missing:
        raise LogError(f"there is no group {missing[0]!r}; there are {', '.join(sorted(found)) or 'none'}")
    listed = [found[name] for name in names or sorted(found)]
    if json:
        print(msgspec.json.encode({"groups": listed}).decode())
    elif not listed:
        print("no group has read from the log yet")
    else:
        for each in listed:
            _show(each)


def _found(log: SharedLog) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for commit in log.commits():
        group = found.setdefault(commit.group, Group(commit.group, None, [], []))
        group.units.append(_unit(log, commit.topic, commit.partition, None, commit.next_offset))
    runtime = Threads()
    try:
        for name in group_names(log.sites, runtime):
            state = read_group(name, log.sites, runtime)
            group = found.setdefault(name, Group(name, None, [], []))
            group.generation = state.generation
            group.members = [Member(each, m.host, m.seen_ms, m.lease_s) for each, m in sorted(state.members.items())]
            group.units += [
                _unit(log, topic, partition, holding.owner or None, holding.next_offset)
                for (topic, partition), holding in state.holdings()
            ]
    finally:
        runtime.close()
    return found


def _unit(log: SharedLog, topic: str, partition: int, member: str | None, next_offset: int | None) -> Unit:
    end = log.end_offset(topic, partition) if partition in log.partitions(topic) else None
    lag = None
    if end is not None:
        lag = end - max(log.start_offset(topic, partition), next_offset or 0)
    return Unit(topic, partition, member, next_offset, end, lag)


def _show(group: Group) -> None:
    lag = sum(each.lag or 0 for each in group.units)
    count = len(group.members)
    members = (
        f", {count} member{'' if count == 1 else 's'}, generation {group.generation}" if group.generation is not None else ""
    )
    print(f"{group.group}: lag {lag:,}{members}")
    for member in group.members:
        host = f" on {member.host}" if member.host else ""
        print(f"  {member.name}{host}, last seen {time_text(member.seen)}, lease {member.lease_s:g} s")
    if group.units:
        table = Table("  topic", "partition", "offset", "end", "lag", *(["member"] if group.generation is not None else []))
        for unit in group.units:
            cells = [_number(value) for value in (unit.next_offset, unit.end, unit.lag)]
            owner = [unit.member or "-"] if group.generation is not None else []
            table.add_row(f"  {unit.topic}", str(unit.partition), *cells, *owner)
        print_table(table, right=(1, 2, 3, 4))


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
