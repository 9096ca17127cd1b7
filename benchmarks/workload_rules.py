"""The workload's rules as physical rules."""

from __future__ import annotations

import workload
import workload_hostile

from headwater.core.dataset import SourceSchema
from headwater.registry.json_schema import source_from_json_schema
from headwater.rules import Compiled, PhysicalRule, compile_sql


def sources(*, dirty: bool = False) -> dict[str, SourceSchema]:
    """The one dataset that the rules read."""
    return {"app_events": source_from_json_schema("app_events", workload.schema(dirty=dirty))}


def physical_rules(count: int, *, dirty: bool = False) -> list[PhysicalRule]:
    """The rules of the workload, compiled. Raises ValueError where one does not compile."""
    return compiled(workload.rules(count, dirty=dirty), dirty=dirty)


def compiled(text: str, *, dirty: bool = False) -> list[PhysicalRule]:
    """Rules of any text over the workload's events. Raises ValueError where one does not compile."""
    return list(with_datasets(text, dirty=dirty).rules)


def with_datasets(text: str, *, dirty: bool = False) -> Compiled:
    """The same with the datasets that the rules write."""
    found = compile_sql(text, "workload.sql", sources(dirty=dirty))
    if found.errors:
        raise ValueError("\n".join(map(str, found.errors)))
    return found


def hostile_rules(count: int) -> list[PhysicalRule]:
    """The rules of `workload_hostile`, compiled. Raises ValueError where one does not compile."""
    return compiled(workload_hostile.rules(count))


def stored_rules(count: int, *, dirty: bool = False) -> list[bytes]:
    """The same as they are stored."""
    return [rule.canonical() for rule in physical_rules(count, dirty=dirty)]
