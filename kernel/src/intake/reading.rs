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
/// out of range.
pub fn time_ms(bytes: &[u8], span: Span) -> Option<i64> {
    match span.kind {
        Kind::Number => number::json_whole(&bytes[span.start..span.end]).filter(|ms| in_range(*ms)),
        Kind::Text | Kind::EscapedText => {
            let text = text(bytes, span)?;
            let iso = || timestamp::read_iso(&text).map(|micros| micros.div_euclid(1000));
            number::json_integer(&text).filter(|ms| in_range(*ms)).or_else(iso)
        }
        _ => None,
    }
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
            assert_eq!(time_ms(value.as_bytes(), json::check(value.as_bytes()).unwrap()), expected, "{value}");
        }
    }
}
