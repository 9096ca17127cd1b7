//! Timestamps: microseconds since 1970, UTC, from the year 1 to the year 9999.

use super::number::{is_space, trim_space, write_integer};

pub const SECOND: i64 = 1_000_000;
pub const DAY: i64 = 86_400 * SECOND;
/// 0001-01-01 00:00:00
const MIN: i64 = -62_135_596_800 * SECOND;
/// 9999-12-31 23:59:59.999999
const MAX: i64 = 253_402_300_800 * SECOND - 1;

/// The timestamp, if it is in range.
pub fn in_range(micros: i64) -> Option<i64> {
    (MIN..=MAX).contains(&micros).then_some(micros)
}

/// A number of milliseconds since 1970.
pub fn from_millis(millis: i64) -> Option<i64> {
    in_range(millis.checked_mul(1000)?)
}

/// How many days a month has.
pub fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + leap as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date; none where there is no such day from the year 1 to the year 9999.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let there = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    there.then(|| days_of(year, month, day))
}

/// Days since 1970 of a date of the Gregorian calendar (H. Hinnant's algorithm), of any year.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, the month and the day.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

/// Appends `2026-01-02`, `between`, `03:04:05` and the fraction without its trailing zeros where there is one.
pub fn write(micros: i64, between: u8, out: &mut Vec<u8>) {
    let (year, month, day) = date_of(micros.div_euclid(DAY));
    let rest = micros.rem_euclid(DAY);
    let (seconds, fraction) = (rest / SECOND, rest % SECOND);
    let mut text = *b"0000-00-00 00:00:00.000000";
    text[10] = between;
    for (at, number) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, seconds / 3600),
        (14, seconds / 60 % 60),
        (17, seconds % 60),
        (20, fraction / 10_000),
        (22, fraction / 100 % 100),
        (24, fraction % 100),
    ] {
        text[at] += (number / 10) as u8;
        text[at + 1] += (number % 10) as u8;
    }
    let zeros = text[20..].iter().rev().take_while(|digit| **digit == b'0').count();
    let length = if fraction == 0 { 19 } else { text.len() - zeros };
    out.extend_from_slice(&text[..length]);
}

/// Appends a number from 0 on, with zeros before it where it has fewer digits.
pub fn padded(number: i64, width: u32, out: &mut Vec<u8>) {
    if width == 2 && number < 100 {
        out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
        return;
    }
    for place in (1..width).rev() {
        if number < 10i64.pow(place) {
            out.push(b'0');
        }
    }
    write_integer(number, out);
}

/// Takes a text apart from its start.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn digits(&mut self, least: usize, most: usize) -> Option<&'a [u8]> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits)
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        Some(value(self.digits(least, most)?))
    }

    fn take(&mut self, valid: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !valid.contains(&first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    fn space(&mut self) {
        while let Some((&first, rest)) = self.0.split_first() {
            if !is_space(first) {
                return;
            }
            self.0 = rest;
        }
    }

    /// Digits behind a point as microseconds: those behind the sixth are cut off.
    fn micros(&mut self, least: usize) -> Option<i64> {
        let digits = self.digits(least, usize::MAX)?;
        let kept = &digits[..digits.len().min(6)];
        Some(value(kept) * 10i64.pow(6 - kept.len() as u32))
    }
}

fn value(digits: &[u8]) -> i64 {
    digits.iter().fold(0i64, |value, digit| value.saturating_mul(10).saturating_add((digit - b'0') as i64))
}

/// The ISO 8601 text of an event's field; an offset is applied.
pub fn read_iso(text: &[u8]) -> Option<i64> {
    let mut text = Text(text);
    let year = text.number(4, 4)?;
    text.take(b"-")?;
    let month = text.number(2, 2)?;
    text.take(b"-")?;
    let day = text.number(2, 2)?;
    let midnight = days(year, month, day)? * DAY;
    if text.0.is_empty() {
        return in_range(midnight);
    }
    text.take(b"Tt ")?;
    let hours = text.number(2, 2).filter(|hours| *hours <= 23)?;
    text.take(b":")?;
    let minutes = text.number(2, 2).filter(|minutes| *minutes <= 59)?;
    let (mut seconds, mut micros) = (0, 0);
    if text.take(b":").is_some() {
        seconds = text.number(2, 2).filter(|seconds| *seconds <= 59)?;
        if text.take(b".").is_some() {
            micros = text.micros(1)?;
        }
    }
    let offset = iso_offset(&mut text)?;
    let time = ((hours * 60 + minutes - offset) * 60 + seconds) * SECOND + micros;
    if text.0.is_empty() { in_range(midnight + time) } else { None }
}

/// Minutes east of UTC: nothing, `Z`, or `±hh[[:]mm]`.
fn iso_offset(text: &mut Text) -> Option<i64> {
    let sign = match text.take(b"Zz+-") {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some(0),
    };
    let hours = text.number(2, 2).filter(|hours| *hours <= 23)?;
    let minutes = match (text.take(b":").is_some(), text.0.is_empty()) {
        (false, true) => 0,
        _ => text.number(2, 2).filter(|minutes| *minutes <= 59)?,
    };
    Some(sign * (hours * 60 + minutes))
}

/// CAST(VARCHAR AS TIMESTAMP): the clock's reading; a zone is passed over.
pub fn from_text(text: &[u8]) -> Option<i64> {
    let word = trim_space(text);
    if word.eq_ignore_ascii_case(b"epoch") || word.eq_ignore_ascii_case(b"-epoch") {
        return Some(0);
    }
    let mut text = Text(text);
    text.space();
    let year = text.number(1, usize::MAX)?;
    let between = text.take(b" -/\\")?;
    let month = text.number(1, 2)?;
    text.take(&[between])?;
    let day = text.number(1, 2)?;
    let midnight = days(year, month, day)? * DAY;
    match text.0.first() {
        None => return in_range(midnight),
        Some(byte) if byte.is_ascii_digit() => return None,
        _ => text.take(b" T"),
    };
    text.space();
    let time = clock(&mut text)?;
    if zone(text.0) { in_range(midnight + time) } else { None }
}

/// `[0-9]{1,9}:(mm(:(ss(\.[0-9]*)?)?)?)?`, at most 24:00:00.
fn clock(text: &mut Text) -> Option<i64> {
    let hours = text.number(1, 9)?;
    text.take(b":")?;
    let (mut minutes, mut seconds, mut micros) = (0, 0, 0);
    if let Some(number) = text.number(1, 2) {
        minutes = number;
        if text.take(b":").is_some()
            && let Some(number) = text.number(1, 2)
        {
            seconds = number;
            if text.take(b".").is_some() {
                micros = text.micros(0)?;
            }
        }
    }
    let time = ((hours * 60 + minutes) * 60 + seconds) * SECOND + micros;
    (minutes < 60 && seconds < 60 && time <= DAY).then_some(time)
}

fn zone(text: &[u8]) -> bool {
    let blank = |rest: &[u8]| rest.iter().all(|byte| is_space(*byte));
    let mut text = Text(text);
    match text.take(b"Z+- ") {
        None => text.0.is_empty(),
        Some(b'Z') => blank(text.0),
        Some(b' ') => {
            let name = text.0.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_/+:-".contains(byte)).count();
            blank(&text.0[name..])
        }
        Some(_) => offset_digits(&mut text).is_some() && blank(text.0),
    }
}

/// `hh`, `hhmm`, `hh:mm` or `hh:mm:ss`.
fn offset_digits(text: &mut Text) -> Option<()> {
    text.digits(2, 2)?;
    if text.take(b":").is_none() {
        text.digits(2, 2);
        return Some(());
    }
    text.digits(2, 2)?;
    if text.take(b":").is_some() {
        text.digits(2, 2)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(micros: Option<i64>) -> String {
        let mut out = Vec::new();
        match micros {
            Some(micros) => write(micros, b' ', &mut out),
            None => out.extend_from_slice(b"-"),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_read_as_iso_8601() {
        for (text, expected) in [
            ("2026-01-02", "2026-01-02 00:00:00"),
            ("2026-01-02T03:04", "2026-01-02 03:04:00"),
            ("2026-01-02t03:04:05z", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:05.1234567+01:30", "2026-01-02 01:34:05.123456"),
            ("2026-01-02T03:04:05-0130", "2026-01-02 04:34:05"),
            ("2026-01-02T03:04:05+01", "2026-01-02 02:04:05"),
            ("2024-02-29", "2024-02-29 00:00:00"),
            ("1900-02-29", "-"),
            ("2026-13-01", "-"),
            ("2026-01-02T24:00", "-"),
            ("2026-01-02T03:04:05.", "-"),
            ("2026-01-02T03:04:05+01:", "-"),
            ("2026-01-02T03:04:05+24", "-"),
            ("2026-1-2", "-"),
            (" 2026-01-02", "-"),
            ("2026-01-02T", "-"),
            ("0000-12-31T23:00:00-05:00", "-"),
            ("0001-01-01", "0001-01-01 00:00:00"),
            ("0001-01-01T00:00+01", "-"),
            ("9999-12-31T23:59:59.999999", "9999-12-31 23:59:59.999999"),
            ("9999-12-31T23:59:59-01", "-"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999"),
        ] {
            assert_eq!(shown(read_iso(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn casts_follow_the_page() {
        for (text, expected) in [
            ("2026-1-2", "2026-01-02 00:00:00"),
            (" 2026/01/02", "2026-01-02 00:00:00"),
            ("2026-01-02 ", "-"),
            ("2026-01/02", "-"),
            ("2026-01-02 3:", "2026-01-02 03:00:00"),
            ("2026-01-02T03:04:05.5Z ", "2026-01-02 03:04:05.5"),
            ("2026-01-02 03:04:05.", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:.5", "-"),
            ("2026-01-02 24:00:00", "2026-01-03 00:00:00"),
            ("2026-01-02 24:00:01", "-"),
            ("2026-01-02 03:04:05+01", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:05+01:30", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:05+0130", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:05+01:30:15", "2026-01-02 03:04:05"),
            ("2026-01-02 03:04:05+013015", "-"),
            ("2026-01-02 03:04:05+1", "-"),
            ("2026-01-02 03:04:05 Europe/Berlin", "2026-01-02 03:04:05"),
            ("EPOCH", "1970-01-01 00:00:00"),
            ("0-01-01", "-"),
            ("2026-01-023:04", "-"),
            ("99999999999999999999999-01-01", "-"),
            ("9999-12-31 24:00:00", "-"),
        ] {
            assert_eq!(shown(from_text(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn days_go_out_and_in_again() {
        for day in (-719_162..2_932_896).step_by(37) {
            let (year, month, date) = date_of(day);
            assert_eq!(days(year, month, date), Some(day));
        }
    }
}
