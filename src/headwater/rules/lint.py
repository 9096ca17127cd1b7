"""Warnings about rules that are valid and most likely not meant. Each is sound: what it says of the rule is so."""

from __future__ import annotations

import msgspec

from headwater.rules.admitted import restricted_to
from headwater.rules.fields import Scope
from headwater.rules.findings import Findings, SourceFile
from headwater.rules.physical import Expression, PhysicalRule, Star
from headwater.rules.satisfiable import never_true
from headwater.rules.syntax import Node, Statement


def check(statement: Statement, where: Expression | None, scope: Scope, file: SourceFile, findings: Findings) -> None:
    """Notes the warnings of one rule. ``where`` is its lowered WHERE, None where that has errors."""
    node = statement.where
    if node is None:
        return

    def warn(place: Node, code: str, message: str, hint: str | None = None) -> None:
        findings.add(file, place.start, place.end, code, message, hint, "warning")

    for literal, name, close in scope.unregistered():
        code, what = ("unregistered_event", "event type") if name == "event" else ("unregistered_app", "app")
        warn(literal, code, f"no {what} `{literal.value[1]}` is registered", f"did you mean `{close}`?" if close else None)
    if where is None:
        return
    if reason := never_true(where):
        hint = "the rule writes nothing" + ("; IS NULL says whether a value is missing" if reason.endswith("NULL") else "")
        warn(node, "never_true", f"this WHERE is never TRUE: {reason}", hint)
    elif "event" in scope.fields.base.children and restricted_to(node, "event") is None:
        message = "no condition on `event` selects the rule: it is tried on every event, which is slow"
        warn(node, "no_index_atom", message, "add event = '…' or event IN (…)")


class Repeats:
    """Finds rules that do exactly what an earlier one does: they write every row twice."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._seen: dict[int, str] = {}

    def check(self, rule: PhysicalRule, does: int, file: SourceFile, start: int) -> None:
        """Notes a warning where an earlier rule reads, selects and writes the same; ``does`` is `what_it_does` of this one."""
        line, column = file.place(start)
        first = self._seen.setdefault(does, f"rule `{rule.name}` ({file.name}:{line}:{column})")
        if f"`{rule.name}`" not in first:
            message = f"this rule does the same as {first}: each row is written twice"
            self.findings.add(file, start, start + 6, "repeated_rule", message, "drop one of them", "warning")


def what_it_does(source: str, into: str, where: Expression | None, select: tuple[tuple[str, Expression], ...] | Star) -> int:
    """A number that is equal for rules which read, select and write the same, whatever their names."""
    return hash(msgspec.json.encode([source, into, where, select]))
