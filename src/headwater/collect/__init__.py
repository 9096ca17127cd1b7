"""The collector: takes events over HTTP, checks them against the plan, appends them to the log, and only then answers."""

from headwater.collect.connection import HttpConnection
from headwater.collect.server import Collector

__all__ = ["Collector", "HttpConnection"]
