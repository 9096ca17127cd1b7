//! Whether a JSON value can be read as a type, by the reading table of docs/formats/physical-rule.md, and times in ms.

use crate::json::{self, Cursor, Kind, Span};

/// Milliseconds of 0001-01-01 and of the end of 9999: the range of times.
const MS_MIN: i64 = -62_135_596_800_000;
const MS_MAX: i64 = 253_402_300_799_999;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bigint,
    Double,
    Boolean,
    Varchar,
    Timestamp,
    Json,
}

impl Scalar {
    pub fn named(name: &str) -> Option<Scalar> {
        Some(match name {
            "BIGINT" => Scalar::Bigint,
            "DOUBLE" => Scalar::Double,
            "BOOLEAN" => Scalar::Boolean,
            "VARCHAR" => Scalar::Varchar,
            "TIMESTAMP" => Scalar::Timestamp,
            "JSON" => Scalar::Json,
            _ => return None,
        })
    }
}

/// Whether the table gives a value. Null is no error: true.
pub fn readable(bytes: &[u8], span: Span, kind: Scalar) -> bool {
    let raw = &bytes[span.start..span.end];
    match (kind, span.kind) {
        (Scalar::Json, _) | (_, Kind::Null) => true,
        (_, Kind::Object | Kind::Array) => false,
        (Scalar::Varchar, Kind::EscapedText) => text(bytes, span).is_some(),
        (Scalar::Varchar, _) => true,
        (Scalar::Boolean, Kind::True | Kind::False) => true,
        (Scalar::Bigint, Kind::Number) => whole(raw).is_some(),
        (Scalar::Double, Kind::Number) => finite(raw),
        (Scalar::Timestamp, Kind::Number) => whole(raw).is_some_and(in_range),
        (_, Kind::Text | Kind::EscapedText) => text(bytes, span).is_some_and(|text| text_readable(&text, kind)),
        _ => false,
    }
}

fn text_readable(text: &[u8], kind: Scalar) -> bool {
    match kind {
        Scalar::Bigint => is_number(text) && !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) && whole(text).is_some(),
        Scalar::Double => is_number(text) && finite(text),
        Scalar::Boolean => text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false"),
        Scalar::Timestamp => iso_ms(text).is_some(),
        Scalar::Varchar | Scalar::Json => true,
    }
}

/// A string's text, escapes resolved; none where it has a lone surrogate.
pub fn text(bytes: &[u8], span: Span) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(span.end - span.start);
    json::unescape(&bytes[span.start..span.end], &mut out).then_some(out)
}

/// A time: a whole number of ms, as a number or as text, or ISO 8601 text. None where it is none of these or out of range.
pub fn time_ms(bytes: &[u8], span: Span) -> Option<i64> {
    match span.kind {
        Kind::Number => whole(&bytes[span.start..span.end]).filter(|ms| in_range(*ms)),
        Kind::Text | Kind::EscapedText => {
            let text = text(bytes, span)?;
            if text_readable(&text, Scalar::Bigint) { whole(&text).filter(|ms| in_range(*ms)) } else { iso_ms(&text) }
        }
        _ => None,
    }
}

/// Whether a time is between the years 1 and 9999.
pub fn in_range(ms: i64) -> bool {
    (MS_MIN..=MS_MAX).contains(&ms)
}

fn is_number(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    matches!(text.first(), Some(b'-' | b'0'..=b'9')) && cursor.value().is_ok() && cursor.at == text.len()
}

fn finite(number: &[u8]) -> bool {
    std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite)
}

/// The value of a JSON number with zero fraction, in range.
pub fn whole(number: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(number).ok()?;
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (before, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [before, fraction].concat();
    let kept = digits.trim_end_matches('0');
    let significant = kept.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // An exponent that does not fit is far out of range, one way or the other.
    let exponent: i64 = exponent.parse().ok()?;
    let zeros = exponent.checked_sub(fraction.len() as i64)?.checked_add((digits.len() - kept.len()) as i64)?;
    if !(0..=19).contains(&zeros) || significant.len() as i64 + zeros > 19 {
        return None;
    }
    format!("{sign}{significant}{}", "0".repeat(zeros as usize)).parse().ok()
}

/// ISO 8601 as the reading table takes it, in ms; what is finer is cut off.
fn iso_ms(text: &[u8]) -> Option<i64> {
    let mut reader = Digits { text, at: 0 };
    let year = reader.number(4)?;
    reader.one_of(b"-")?;
    let month = reader.number(2)?;
    reader.one_of(b"-")?;
    let day = reader.number(2)?;
    let days = days_from_civil(year, month, day)?;
    if reader.at == text.len() {
        return Some(days * 86_400_000).filter(|ms| in_range(*ms));
    }
    reader.one_of(b"Tt ")?;
    let hour = reader.number(2).filter(|hour| *hour < 24)?;
    reader.one_of(b":")?;
    let minute = reader.number(2).filter(|minute| *minute < 60)?;
    let (mut second, mut ms) = (0, 0);
    if reader.one_of(b":").is_some() {
        second = reader.number(2).filter(|second| *second < 60)?;
        if reader.one_of(b".").is_some() {
            ms = reader.fraction()?;
        }
    }
    let offset = reader.offset()?;
    let ms = days * 86_400_000 + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms;
    in_range(ms).then_some(ms)
}

struct Digits<'a> {
    text: &'a [u8],
    at: usize,
}

impl Digits<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let text = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        bytes.contains(&byte).then(|| self.at += 1)?;
        Some(byte)
    }

    fn fraction(&mut self) -> Option<i64> {
        let start = self.at;
        let mut ms = 0;
        while let Some(byte) = self.text.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            if self.at - start < 3 {
                ms += i64::from(byte - b'0') * [100, 10, 1][self.at - start];
            }
            self.at += 1;
        }
        (self.at > start).then_some(ms)
    }

    /// Minutes east of UTC; nothing may follow.
    fn offset(&mut self) -> Option<i64> {
        if self.at == self.text.len() {
            return Some(0);
        }
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return (self.at == self.text.len()).then_some(0),
        };
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        let mut minutes = 0;
        if self.at < self.text.len() {
            let _ = self.one_of(b":");
            minutes = self.number(2).filter(|minutes| *minutes < 60)?;
        }
        (self.at == self.text.len()).then_some(sign * (hours * 60 + minutes))
    }
}

/// Days since 1970 of a day that exists in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || year < 1 {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str, kind: Scalar) -> bool {
        readable(value.as_bytes(), json::check(value.as_bytes()).unwrap(), kind)
    }

    #[test]
    fn the_reading_table() {
        for (kind, yes, no) in [
            (
                Scalar::Bigint,
                &[
                    "1",
                    "-9223372036854775808",
                    "1.0",
                    "1e3",
                    "12.50e1",
                    "\"0\"",
                    "\"-12\"",
                    "null",
                    "0e999999999999999999999",
                    "100e-2",
                ][..],
                &[
                    "9223372036854775808",
                    "1.5",
                    "1e19",
                    "1e-1",
                    "\"007\"",
                    "\"1.0\"",
                    "true",
                    "\"\"",
                    "{}",
                    "1e99999999999999999999",
                ][..],
            ),
            (Scalar::Double, &["1", "1e308", "\"1.5\""], &["1e400", "\"01\"", "\"nan\"", "\" 1\"", "\"true\"", "true", "[]"]),
            (Scalar::Boolean, &["true", "\"TRUE\"", "\"\\u0066alse\""], &["1", "\"yes\"", "{}"]),
            (Scalar::Varchar, &["\"x\"", "1", "true", "\"\\u00e9\""], &["{}", "[]", "\"\\ud800\""]),
            (
                Scalar::Timestamp,
                &["1700000000000", "\"2026-01-02\"", "\"2026-01-02T03:04:05.1234567+01:00\"", "\"2024-02-29 00:00z\"", "1e3"],
                &[
                    "\"2026-02-29\"",
                    "\"2026-01-02T24:00\"",
                    "1e18",
                    "\"2026-01-02T03:04:05.\"",
                    "\"x\"",
                    "1.5",
                    "\"2026-01-02 \"",
                ],
            ),
            (Scalar::Json, &["{}", "\"\\ud800\""], &[]),
        ] {
            for value in yes {
                assert!(read(value, kind), "{value} as {kind:?}");
            }
            for value in no {
                assert!(!read(value, kind), "{value} as {kind:?}");
            }
        }
    }

    #[test]
    fn times() {
        for (value, expected) in [
            ("\"1970-01-01T00:00:00Z\"", Some(0)),
            ("\"2026-11-23T06:46:17.250+08:00\"", Some(1_795_387_577_250)),
            ("\"0001-01-01\"", Some(MS_MIN)),
            ("\"9999-12-31T23:59:59.9999\"", Some(MS_MAX)),
            ("\"9999-12-31T23:59:59-01:00\"", None),
            ("1760000000000", Some(1_760_000_000_000)),
            ("\"1760000000000\"", Some(1_760_000_000_000)),
            ("1.76e12", Some(1_760_000_000_000)),
            ("true", None),
        ] {
            assert_eq!(time_ms(value.as_bytes(), json::check(value.as_bytes()).unwrap()), expected, "{value}");
        }
    }
}
