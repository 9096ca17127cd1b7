"""Statements as they were lowered before, by their text: an edit of ten rules among ten thousand lowers ten."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.core.dataset import SourceSchema
from headwater.rules.fields import SourceFields
from headwater.rules.lowered import Lowered
from headwater.rules.statements import Piece


class Cache:
    """What one compilation leaves to the next one, of the same project: give it to each. Not for several threads at once.

    It holds statements without errors whose text and whose source's schema are what they were, and only those that the last
    compilation met, so it is never larger than the files.
    """

    def __init__(self) -> None:
        self.fields: dict[str, SourceFields] = {}
        self._known: dict[str, tuple[int, Lowered]] = {}
        self._met: dict[str, tuple[int, Lowered]] = {}

    def begin(self, sources: Mapping[str, SourceSchema]) -> None:
        """Begins a compilation over these sources; what read one that changed is forgotten."""
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
