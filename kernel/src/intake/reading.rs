//! Whether a JSON value can be read as a type, by the reading table of docs/formats/physical-rule.md, and times in ms.

use crate::functions::{number, timestamp};
use crate::json::{self, Kind, Span};

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
        (Scalar::Bigint, Kind::Number) => number::json_whole(raw).is_some(),
        (Scalar::Double, Kind::Number) => number::json_double(raw).is_some(),
        (Scalar::Timestamp, Kind::Number) => number::json_whole(raw).and_then(timestamp::from_millis).is_some(),
        (_, Kind::Text | Kind::EscapedText) => text(bytes, span).is_some_and(|text| text_readable(&text, kind)),
        _ => false,
    }
}

fn text_readable(text: &[u8], kind: Scalar) -> bool {
    match kind {
        Scalar::Bigint => number::json_integer(text).is_some(),
        Scalar::Double => number::is_json_number(text) && number::json_double(text).is_some(),
        Scalar::Boolean => text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false"),
        Scalar::Timestamp => timestamp::read_iso(text).is_some(),
        Scalar::Varchar | Scalar::Json => true,
    }
}

/// A string's text, escapes resolved; none where it has a lone surrogate.
pub fn text(bytes: &[u8], span: Span) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(span.end - span.start);
    json::unescape(&bytes[span.start..span.end], &mut out).then_some(out)
}

/// A time in ms since 1970, UTC: a whole number of ms, as a number or as text, or ISO 8601 text. None where it is none of these or
/// out of range. With `any_unit` numbers may have fractions, and are s, ms, µs or ns by how large they are.
pub fn time_ms(bytes: &[u8], span: Span, any_unit: bool) -> Option<i64> {
    let read = |digits: &[u8], whole: fn(&[u8]) -> Option<i64>| {
        let ms = if any_unit {
            whole(digits).map_or_else(|| number::json_double(digits).and_then(scaled), in_ms)
        } else {
            whole(digits)
        };
        ms.filter(|ms| in_range(*ms))
    };
    match span.kind {
        Kind::Number => read(&bytes[span.start..span.end], number::json_whole),
        Kind::Text | Kind::EscapedText => {
            let text = text(bytes, span)?;
            let iso = || timestamp::read_iso(&text).map(|micros| micros.div_euclid(1000));
            read(&text, number::json_integer).or_else(iso)
        }
        _ => None,
    }
}

/// Up to which number a time counts as seconds (the year 5138), ms, µs.
const UNITS: [i64; 3] = [100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000];

fn in_ms(time: i64) -> Option<i64> {
    Some(match UNITS.iter().position(|limit| time.unsigned_abs() < limit.unsigned_abs()) {
        Some(0) => time * 1000,
        Some(1) => time,
        Some(2) => time.div_euclid(1000),
        _ => time.div_euclid(1_000_000),
    })
}

fn scaled(time: f64) -> Option<i64> {
    let factor = match UNITS.iter().position(|limit| time.abs() < *limit as f64) {
        Some(0) => 1e3,
        Some(1) => 1.0,
        Some(2) => 1e-3,
        _ => 1e-6,
    };
    let ms = (time * factor).floor();
    (ms.abs() < 1e15).then_some(ms as i64)
}

/// Whether a time is between the years 1 and 9999.
pub fn in_range(ms: i64) -> bool {
    timestamp::from_millis(ms).is_some()
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
            ("\"0001-01-01\"", Some(-62_135_596_800_000)),
            ("\"9999-12-31T23:59:59.9999\"", Some(253_402_300_799_999)),
            ("\"9999-12-31T23:59:59-01:00\"", None),
            ("1760000000000", Some(1_760_000_000_000)),
            ("\"1760000000000\"", Some(1_760_000_000_000)),
            ("1.76e12", Some(1_760_000_000_000)),
            ("true", None),
        ] {
            assert_eq!(time_ms(value.as_bytes(), json::check(value.as_bytes()).unwrap(), false), expected, "{value}");
        }
        for (value, expected) in [
            ("1760000000", Some(1_760_000_000_000)),
            ("1760000000.25", Some(1_760_000_000_250)),
            ("\"1760000000.5\"", Some(1_760_000_000_500)),
            ("1760000000123", Some(1_760_000_000_123)),
            ("1760000000123456", Some(1_760_000_000_123)),
            ("\"1760000000123456789\"", Some(1_760_000_000_123)),
            ("-1", Some(-1000)),
            ("1e300", None),
            ("\"1970-01-01\"", Some(0)),
            ("\"nan\"", None),
        ] {
            assert_eq!(time_ms(value.as_bytes(), json::check(value.as_bytes()).unwrap(), true), expected, "{value}");
        }
    }
}
