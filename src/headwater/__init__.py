"""Headwater: the event-tracking data stream as one piece of software."""

__version__ = "0.1.0"
