"""The figures of all key classes as they are in the log, for processes that run no worker."""

from __future__ import annotations

from typing import Any

from headwater.etl.figures import Figures, sources, total
from headwater.etl.kernel_counts import KernelCounts
from headwater.etl.worker import lag
from headwater.log.interface import Log


def committed_figures(log: Log, classes: int, source: str) -> dict[str, Any]:
    """As `Workers.figures`, of all workers of the log together, but for what only the workers themselves know.

    ``source`` is the topic that the collectors feed.
    """
    topics = (*{*sources(log.state, classes), source},)
    return total([Figures(log.state, number).view() for number in range(classes)]) | {
        "kernel": KernelCounts().view(),
        "snapshot": None,
        "classes": [],
        "lag": sum(lag(log, topics, number, classes) for number in range(classes)),
        "ids_forgotten": 0,
        "functions": {},
        "errors": [],
    }
