"""What a function declares: its name, what it takes and gives, and what its page in the documentation says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headwater.rules.lowering import Lowering, Value
from headwater.rules.syntax import Node

# Parameter kinds beside the scalar types: any list; any type (one for all such parameters, converted to the common one).
ANY_LIST = "list"
COMMON = "common"
# Text literals, which the function's ``lower`` checks: what names a part of a TIMESTAMP, a format, and what belongs to patterns.
PART, FORMAT = "part", "format"
PATTERN, OPTIONS, REPLACEMENT, SEPARATOR = "pattern", "options", "replacement", "separator"
LITERALS = frozenset((PART, FORMAT, PATTERN, OPTIONS, REPLACEMENT, SEPARATOR))


class Signature(msgspec.Struct, frozen=True):
    """Parameter types in order; the last ``optional`` ones may be left out; ``variadic`` repeats the last one.

    ``result`` may be COMMON.
    """

    parameters: tuple[str, ...]
    result: str
    optional: int = 0
    variadic: bool = False


class Function(msgspec.Struct, frozen=True):
    """A function of rules. It lowers to the physical operation of the same name, or as ``lower`` says.

    ``instead_of`` lists names that other systems use, for hints. ``example`` is an expression over the example source of
    docs/sql.md.
    """

    name: str
    signatures: tuple[Signature, ...]
    doc: str
    example: str
    instead_of: tuple[str, ...] = ()
    lower: Callable[[Lowering, list[Value], Node], Value | None] | None = None

    def forms(self) -> list[str]:
        """How a call is written, one text a signature: ``trim(VARCHAR[, VARCHAR])``."""
        forms = []
        for signature in self.signatures:
            must = len(signature.parameters) - signature.optional
            parts = ["value" if one == COMMON else one for one in signature.parameters]
            text = ", ".join(parts[:must]) + "".join(f"[, {part}" for part in parts[must:]) + "]" * signature.optional
            forms.append(f"{self.name}({text}{', …' if signature.variadic else ''})")
        return forms
