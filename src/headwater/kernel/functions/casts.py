"""What `cast` accepts and gives, in plain Python: the section "Casts" of `docs/formats/physical-rule.md`.

Every function takes a value that is not NULL and raises Failed where the cast is not possible.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from headwater.kernel.functions.numbers import BIGINT_MAX, BIGINT_MIN, Failed, bigint

WS = r"[ \t\n\v\f\r]*"
DIGITS = r"[0-9](?:_?[0-9])*"
DECIMAL = rf"(?:(?P<whole>{DIGITS})(?:\.(?P<part>{DIGITS})?)?|\.(?P<only>{DIGITS}))"
INTEGER = re.compile(rf"{WS}(?P<sign>[+-]?){DECIMAL}(?:[eE](?P<exponent>[+-]?{DIGITS})\.?)?{WS}\Z")
HEXADECIMAL = re.compile(rf"{WS}0[xX](?P<digits>[0-9a-fA-F](?:_?[0-9a-fA-F])*)\Z")
BINARY = re.compile(rf"{WS}0[bB](?P<digits>[01](?:_?[01])*)\Z")
REAL = re.compile(rf"{WS}\+?(?P<number>-?{DECIMAL}(?:[eE][+-]?{DIGITS})?){WS}\Z")
REAL_WORD = re.compile(rf"{WS}\+?(?P<sign>-?)(?P<word>inf(?:inity)?|nan(?:\([A-Za-z0-9_]*\))?){WS}\Z", re.IGNORECASE | re.ASCII)
EXPONENT_MAX = 32767
TRUE_TEXTS = {"true", "t", "yes", "y", "1"}
FALSE_TEXTS = {"false", "f", "no", "n", "0"}

EPOCH = re.compile(rf"{WS}-?epoch{WS}\Z", re.IGNORECASE | re.ASCII)
DATE = re.compile(rf"{WS}(?P<year>[0-9]+)(?P<sep>[ \-/\\])(?P<month>[0-9]{{1,2}})(?P=sep)(?P<day>[0-9]{{1,2}})(?![0-9])")
SECOND = r"(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]*))?"
TIME = re.compile(rf"[ T]?{WS}(?P<hour>[0-9]{{1,9}}):(?:(?P<minute>[0-9]{{1,2}})(?::(?:{SECOND})?)?)?")
ZONE = re.compile(rf"(?:Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?|[+-][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}| [A-Za-z0-9_/+:\-]*){WS}\Z|\Z")
ISO_8601 = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<offset_hour>[0-9]{2})(?::?(?P<offset_minute>[0-9]{2}))?)?)?\Z"
)
UNIX_EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
TIMESTAMP_MIN = -62_135_596_800_000_000
TIMESTAMP_MAX = 253_402_300_799_999_999


def text_to_bigint(text: str) -> int:
    """VARCHAR → BIGINT."""
    if found := HEXADECIMAL.match(text):
        return bigint(int(found["digits"].replace("_", ""), 16))
    if found := BINARY.match(text):
        return bigint(int(found["digits"].replace("_", ""), 2))
    found = INTEGER.match(text)
    if not found:
        raise Failed
    whole = significant(found["whole"])
    part = (found["part"] or found["only"] or "").replace("_", "")
    exponent = small(found["exponent"] or "0")
    negative = found["sign"] == "-"
    if len(whole) > 19 or int(whole) > (-BIGINT_MIN if negative else BIGINT_MAX):
        raise Failed
    digits = (whole + part).lstrip("0")
    scale = exponent - len(part)
    if not digits or len(digits) + scale < 0:
        return 0
    if len(digits) + scale > 20:
        raise Failed
    if scale >= 0:
        rounded = int(digits) * 10**scale
    else:
        # The digits behind the point only say whether to round up, and the first of them tells.
        padded = digits.rjust(1 - scale, "0")
        rounded = int(padded[:scale]) + (padded[scale] >= "5")
    return bigint(-rounded if negative else rounded)


def significant(digits: str | None) -> str:
    """Digits without underscores and leading zeros."""
    return (digits or "0").replace("_", "").lstrip("0") or "0"


def small(exponent: str) -> int:
    """The exponent of a number. Raises Failed outside 16 bits."""
    sign = -1 if exponent[0] == "-" else 1
    digits = significant(exponent.lstrip("+-"))
    value = sign * int(digits) if len(digits) < 7 else EXPONENT_MAX + 1
    if not -EXPONENT_MAX - 1 <= value <= EXPONENT_MAX:
        raise Failed
    return value


def text_to_double(text: str) -> float:
    """VARCHAR → DOUBLE."""
    if found := REAL.match(text):
        return float(found["number"].replace("_", ""))
    if found := REAL_WORD.match(text):
        return float(found["sign"] + found["word"].partition("(")[0])
    raise Failed


def text_to_boolean(text: str) -> bool:
    """VARCHAR → BOOLEAN."""
    if text.isascii() and text.lower() in TRUE_TEXTS:
        return True
    if text.isascii() and text.lower() in FALSE_TEXTS:
        return False
    raise Failed


def micros(year: int, month: int, day: int, seconds: int, fraction: str) -> int:
    """µs since 1970 of a day and a time on it. Raises Failed where the day does not exist or is out of range."""
    try:
        moment = datetime.datetime(year, month, day)
    except ValueError:
        raise Failed from None
    return timestamp((moment - UNIX_EPOCH) // MICROSECOND + seconds * 1_000_000 + int(fraction[:6].ljust(6, "0")))


def timestamp(value: int) -> int:
    """The value, if it is within the range of a TIMESTAMP. Raises Failed."""
    if not TIMESTAMP_MIN <= value <= TIMESTAMP_MAX:
        raise Failed
    return value


def text_to_timestamp(text: str) -> int:
    """VARCHAR → TIMESTAMP: µs since 1970."""
    if EPOCH.match(text):
        return 0
    date = DATE.match(text)
    if not date:
        raise Failed
    year = int(date["year"].lstrip("0")[:6] or "0")
    seconds, fraction = 0, ""
    if date.end() < len(text):
        time = TIME.match(text, date.end())
        if not time or not ZONE.match(text, time.end()):
            raise Failed
        minute, second, fraction = int(time["minute"] or 0), int(time["second"] or 0), time["fraction"] or ""
        seconds = (int(time["hour"]) * 60 + minute) * 60 + second
        if minute > 59 or second > 59 or (seconds, int(fraction[:6] or "0")) > (86400, 0):
            raise Failed
    return micros(year, int(date["month"]), int(date["day"]), seconds, fraction)


def iso_8601(text: str) -> int:
    """A field's text as TIMESTAMP: µs since 1970, the offset applied."""
    found = ISO_8601.match(text)
    if not found:
        raise Failed
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    offset_hour, offset_minute = int(found["offset_hour"] or 0), int(found["offset_minute"] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset_hour > 23 or offset_minute > 59:
        raise Failed
    offset = (offset_hour * 60 + offset_minute) * 60 * (-1 if found["sign"] == "-" else 1)
    date = (int(found["year"]), int(found["month"]), int(found["day"]))
    return timestamp(
        micros(*date, 0, "")
        + (((hour * 60 + minute) * 60 + second) - offset) * 1_000_000
        + int((found["fraction"] or "")[:6].ljust(6, "0"))
    )


def timestamp_text(value: int, between: str, zone: str) -> str:
    """A TIMESTAMP as text, such as ``2026-01-02T03:04:05.5Z`` with ``T`` between and ``Z`` as zone."""
    moment = UNIX_EPOCH + value * MICROSECOND
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment.year:04}-{moment:%m-%d}{between}{moment:%H:%M:%S}{fraction}{zone}"


def double_text(value: float) -> str:
    """DOUBLE → VARCHAR: the fewest digits that read back the same."""
    return float.__repr__(value)


def double_to_bigint(value: float) -> int:
    """DOUBLE → BIGINT: halves to even."""
    if not -(2.0**63) <= value < 2.0**63:
        raise Failed
    return round(value)


def boolean_text(value: bool) -> str:
    """BOOLEAN → VARCHAR."""
    return "true" if value else "false"


def same(value: Any) -> Any:
    """A cast to its own type."""
    return value


SCALAR_CASTS: dict[tuple[str, str], Any] = {
    ("VARCHAR", "BIGINT"): text_to_bigint,
    ("VARCHAR", "DOUBLE"): text_to_double,
    ("VARCHAR", "BOOLEAN"): text_to_boolean,
    ("VARCHAR", "TIMESTAMP"): text_to_timestamp,
    ("BIGINT", "DOUBLE"): float,
    ("BIGINT", "BOOLEAN"): bool,
    ("BIGINT", "VARCHAR"): str,
    ("DOUBLE", "BIGINT"): double_to_bigint,
    ("DOUBLE", "BOOLEAN"): lambda value: value != 0,
    ("DOUBLE", "VARCHAR"): double_text,
    ("BOOLEAN", "BIGINT"): int,
    ("BOOLEAN", "DOUBLE"): float,
    ("BOOLEAN", "VARCHAR"): boolean_text,
    ("TIMESTAMP", "VARCHAR"): lambda value: timestamp_text(value, " ", ""),
} | {(name, name): same for name in ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "JSON")}
