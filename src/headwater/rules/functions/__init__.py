"""The functions of rules, one noun a file. A new file is one line in the list below."""

from headwater.rules.functions import null, text, timestamp
from headwater.rules.functions.declaration import Function, Signature

__all__ = ["FUNCTIONS", "Function", "Signature"]

FUNCTIONS: dict[str, Function] = {one.name: one for noun in (text, timestamp, null) for one in noun.FUNCTIONS}
