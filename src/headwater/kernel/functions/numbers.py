"""Arithmetic on BIGINT and DOUBLE. Arguments are not NULL; Failed says that there is no result."""

from __future__ import annotations

import math

BIGINT_MAX = 2**63 - 1
BIGINT_MIN = -(2**63)
# The digits that `round` takes are INTEGER to DuckDB.
INTEGER_MAX = 2**31 - 1
INTEGER_MIN = -(2**31)


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


def bigint_abs(a: int) -> int:
    """a without its sign."""
    return bigint(abs(a))


def double_abs(a: float) -> float:
    """a without its sign."""
    return math.fabs(a)


def bigint_round(a: int, digits: int = 0) -> int:
    """a rounded to `digits` digits behind the point, or before it where that is negative; halves away from zero."""
    if not INTEGER_MIN <= digits <= INTEGER_MAX:
        raise Failed
    if digits >= 0:
        return a
    unit = 10 ** min(-digits, 40)
    rounded = (abs(a) + unit // 2) // unit * unit
    return bigint(-rounded if a < 0 else rounded)


def double_round(a: float, digits: int = 0) -> float:
    """As `bigint_round`, calculated in doubles. What is not finite stays as it is."""
    if not INTEGER_MIN <= digits <= INTEGER_MAX:
        raise Failed
    if not math.isfinite(a):
        return float(a)
    unit = power_of_ten(abs(digits))
    if digits < 0:
        rounded = half_away(double_div(a, unit)) * unit
        return rounded if math.isfinite(rounded) else 0.0
    rounded = double_div(half_away(a * unit), unit)
    return rounded if math.isfinite(rounded) else float(a)


def power_of_ten(power: int) -> float:
    """The nearest double but for two powers: DuckDB's are those of its C library."""
    nearest = float(f"1e{min(power, 400)}")
    return math.nextafter(nearest, math.inf) if power in (23, 210) else nearest


def half_away(a: float) -> float:
    """a rounded to a whole number, halves away from zero."""
    if not math.isfinite(a):
        return a
    part, whole = math.modf(a)
    return whole + math.copysign(1.0, a) if abs(part) >= 0.5 else whole


def double_floor(a: float) -> float:
    """The greatest whole number that is not above a."""
    return math.copysign(float(math.floor(a)), a) if math.isfinite(a) else float(a)


def double_ceil(a: float) -> float:
    """The least whole number that is not below a."""
    return math.copysign(float(math.ceil(a)), a) if math.isfinite(a) else float(a)


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
