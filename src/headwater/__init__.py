"""Headwater: the event-tracking data stream as one piece of software."""

from headwater.core.mark import udf

__all__ = ["__version__", "udf"]

__version__ = "0.1.0"
