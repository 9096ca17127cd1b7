"""Values on their way into a Python function and back: what a column holds, and what may be answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from headwater.core.limits import UDF_VALUE_BYTES_MAX
from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, TIMESTAMP, VARCHAR, DataType, ListOf

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT_END = 2**63
# The first and the last microsecond of the years 1 to 9999.
_TIMESTAMP_MIN, _TIMESTAMP_MAX = -62_135_596_800_000_000, 253_402_300_799_999_999


class WrongResultError(Exception):
    """What a function gave is not what it declares."""


def column(values: list[Any], kind: DataType) -> list[Any]:
    """A column as the function gets it: TIMESTAMP as datetime with the time zone UTC, the rest as it comes."""
    if kind == TIMESTAMP:
        return [None if value is None else _EPOCH + value * _MICROSECOND for value in values]
    if kind == ListOf(TIMESTAMP):
        return [None if value is None else column(value, TIMESTAMP) for value in values]
    return values


def answers(values: Sequence[Any], kind: DataType, null: bool, failed: Callable[[WrongResultError], Any]) -> list[Any]:
    """What the function gave, as the kernel reads it; in place of a value that is wrong, what ``failed`` makes of it."""
    if _is_plain(values, kind, null):
        return list(values)
    found = []
    for value in values:
        try:
            found.append(_answer(value, kind, null))
        except WrongResultError as error:
            found.append(failed(error))
    return found


def _is_plain(values: Sequence[Any], kind: DataType, null: bool) -> bool:
    """Whether all values are such that nothing has to be looked at one by one."""
    types = set(map(type, values))
    if null:
        types.discard(type(None))
    return (kind == DOUBLE and types <= {float}) or (kind == BOOLEAN and types <= {bool})


def _answer(value: Any, kind: DataType, null: bool) -> Any:
    if value is None:
        if null:
            return None
        raise WrongResultError(f"it gave None; a function that may do so is annotated -> list[{python_type(kind)} | None]")
    if isinstance(kind, ListOf):
        if not isinstance(value, list | tuple):
            raise _unlike(value, kind)
        return [_answer(item, kind.item, True) for item in value]
    return _SCALARS[str(kind)](value)


def _bigint(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unlike(value, BIGINT)
    if not -_BIGINT_END <= value < _BIGINT_END:
        raise WrongResultError("it gave an int that is outside BIGINT")
    return int(value)


def _double(value: Any) -> float:
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise _unlike(value, DOUBLE)
    try:
        return float(value)
    except OverflowError:
        raise WrongResultError("it gave an int that is outside DOUBLE") from None


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _unlike(value, BOOLEAN)


def _varchar(value: Any) -> str:
    if not isinstance(value, str):
        raise _unlike(value, VARCHAR)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise WrongResultError("it gave a str with a lone surrogate, which is no VARCHAR") from None
    if size > UDF_VALUE_BYTES_MAX:
        raise WrongResultError(f"it gave a str of {size} bytes; at most {UDF_VALUE_BYTES_MAX} are taken")
    return str(value)


def _timestamp(value: Any) -> int:
    if not isinstance(value, datetime):
        raise _unlike(value, TIMESTAMP)
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    micros = (aware - _EPOCH) // _MICROSECOND
    if not _TIMESTAMP_MIN <= micros <= _TIMESTAMP_MAX:
        raise WrongResultError("it gave a datetime that is outside TIMESTAMP")
    return micros


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "BIGINT": _bigint,
    "DOUBLE": _double,
    "BOOLEAN": _boolean,
    "VARCHAR": _varchar,
    "TIMESTAMP": _timestamp,
}


def python_type(kind: DataType) -> str:
    """How one value of a type is annotated."""
    if isinstance(kind, ListOf):
        return f"list[{python_type(kind.item)}]"
    return {"BIGINT": "int", "DOUBLE": "float", "BOOLEAN": "bool", "VARCHAR": "str", "TIMESTAMP": "datetime"}[str(kind)]


def _unlike(value: Any, kind: DataType) -> WrongResultError:
    name = type(value).__qualname__
    module = type(value).__module__
    shown = name if module == "builtins" else f"{module}.{name}"
    return WrongResultError(f"it gave {shown}, not {python_type(kind)}")
