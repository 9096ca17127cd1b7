"""Statements as they were lowered before, by their text: an edit of ten rules among ten thousand lowers ten."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headwater.core.dataset import SourceSchema
from headwater.core.udf import Signature
from headwater.rules.fields import SourceFields
from headwater.rules.lowered import Lowered
from headwater.rules.statements import Piece


class Cache:
    """What one compilation leaves to the next one, of the same project: give it to each. Not for several threads at once.

    It holds statements without errors whose text, source's schema and functions are what they were, and only those that the last
    compilation met, so it is never larger than the files.
    """

    def __init__(self) -> None:
        self.fields: dict[str, SourceFields] = {}
        self.udfs: Mapping[str, Signature] = {}
        # The files of Python functions that could be run last.
        self.runnable: dict[str, str] | None = None
        self._known: dict[str, tuple[int, Lowered]] = {}
        self._met: dict[str, tuple[int, Lowered]] = {}

    def begin(self, sources: Mapping[str, SourceSchema], udfs: Mapping[str, Signature]) -> None:
        """Begins a compilation over these sources and functions by name; what read or called one that changed is forgotten."""
        if _types(udfs) != _types(self.udfs):
            self._known = {text: one for text, one in self._known.items() if not one[1].calls_udfs}
        self.udfs = udfs
        kept = {name: one for name, one in self.fields.items() if sources.get(name) == one.schema}
        self._known = {text: one for text, one in self._known.items() if one[1].rule and one[1].rule.source in kept}
        self.fields = {name: kept.get(name) or SourceFields(schema) for name, schema in sources.items()}
        self._met = {}

    def end(self) -> None:
        """Ends the compilation; what it did not meet is forgotten."""
        self._known, self._met = self._met, {}

    def get(self, piece: Piece) -> tuple[int, Lowered] | None:
        """The one statement of a piece and how much further on it stands than when it was lowered; None where it is not known."""
        known = self._known.get(piece.text) if piece.whole else None
        if known is None:
            return None
        self._met[piece.text] = known
        return piece.start - known[0], known[1]

    def put(self, piece: Piece, lowered: Lowered) -> None:
        """Keeps the one statement of a piece, if the next compilation may take it as it is."""
        if piece.whole and lowered.rule is not None:
            self._met[piece.text] = piece.start, lowered


def _types(udfs: Mapping[str, Signature]) -> dict[str, Signature]:
    """Functions without their places in files."""
    return {name: msgspec.structs.replace(one, file="", line=0) for name, one in udfs.items()}
