//! Parts of timestamps, and periods: where they begin, and how many lie between two timestamps.

use super::timestamp::{DAY, SECOND, date_of, days_of, in_range, month_days};

const MILLISECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Buckets of whole months are counted from 2000-01-01, the others from Monday, 2000-01-03.
const BUCKET_ORIGIN_MONTH: i64 = 2000 * 12;
const BUCKET_ORIGIN: i64 = 946_857_600 * SECOND;
/// What an interval may hold: more leads out of every timestamp's range.
pub const INTERVAL_MONTHS_MAX: i64 = 12 * 9999;
pub const INTERVAL_MICROS_MAX: i64 = 3_652_059 * DAY;

macro_rules! parts {
    ($($variant:ident $name:literal)*) => {
        /// A part of a timestamp, or the period that it names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Part { $($variant),* }

        impl Part {
            pub const ALL: &'static [Part] = &[$(Part::$variant),*];

            /// The name in a physical rule.
            pub fn name(self) -> &'static str {
                match self { $(Part::$variant => $name),* }
            }
        }
    };
}

parts! {
    Microsecond "microsecond" Millisecond "millisecond" Second "second" Minute "minute" Hour "hour" Day "day"
    Week "week" Month "month" Quarter "quarter" Year "year" Decade "decade" Century "century" Millennium "millennium"
    IsoYear "isoyear" DayOfWeek "dow" IsoDayOfWeek "isodow" DayOfYear "doy" YearWeek "yearweek"
}

impl Part {
    pub fn from_name(name: &str) -> Option<Part> {
        Part::ALL.iter().copied().find(|part| part.name() == name)
    }

    /// Whether it names a period that has a beginning, and that differences are counted in.
    pub fn is_period(self) -> bool {
        !matches!(self, Part::DayOfWeek | Part::IsoDayOfWeek | Part::DayOfYear | Part::YearWeek)
    }

    /// How many months the period has, for those that are made of months.
    fn months(self) -> Option<i64> {
        match self {
            Part::Month => Some(1),
            Part::Quarter => Some(3),
            Part::Year => Some(12),
            Part::Decade => Some(120),
            Part::Century => Some(1_200),
            Part::Millennium => Some(12_000),
            _ => None,
        }
    }

    /// How many microseconds the period has, for those that are all of one length.
    fn micros(self) -> i64 {
        match self {
            Part::Millisecond => MILLISECOND,
            Part::Second => SECOND,
            Part::Minute => MINUTE,
            Part::Hour => HOUR,
            Part::Day => DAY,
            Part::Week => 7 * DAY,
            _ => 1,
        }
    }
}

/// The days since 1970 of a timestamp.
#[inline]
fn day(micros: i64) -> i64 {
    micros.div_euclid(DAY)
}

/// From Monday, 0, to Sunday, 6.
pub fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// From 1.
pub fn day_of_year(days: i64) -> i64 {
    days - days_of(date_of(days).0, 1, 1) + 1
}

/// The year and the week of the ISO calendar.
pub fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - weekday(days) + 3;
    (date_of(thursday).0, (day_of_year(thursday) - 1) / 7 + 1)
}

/// The months since the year 0.
fn month_number(days: i64) -> i64 {
    let (year, month, _) = date_of(days);
    year * 12 + month - 1
}

/// Midnight of the first day of a month that is counted from the year 0.
fn first_of_month(months: i64) -> i64 {
    days_of(months.div_euclid(12), months.rem_euclid(12) + 1, 1) * DAY
}

pub fn date_part(part: Part, micros: i64) -> i64 {
    let time = micros.rem_euclid(DAY);
    let days = day(micros);
    match part {
        Part::Microsecond => time % MINUTE,
        Part::Millisecond => time % MINUTE / MILLISECOND,
        Part::Second => time / SECOND % 60,
        Part::Minute => time / MINUTE % 60,
        Part::Hour => time / HOUR,
        Part::DayOfWeek => (weekday(days) + 1) % 7,
        Part::IsoDayOfWeek => weekday(days) + 1,
        Part::DayOfYear => day_of_year(days),
        Part::Week => iso_week(days).1,
        Part::IsoYear => iso_week(days).0,
        Part::YearWeek => {
            let (year, week) = iso_week(days);
            year * 100 + week
        }
        _ => {
            let (year, month, day) = date_of(days);
            match part {
                Part::Day => day,
                Part::Month => month,
                Part::Quarter => (month + 2) / 3,
                Part::Year => year,
                Part::Decade => year / 10,
                Part::Century => (year + 99) / 100,
                _ => (year + 999) / 1000,
            }
        }
    }
}

/// The start of the period that the timestamp is in; none where that is before the year 1.
pub fn date_trunc(part: Part, micros: i64) -> Option<i64> {
    let days = day(micros);
    in_range(match part {
        Part::Microsecond => micros,
        Part::Millisecond => micros - micros.rem_euclid(MILLISECOND),
        Part::Second => micros - micros.rem_euclid(SECOND),
        Part::Minute => micros - micros.rem_euclid(MINUTE),
        Part::Hour => micros - micros.rem_euclid(HOUR),
        Part::Day => days * DAY,
        Part::Week => (days - weekday(days)) * DAY,
        Part::IsoYear => {
            let fourth = days_of(iso_week(days).0, 1, 4);
            (fourth - weekday(fourth)) * DAY
        }
        _ => {
            let number = month_number(days);
            first_of_month(number - number % part.months()?)
        }
    })
}

/// How many times such a period begins between two timestamps; weeks are seven days from the first day on.
pub fn date_diff(part: Part, start: i64, end: i64) -> i64 {
    if let Some(months) = part.months() {
        return month_number(day(end)) / months - month_number(day(start)) / months;
    }
    match part {
        Part::IsoYear => iso_week(day(end)).0 - iso_week(day(start)).0,
        Part::Week => (day(end) - day(start)) / 7,
        _ => end.div_euclid(part.micros()) - start.div_euclid(part.micros()),
    }
}

/// How many whole periods lie between two timestamps.
pub fn date_sub(part: Part, start: i64, end: i64) -> i64 {
    match part.months() {
        Some(months) if start > end => -(whole_months(end, start) / months),
        Some(months) => whole_months(start, end) / months,
        None => (end - start) / part.micros(),
    }
}

/// The last day of a month stands for all the days that this month lacks.
fn whole_months(start: i64, end: i64) -> i64 {
    let (_, _, start_day) = date_of(day(start));
    let (year, month, end_day) = date_of(day(end));
    let start_day = if end_day == month_days(year, month) { start_day.min(end_day) } else { start_day };
    let begun = (end_day, end.rem_euclid(DAY)) < (start_day, start.rem_euclid(DAY));
    month_number(day(end)) - month_number(day(start)) - begun as i64
}

/// A number of months later, on the last day of that month where it has no such day, and then so many microseconds.
pub fn add_interval(micros: i64, months: i64, more: i64) -> Option<i64> {
    let mut moved = micros;
    if months != 0 {
        let (year, month, day_of_month) = date_of(day(micros));
        let number = (year * 12 + month - 1).checked_add(months)?;
        let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
        let date = days_of(year, month, day_of_month.min(month_days(year, month)));
        moved = date.checked_mul(DAY)?.checked_add(micros.rem_euclid(DAY))?;
    }
    in_range(moved.checked_add(more)?)
}

/// The start of the bucket, so many months or microseconds wide, that the timestamp is in.
pub fn time_bucket(months: i64, width: i64, micros: i64) -> Option<i64> {
    if months > 0 {
        let number = month_number(day(micros));
        return in_range(first_of_month(number - (number - BUCKET_ORIGIN_MONTH).rem_euclid(months)));
    }
    in_range(micros - (micros - BUCKET_ORIGIN).checked_rem_euclid(width)?)
}

/// Halves are rounded away from zero.
pub fn to_millis(micros: i64) -> i64 {
    (micros + 500 * micros.signum()) / 1000
}

/// The timestamp with these parts: year, month, day, hour and minute, and a second with its fraction.
pub fn make_timestamp([year, month, date, hour, minute]: [i64; 5], second: f64) -> Option<i64> {
    // 24:00:00 of the last day of the year 0 is in range.
    let plausible = second.abs() <= i32::MAX as f64 && (0..=9999).contains(&year) && (1..=12).contains(&month);
    if !plausible {
        return None;
    }
    let whole = second.trunc();
    let micros = ((second - whole) * SECOND as f64).round() as i64;
    let whole = whole as i64;
    let valid = (1..=month_days(year, month)).contains(&date)
        && (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && whole >= 0
        // DuckDB rounds the second before it asks whether there is one, but not for what it makes of it.
        && second <= 60.5
        && (0..=SECOND).contains(&micros);
    if !valid {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + whole) * SECOND + micros;
    if time <= DAY { in_range(days_of(year, month, date) * DAY + time) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::timestamp::from_text;

    fn at(text: &str) -> i64 {
        from_text(text.as_bytes()).unwrap_or(i64::MAX)
    }

    #[test]
    fn periods_begin() {
        for (part, given, expected) in [
            ("hour", "1969-12-31 23:59:59.999999", "1969-12-31 23:00:00"),
            ("week", "2026-01-02 03:04:05", "2025-12-29"),
            ("isoyear", "2027-01-03", "2025-12-29"),
            ("quarter", "2024-02-29", "2024-01-01"),
            ("century", "2099-12-31", "2000-01-01"),
        ] {
            let part = Part::from_name(part).unwrap_or(Part::Microsecond);
            assert_eq!(date_trunc(part, at(given)), Some(at(expected)), "{given}");
        }
        assert_eq!(date_trunc(Part::Decade, at("0009-12-31")), None);
    }

    #[test]
    fn months_end() {
        for (given, months, expected) in [
            ("2026-01-31", 1, "2026-02-28"),
            ("2024-02-29", 12, "2025-02-28"),
            ("2024-03-31 05:00", -1, "2024-02-29 05:00"),
            ("2000-01-15", -1, "1999-12-15"),
        ] {
            assert_eq!(add_interval(at(given), months, 0), Some(at(expected)), "{given}");
        }
        assert_eq!(add_interval(at("9999-12-01"), 1, 0), None);
        assert_eq!(add_interval(at("9999-12-01"), 1, -DAY), Some(at("9999-12-31")));
        assert_eq!(add_interval(0, i64::MAX, 0), None);
        assert_eq!(add_interval(0, 0, i64::MAX), None);
    }

    #[test]
    fn whole_months_end_with_a_month() {
        for (start, end, months) in [
            ("2024-01-31", "2024-02-29", 1),
            ("2024-01-31 12:00", "2024-02-29 11:00", 0),
            ("2024-02-29", "2024-01-31", -1),
            ("2024-01-30", "2024-03-30", 2),
        ] {
            assert_eq!(date_sub(Part::Month, at(start), at(end)), months, "{start} {end}");
        }
    }
}
