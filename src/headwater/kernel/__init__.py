"""The kernel: batches of events in, batches of rows out. The only room that imports the native module."""

from headwater.kernel._native import __version__, payload_lines, record_delays

__all__ = ["__version__", "payload_lines", "record_delays"]
