"""A bar for what takes long: on a terminal, on standard error, and nothing elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress(what: str, quiet: bool, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives what is called with how much is done, of ``total``; None: nobody knows how much there is."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


class Objects:
    """Counts objects as they are read, and names the last one."""

    def __init__(self, show: Callable[[int, str], None]) -> None:
        self.count = 0
        self._show = show

    def __call__(self, shard: str, name: str) -> None:
        """The object is read next."""
        self.count += 1
        self._show(self.count, name)


@contextlib.contextmanager
def objects(what: str, quiet: bool) -> Iterator[Objects]:
    """A line on a terminal that says how many objects were read, of which nobody knows how many there are."""
    console = Console(stderr=True)
    columns = (TextColumn(what), TextColumn("{task.completed:,} objects"), TextColumn("{task.fields[name]}", style="dim"))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None, name="")
        yield Objects(lambda count, name: bar.update(task, completed=count, name=name))
