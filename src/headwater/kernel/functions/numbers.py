"""Arithmetic on BIGINT and DOUBLE. Arguments are not NULL; Failed says that there is no result."""

from __future__ import annotations

import math

BIGINT_MAX = 2**63 - 1
BIGINT_MIN = -(2**63)


class Failed(Exception):
    """An operation that has no result for these arguments: overflow, an impossible cast, division by zero."""


def bigint(value: int) -> int:
    """The value, if it fits. Raises Failed."""
    if not BIGINT_MIN <= value <= BIGINT_MAX:
        raise Failed
    return value


def bigint_add(a: int, b: int) -> int:
    """a + b."""
    return bigint(a + b)


def bigint_sub(a: int, b: int) -> int:
    """a − b."""
    return bigint(a - b)


def bigint_mul(a: int, b: int) -> int:
    """a · b."""
    return bigint(a * b)


def int_div(a: int, b: int) -> int:
    """a / b, cut off towards zero."""
    if b == 0:
        raise Failed
    quotient = abs(a) // abs(b)
    return bigint(quotient if (a < 0) == (b < 0) else -quotient)


def bigint_mod(a: int, b: int) -> int:
    """What `int_div` leaves over; it has the sign of a, and fails where `int_div` does."""
    return a - b * int_div(a, b)


def bigint_neg(a: int) -> int:
    """−a."""
    return bigint(-a)


def double_div(a: float, b: float) -> float:
    """a / b as IEEE 754 has it."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def double_mod(a: float, b: float) -> float:
    """The rest of a / b cut off towards zero; it has the sign of a, and is nan where there is none."""
    if math.isinf(a) or b == 0:
        return math.nan
    return math.fmod(a, b)


def double_add(a: float, b: float) -> float:
    """a + b."""
    return float(a) + float(b)


def double_sub(a: float, b: float) -> float:
    """a − b."""
    return float(a) - float(b)


def double_mul(a: float, b: float) -> float:
    """a · b."""
    return float(a) * float(b)


def double_neg(a: float) -> float:
    """−a."""
    return -float(a)
