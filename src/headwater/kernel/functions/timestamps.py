"""Functions of TIMESTAMP: µs since 1970, UTC, from the year 1 to the year 9999. Arguments are not NULL; Failed says no result."""

from __future__ import annotations

import calendar
import datetime
import math
from collections.abc import Callable
from functools import lru_cache

from headwater.kernel.functions.casts import MICROSECOND, UNIX_EPOCH, timestamp
from headwater.kernel.functions.numbers import Failed, int_div

MILLISECOND, SECOND, MINUTE, HOUR, DAY = 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
WEEK = 7 * DAY
# The calendar repeats after 400 years of so many days.
CYCLE_YEARS, CYCLE_MICROS = 400, 146_097 * DAY
# Buckets of whole months are counted from 2000-01-01, the others from Monday, 2000-01-03.
BUCKET_ORIGIN_MONTH = 2000 * 12
BUCKET_ORIGIN = 946_857_600 * SECOND
# What an interval may hold: more leads out of every timestamp's range.
INTERVAL_MONTHS_MAX, INTERVAL_MICROS_MAX = 12 * 9999, 3_652_059 * DAY
INT32_MAX = 2**31 - 1


def _moment(value: int) -> datetime.datetime:
    return UNIX_EPOCH + value * MICROSECOND


def _micros(moment: datetime.datetime) -> int:
    return (moment - UNIX_EPOCH) // MICROSECOND


def _first_of_month(months: int) -> int:
    """Midnight of the first day of a month counted from the year 0; years outside 1 to 9999 too."""
    year, month = divmod(months, 12)
    cycles, year = divmod(year - 1, CYCLE_YEARS)
    return _micros(datetime.datetime(year + 1, month + 1, 1)) + cycles * CYCLE_MICROS


def _month_number(moment: datetime.datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _sunday_0(moment: datetime.datetime) -> int:
    return moment.isoweekday() % 7


def _doy(moment: datetime.datetime) -> int:
    return moment.timetuple().tm_yday


PARTS: dict[str, Callable[[datetime.datetime], int]] = {
    "microsecond": lambda moment: moment.second * SECOND + moment.microsecond,
    "millisecond": lambda moment: moment.second * 1000 + moment.microsecond // 1000,
    "second": lambda moment: moment.second,
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "dow": _sunday_0,
    "isodow": lambda moment: moment.isoweekday(),
    "doy": _doy,
    "week": lambda moment: moment.isocalendar().week,
    "month": lambda moment: moment.month,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "year": lambda moment: moment.year,
    "isoyear": lambda moment: moment.isocalendar().year,
    "yearweek": lambda moment: moment.isocalendar().year * 100 + moment.isocalendar().week,
    "decade": lambda moment: moment.year // 10,
    "century": lambda moment: (moment.year + 99) // 100,
    "millennium": lambda moment: (moment.year + 999) // 1000,
}
# What a timestamp can be cut to, and differences are counted in: of equal length, of months, and by the ISO calendar.
UNITS = {
    "microsecond": 1, "millisecond": MILLISECOND, "second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY,
}  # fmt: skip
MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12_000}
TRUNCATIONS = (*UNITS, "week", *MONTHS, "isoyear")


def date_part(part: str, value: int) -> int:
    """A part of the date or the time."""
    return PARTS[part](_moment(value))


def date_trunc(part: str, value: int) -> int:
    """The start of the period that the timestamp is in. Raises Failed where that is before the year 1."""
    return timestamp(_start(part, value))


def _start(part: str, value: int) -> int:
    if part in UNITS:
        return value - value % UNITS[part]
    moment = _moment(value)
    if part == "week":
        return value - value % DAY - moment.weekday() * DAY
    if part == "isoyear":
        return _micros(datetime.datetime.fromisocalendar(moment.isocalendar().year, 1, 1))
    months = _month_number(moment)
    return _first_of_month(months - months % MONTHS[part])


def date_diff(part: str, start: int, end: int) -> int:
    """How many times a period of this kind begins between two timestamps; below 0 where the second is the earlier one.

    Weeks are seven days from the day of the first timestamp on.
    """
    if part in UNITS:
        return end // UNITS[part] - start // UNITS[part]
    if part == "week":
        return int_div(end // DAY - start // DAY, 7)
    if part == "isoyear":
        return PARTS["isoyear"](_moment(end)) - PARTS["isoyear"](_moment(start))
    return _month_number(_moment(end)) // MONTHS[part] - _month_number(_moment(start)) // MONTHS[part]


def date_sub(part: str, start: int, end: int) -> int:
    """How many whole periods of this kind lie between two timestamps; below 0 where the second is the earlier one."""
    if part in MONTHS:
        return int_div(_whole_months(start, end), MONTHS[part])
    return int_div(end - start, WEEK if part == "week" else UNITS[part])


def _whole_months(start: int, end: int) -> int:
    if start > end:
        return -_whole_months(end, start)
    first, last = _moment(start), _moment(end)
    # The last day of a month stands for all the days that this month lacks.
    last_day = calendar.monthrange(last.year, last.month)[1]
    day = min(first.day, last_day) if last.day == last_day else first.day
    begun = (last.day, end % DAY) < (day, start % DAY)
    return _month_number(last) - _month_number(first) - begun


def add_interval(value: int, months: int, micros: int) -> int:
    """A number of months later, on the last day of that month where it has no such day, and then so many µs."""
    if months:
        moment = _moment(value)
        number = _month_number(moment) + months
        length = (_first_of_month(number + 1) - _first_of_month(number)) // DAY
        value = _first_of_month(number) + (min(moment.day, length) - 1) * DAY + value % DAY
    return timestamp(value + micros)


def time_bucket(months: int, micros: int, value: int) -> int:
    """The start of the bucket, so many months or µs wide, that the timestamp is in. Raises Failed where that is out of range."""
    if months:
        number = _month_number(_moment(value))
        return timestamp(_first_of_month(number - (number - BUCKET_ORIGIN_MONTH) % months))
    return timestamp(value - (value - BUCKET_ORIGIN) % micros)


def epoch(value: int) -> float:
    """Seconds since 1970."""
    return float(value) / SECOND


def epoch_ms(value: int) -> int:
    """Milliseconds since 1970, halves rounded away from zero."""
    return (abs(value) + 500) // 1000 * (-1 if value < 0 else 1)


def from_epoch_ms(value: int) -> int:
    """The timestamp so many milliseconds after 1970. Raises Failed out of range."""
    return timestamp(value * 1000)


def make_timestamp(year: int, month: int, day: int, hour: int, minute: int, second: float) -> int:
    """The timestamp with these parts, the second with a fraction of µs. Raises Failed where there is none."""
    if not abs(second) <= INT32_MAX:
        raise Failed
    whole = math.trunc(second)
    micros = _rounded((second - whole) * SECOND)
    # DuckDB rounds the second before it asks whether there is one, but not for what it makes of it.
    valid = 0 <= minute < 60 and whole >= 0 and second <= 60.5 and 0 <= micros <= SECOND
    time = ((hour * 60 + minute) * 60 + whole) * SECOND + micros
    # 24:00:00 of the last day of the year 0 is in range.
    if not (valid and 0 <= hour <= 24 and time <= DAY and 0 <= year <= 9999 and 1 <= month <= 12):
        raise Failed
    number = year * 12 + month - 1
    first, following = _first_of_month(number), _first_of_month(number + 1)
    if not 1 <= day <= (following - first) // DAY:
        raise Failed
    return timestamp(first + (day - 1) * DAY + time)


def _rounded(value: float) -> int:
    """Halves away from zero."""
    return math.floor(abs(value) + 0.5) * (-1 if value < 0 else 1)


DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _hour_12(moment: datetime.datetime) -> int:
    return (moment.hour + 11) % 12 + 1


SPECIFIERS: dict[str, Callable[[datetime.datetime], str]] = {
    "a": lambda moment: DAY_NAMES[_sunday_0(moment)][:3],
    "A": lambda moment: DAY_NAMES[_sunday_0(moment)],
    "b": lambda moment: MONTH_NAMES[moment.month - 1][:3],
    "B": lambda moment: MONTH_NAMES[moment.month - 1],
    "c": lambda moment: strftime_moment(moment, "%Y-%m-%d %H:%M:%S"),
    "d": lambda moment: f"{moment.day:02}",
    "-d": lambda moment: f"{moment.day}",
    "f": lambda moment: f"{moment.microsecond:06}",
    "g": lambda moment: f"{moment.microsecond // 1000:03}",
    "G": lambda moment: f"{moment.isocalendar().year:04}",
    "H": lambda moment: f"{moment.hour:02}",
    "-H": lambda moment: f"{moment.hour}",
    "I": lambda moment: f"{_hour_12(moment):02}",
    "-I": lambda moment: f"{_hour_12(moment)}",
    "j": lambda moment: f"{_doy(moment):03}",
    "-j": lambda moment: f"{_doy(moment)}",
    "m": lambda moment: f"{moment.month:02}",
    "-m": lambda moment: f"{moment.month}",
    "M": lambda moment: f"{moment.minute:02}",
    "-M": lambda moment: f"{moment.minute}",
    "p": lambda moment: "AM" if moment.hour < 12 else "PM",
    "S": lambda moment: f"{moment.second:02}",
    "-S": lambda moment: f"{moment.second}",
    "T": lambda moment: strftime_moment(moment, "%H:%M:%S"),
    "u": lambda moment: f"{moment.isoweekday()}",
    "U": lambda moment: f"{(_doy(moment) + 6 - _sunday_0(moment)) // 7:02}",
    "V": lambda moment: f"{moment.isocalendar().week:02}",
    "w": lambda moment: f"{_sunday_0(moment)}",
    "W": lambda moment: f"{(_doy(moment) + 6 - moment.weekday()) // 7:02}",
    "x": lambda moment: strftime_moment(moment, "%Y-%m-%d"),
    "X": lambda moment: strftime_moment(moment, "%H:%M:%S"),
    "y": lambda moment: f"{moment.year % 100:02}",
    "-y": lambda moment: f"{moment.year % 100}",
    "Y": lambda moment: f"{moment.year:04}",
    "z": lambda moment: "+00",
    "Z": lambda moment: "",
    "%": lambda moment: "%",
}


@lru_cache(maxsize=4096)
def time_format(text: str) -> tuple[tuple[str, str], ...]:
    """The pieces of a format, (text before, specifier), the last without one. Raises ValueError for one that is not known."""
    pieces = []
    at = 0
    while (found := text.find("%", at)) >= 0:
        end = found + (3 if text[found + 1 : found + 2] == "-" else 2)
        specifier = text[found + 1 : end]
        if specifier not in SPECIFIERS:
            shown = f"%{specifier}" if specifier else "a single % at its end"
            raise ValueError(f"the format {text!r} has {shown}; known are {', '.join(f'%{one}' for one in SPECIFIERS)}")
        pieces.append((text[at:found], specifier))
        at = end
    if not text:
        raise ValueError("the format is empty")
    return (*pieces, (text[at:], ""))


def strftime_moment(moment: datetime.datetime, text: str) -> str:
    """A moment by a format."""
    return "".join(before + (SPECIFIERS[name](moment) if name else "") for before, name in time_format(text))


def strftime(value: int, text: str) -> str:
    """A timestamp by a format."""
    return strftime_moment(_moment(value), text)
