"""The functions of rules, one noun a file. A new file is one line in the list below."""

from headwater.rules.functions import hash, list, null, number, pattern, text, timestamp
from headwater.rules.functions.declaration import Function, Signature

__all__ = ["FUNCTIONS", "Function", "Signature"]

_NOUNS = (text, pattern, list, number, hash, timestamp, null)

FUNCTIONS: dict[str, Function] = {one.name: one for noun in _NOUNS for one in noun.FUNCTIONS}
