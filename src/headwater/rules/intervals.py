"""INTERVAL literals: what they may say, as months and microseconds. A day is 24 hours: times are in UTC."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from headwater.kernel.functions.timestamps import DAY, INTERVAL_MICROS_MAX, INTERVAL_MONTHS_MAX, MONTHS, UNITS, WEEK
from headwater.rules.findings import closest_name

# A month counts as so many days where intervals are compared.
MONTH_DAYS = 30
# Other names of parts and units, all of them DuckDB's.
_OTHER_NAMES = {
    "microsecond": "microseconds us usec usecs usecond useconds",
    "millisecond": "milliseconds ms msec msecs msecond mseconds",
    "second": "seconds s sec secs",
    "minute": "minutes m min mins",
    "hour": "hours h hr hrs",
    "day": "days d dayofmonth",
    "week": "weeks w weekofyear",
    "month": "months mon mons",
    "quarter": "quarters",
    "year": "years y yr yrs",
    "decade": "decades dec decs",
    "century": "centuries c cent",
    "millennium": "millennia mil mils millenium",
    "dow": "dayofweek weekday",
    "doy": "dayofyear",
    "isodow": "",
    "isoyear": "",
    "yearweek": "",
}
PART_NAMES = {name: part for part, names in _OTHER_NAMES.items() for name in (part, *names.split())}
_UNITS = (*UNITS, "week", *MONTHS)
# The units that stand behind a number or a text as a word: whole names only.
UNIT_WORDS = {name: part for name, part in PART_NAMES.items() if part in _UNITS and name in (part, _OTHER_NAMES[part].split()[0])}
_QUANTITY = re.compile(r"[ \t\n]*(-?[0-9]+)[ \t\n]*([A-Za-z]+)")
_CLOCK = re.compile(r"[ \t\n]*(-?)([0-9]{1,9}):([0-5]?[0-9])(?::([0-5]?[0-9])(?:\.([0-9]{1,6}))?)?[ \t\n]*\Z")
_NUMBER = re.compile(r"[ \t\n]*(-?)([0-9]{1,15})(?:\.([0-9]{1,9}))?[ \t\n]*")
_VALID = "valid are texts such as '5 minutes', '1 day 12 hours' and '01:30:00'"


class Interval(NamedTuple):
    """A span of time: whole months, and microseconds."""

    months: int
    micros: int

    def compared(self) -> int:
        """The microseconds that it counts as where intervals are compared."""
        return self.months * MONTH_DAYS * DAY + self.micros


class IntervalError(Exception):
    """What is written is no INTERVAL; ``hint`` says what is valid."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _checked(months: int, micros: int) -> Interval:
    if abs(months) > INTERVAL_MONTHS_MAX or abs(micros) > INTERVAL_MICROS_MAX:
        raise IntervalError("the INTERVAL is longer than all TIMESTAMPs: 9,999 years", "write a shorter one")
    return Interval(months, micros)


def _of(unit: str, count: int) -> tuple[int, int]:
    if unit in MONTHS:
        return count * MONTHS[unit], 0
    return 0, count * (WEEK if unit == "week" else UNITS[unit])


def interval_of(number: str, unit: str) -> Interval:
    """What ``INTERVAL number unit`` means; the number may have been written as a text. Raises IntervalError."""
    found = _NUMBER.fullmatch(number)
    if not found:
        raise IntervalError(f"{number.strip()[:40]!r} is no number of units", "write a whole number of at most 15 digits")
    sign, whole, part = found.groups()
    count = Fraction(f"{sign}{whole}.{part or 0}")
    months, micros = (value * (count if unit in ("second", "millisecond") else 1) for value in _of(unit, 1))
    if unit not in ("second", "millisecond"):
        if count.denominator != 1:
            # DuckDB takes INTERVAL 1.5 HOUR for one hour.
            raise IntervalError(f"an INTERVAL has a whole number of {unit}s", "write it in a smaller unit")
        months, micros = months * count, micros * count
    if Fraction(micros).denominator != 1:
        raise IntervalError("an INTERVAL is whole microseconds", "write fewer digits")
    return _checked(int(months), int(micros))


def interval_of_text(text: str) -> Interval:
    """What ``INTERVAL 'text'`` means: quantities such as ``1 day 2 hours``, and then a clock such as ``01:30:00``.

    Raises IntervalError.
    """
    months = micros = at = 0
    while found := _QUANTITY.match(text, at):
        unit = PART_NAMES.get(found[2].lower())
        if unit not in _UNITS:
            close = closest_name(found[2], UNIT_WORDS)
            hint = f"did you mean `{close}`?" if close else f"the units are {', '.join(_UNITS)}"
            raise IntervalError(f"`{found[2]}` is no unit of an INTERVAL", hint)
        if len(found[1]) > 20:
            return _checked(INTERVAL_MONTHS_MAX + 1, 0)
        more = _of(unit, int(found[1]))
        months, micros, at = months + more[0], micros + more[1], found.end()
    clock = _CLOCK.match(text, at)
    if clock:
        hour, minute, second = (int(clock[group] or 0) for group in (2, 3, 4))
        time = ((hour * 60 + minute) * 60 + second) * UNITS["second"] + int((clock[5] or "").ljust(6, "0"))
        micros += -time if clock[1] else time
    elif text[at:].strip(" \t\n") or not at:
        shown = " ".join(text.split())[:40]
        raise IntervalError(f"'{shown}' is no INTERVAL", _VALID)
    return _checked(months, micros)
