"""All rooms in one process: what `headwater up` runs."""

from headwater.embedded.process import Embedded, Part
from headwater.embedded.server import serve

__all__ = ["Embedded", "Part", "serve"]
