"""The status page: what runs, what came in, where it went, and whether it all adds up."""

from headwater.console.app import PATHS, StatusPage
from headwater.console.view import snapshot_view

__all__ = ["PATHS", "StatusPage", "snapshot_view"]
