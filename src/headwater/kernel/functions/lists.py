"""Functions of lists, which are Python lists in which None is NULL. Arguments are not NULL."""

from __future__ import annotations

from typing import Any


def get(items: list[Any], position: int) -> Any:
    """The item at a position from 1, or from the end where it is negative; NULL outside."""
    index = position - 1 if position > 0 else len(items) + position
    return items[index] if position and 0 <= index < len(items) else None


def part(items: list[Any], begin: int, end: int) -> list[Any]:
    """The items from one position to another, both from 1 or from the end where negative, both included."""
    begin, end = (position + len(items) + 1 if position < 0 else position for position in (begin, end))
    return items[max(begin, 1) - 1 : max(end, 0)]
