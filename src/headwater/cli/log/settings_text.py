"""Durations and sizes of topics' settings, as people write and read them."""

from __future__ import annotations

import re

import typer

from headwater.log.topics import TopicSettings

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_NUMBER_UNIT = re.compile(r"(\d+)\s*([A-Za-z]+)")


def milliseconds(option: str, text: str, none: bool = True) -> int | None:
    """``7d``, ``90m`` …, or None for ``none`` where that is allowed. Raises typer.BadParameter."""
    return _number(option, text, _UNITS_MS, "7d, or none" if none else "100ms", none)


def size(option: str, text: str) -> int | None:
    """``10GiB`` … in bytes, or None for ``none``. Raises typer.BadParameter."""
    return _number(option, text, _UNITS_BYTES, "10GiB, or none", True)


def _number(option: str, text: str, units: dict[str, int], example: str, none: bool) -> int | None:
    if none and text == "none":
        return None
    found = _NUMBER_UNIT.fullmatch(text)
    if found is None or found[2] not in units:
        raise typer.BadParameter(f"{option} takes a number and one of {', '.join(units)}, such as {example}; got {text!r}")
    return int(found[1]) * units[found[2]]


def duration_text(value_ms: int) -> str:
    """In the largest unit that divides it."""
    return _text(value_ms, _UNITS_MS)


def size_text(value_bytes: int) -> str:
    """In the largest unit that divides it."""
    return _text(value_bytes, _UNITS_BYTES)


def _text(value: int, units: dict[str, int]) -> str:
    name, unit = max(((name, unit) for name, unit in units.items() if value % unit == 0), key=lambda each: each[1])
    return f"{value // unit}{name}"


def described(settings: TopicSettings) -> str:
    """A topic's settings in one line."""
    partitions = f"{settings.partitions} partitions, " if settings.partitions is not None else ""
    synced = f" every {duration_text(settings.interval_ms)}" if settings.durability == "interval" else ""
    kept = [
        *([duration_text(settings.retention_ms)] if settings.retention_ms is not None else ()),
        *([f"{size_text(settings.retention_bytes)} a partition"] if settings.retention_bytes is not None else ()),
    ]
    return f"{partitions}{settings.durability}{synced}, kept {' and '.join(kept) or 'for ever'}"
