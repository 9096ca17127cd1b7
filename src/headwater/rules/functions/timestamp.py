"""Functions of times."""

from __future__ import annotations

from headwater.kernel.functions.timestamps import PARTS, TRUNCATIONS
from headwater.rules import times
from headwater.rules.functions.declaration import FORMAT, PART, Function, Signature

_OF_TIMESTAMP = (Signature(("TIMESTAMP",), "BIGINT"),)
_BETWEEN = (Signature((PART, "TIMESTAMP", "TIMESTAMP"), "BIGINT"),)
_NAME = (Signature(("TIMESTAMP",), "VARCHAR"),)


def _part(name: str, doc: str, example: str, *instead_of: str, part: str | None = None) -> Function:
    return Function(name, _OF_TIMESTAMP, doc, example, instead_of, times.lower_part(part or name))


FUNCTIONS = (
    Function(
        "epoch_ms",
        (Signature(("BIGINT",), "TIMESTAMP"), Signature(("TIMESTAMP",), "BIGINT"), Signature(("INTERVAL",), "BIGINT")),
        "Milliseconds since 1970 as a TIMESTAMP, or a TIMESTAMP as these, rounded; the milliseconds between two, cut off.",
        "epoch_ms(event_time)",
        ("to_timestamp_ms", "from_unixtime_ms", "to_timestamp"),
        times.lower_epoch_ms,
    ),
    Function(
        "epoch",
        (Signature(("TIMESTAMP",), "DOUBLE"), Signature(("INTERVAL",), "DOUBLE")),
        "Seconds since 1970, or between two TIMESTAMPs.",
        "epoch(properties.started)",
        ("unix_timestamp",),
        times.lower_epoch,
    ),
    Function(
        "epoch_us",
        (Signature(("TIMESTAMP",), "BIGINT"), Signature(("INTERVAL",), "BIGINT")),
        "Microseconds since 1970, or between two TIMESTAMPs.",
        "epoch_us(properties.started)",
        ("epoch_ns",),
        times.lower_epoch_us,
    ),
    Function(
        "make_timestamp",
        (Signature(("BIGINT",), "TIMESTAMP"), Signature((*["BIGINT"] * 5, "DOUBLE"), "TIMESTAMP")),
        "The TIMESTAMP so many microseconds after 1970; or of a year, month, day, hour, minute and second.",
        "make_timestamp(year(properties.started), 1, 1, 0, 0, 0)",
        ("make_date", "timestamp_micros"),
    ),
    Function(
        "date_trunc",
        (Signature((PART, "TIMESTAMP"), "TIMESTAMP"),),
        "The start of the hour, day, week (Monday), month … that the TIMESTAMP is in.",
        "date_trunc('hour', epoch_ms(event_time))",
        ("datetrunc", "trunc_date", "to_date", "date"),
        times.lower_with_part("date_trunc", TRUNCATIONS),
    ),
    Function(
        "time_bucket",
        (Signature(("INTERVAL", "TIMESTAMP"), "TIMESTAMP"),),
        "The start of the bucket of this width that the TIMESTAMP is in.",
        "time_bucket(INTERVAL 5 MINUTE, epoch_ms(event_time))",
        ("date_bin",),
        times.lower_time_bucket,
    ),
    Function(
        "date_part",
        (Signature((PART, "TIMESTAMP"), "BIGINT"),),
        "A part of the TIMESTAMP; the same as `extract(part FROM …)`. `'epoch'` gives DOUBLE.",
        "date_part('isoyear', properties.started)",
        ("datepart",),
        times.lower_with_part("date_part", PARTS),
    ),
    Function(
        "date_diff",
        _BETWEEN,
        "How many times such a period begins between two TIMESTAMPs; weeks are seven days from the first day on.",
        "date_diff('day', properties.started, epoch_ms(event_time))",
        ("datediff", "timestampdiff", "timestamp_diff"),
        times.lower_with_part("date_diff", TRUNCATIONS),
    ),
    Function(
        "date_sub",
        _BETWEEN,
        "How many whole periods lie between two TIMESTAMPs.",
        "date_sub('hour', properties.started, epoch_ms(event_time))",
        ("datesub", "months_between"),
        times.lower_with_part("date_sub", [part for part in TRUNCATIONS if part != "isoyear"]),
    ),
    Function(
        "strftime",
        (Signature(("TIMESTAMP", FORMAT), "VARCHAR"), Signature((FORMAT, "TIMESTAMP"), "VARCHAR")),
        "The TIMESTAMP as text, by a literal format.",
        "strftime(epoch_ms(event_time), '%Y-%m-%d')",
        ("date_format", "to_char", "format_datetime"),
        times.lower_strftime,
    ),
    _part("year", "The year.", "year(properties.started)"),
    _part("quarter", "The quarter, 1 to 4.", "quarter(properties.started)"),
    _part("month", "The month, 1 to 12.", "month(properties.started)"),
    _part("week", "The week of the ISO calendar, 1 to 53.", "week(properties.started)", "weekofyear", "isoweek"),
    _part("day", "The day of the month.", "day(properties.started)", "dayofmonth", "day_of_month"),
    _part("dayofyear", "The day of the year, 1 to 366.", "dayofyear(properties.started)", "day_of_year", part="doy"),
    _part(
        "dayofweek",
        "The day of the week: Sunday is 0, Saturday 6.",
        "dayofweek(properties.started)",
        "weekday",
        "day_of_week",
        part="dow",
    ),
    _part("isodow", "The day of the week: Monday is 1, Sunday 7.", "isodow(properties.started)"),
    _part("hour", "The hour, 0 to 23.", "hour(epoch_ms(event_time))"),
    _part("minute", "The minute, 0 to 59.", "minute(epoch_ms(event_time))"),
    _part("second", "The second, 0 to 59.", "second(epoch_ms(event_time))"),
    _part("millisecond", "The second and its fraction in milliseconds, 0 to 59999.", "millisecond(epoch_ms(event_time))"),
    _part("microsecond", "The second and its fraction in microseconds.", "microsecond(properties.started)"),
    Function("dayname", _NAME, "`Monday` to `Sunday`.", "dayname(properties.started)", (), times.lower_format("%A")),
    Function("monthname", _NAME, "`January` to `December`.", "monthname(properties.started)", (), times.lower_format("%B")),
)
