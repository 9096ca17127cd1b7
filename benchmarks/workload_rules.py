"""The workload's rules as physical rules."""

from __future__ import annotations

import workload

from headwater.core.dataset import SourceSchema
from headwater.registry.json_schema import source_from_json_schema
from headwater.rules import PhysicalRule, compile_sql


def sources(*, dirty: bool = False) -> dict[str, SourceSchema]:
    """The one dataset that the rules read."""
    return {"app_events": source_from_json_schema("app_events", workload.schema(dirty=dirty))}


def physical_rules(count: int, *, dirty: bool = False) -> list[PhysicalRule]:
    """The rules of the workload, compiled. Raises ValueError where one does not compile."""
    compiled = compile_sql(workload.rules(count, dirty=dirty), "workload.sql", sources(dirty=dirty))
    errors = [str(finding) for finding in compiled.findings if finding.severity == "error"]
    if errors:
        raise ValueError("\n".join(errors))
    return list(compiled.rules)


def stored_rules(count: int, *, dirty: bool = False) -> list[bytes]:
    """The same as they are stored."""
    return [rule.canonical() for rule in physical_rules(count, dirty=dirty)]
