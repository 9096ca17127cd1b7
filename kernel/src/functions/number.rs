//! Numbers as text, in both directions. The page on physical rules, section "Casts", is what this follows.

/// Whether the byte is white space to a cast.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0B | 0x0C | b'\r')
}

/// `text` without white space at both ends.
pub fn trim_space(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// A JSON integer (`0`, `-12`, not `007`) in range.
#[inline]
pub fn json_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    signed(text.len() != digits.len(), whole_digits(digits)?)
}

/// Digits and nothing else, below 2^64.
#[inline]
fn whole_digits(digits: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    if digits.len() <= 18 {
        for &digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + digit as u64;
        }
        return Some(value);
    }
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(digit as u64)?;
    }
    Some(value)
}

#[inline]
fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// A JSON number without fraction (`12`, `1.0`, `1e3`, `1200e-2`) in range.
pub fn json_whole(text: &[u8]) -> Option<i64> {
    json_integer(text).or_else(|| {
        let decimal = Decimal::of_json(text)?;
        if decimal.has_fraction() { None } else { decimal.round() }
    })
}

/// The nearest double to a JSON number; none where it is not finite.
#[inline]
pub fn json_double(text: &[u8]) -> Option<f64> {
    double(text).filter(|number| number.is_finite())
}

#[inline]
fn double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether the text is a JSON number.
pub fn is_json_number(text: &[u8]) -> bool {
    let digit_first = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
    let digit_last = text.last().is_some_and(u8::is_ascii_digit);
    digit_first && digit_last && crate::json::check(text).is_ok()
}

/// A decimal: `0.digits × 10^point`, with no leading zero among the digits.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn new(negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) -> Decimal {
        let all: Vec<u8> = whole.iter().chain(fraction).copied().filter(|byte| *byte != b'_').collect();
        let whole_digits = whole.iter().filter(|byte| **byte != b'_').count();
        let zeros = all.iter().take_while(|digit| **digit == b'0').count();
        let point = (whole_digits as i64 - zeros as i64).saturating_add(exponent);
        Decimal { negative, digits: all[zeros..].to_vec(), point }
    }

    fn of_json(text: &[u8]) -> Option<Decimal> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let (number, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&digits[..at], exponent(&digits[at + 1..])?),
            None => (digits, 0),
        };
        let (whole, fraction) = split_point(number);
        Some(Decimal::new(text.len() != digits.len(), whole, fraction, exponent))
    }

    fn has_fraction(&self) -> bool {
        let whole = self.point.clamp(0, self.digits.len() as i64) as usize;
        self.digits[whole..].iter().any(|digit| *digit != b'0')
    }

    /// The nearest whole number, halves away from zero; none out of range.
    fn round(&self) -> Option<i64> {
        if self.digits.is_empty() || self.point < 0 {
            return Some(0);
        }
        if self.point > 19 {
            return None;
        }
        let point = self.point as usize;
        let mut magnitude: u64 = 0;
        for at in 0..point {
            let digit = self.digits.get(at).map_or(0, |digit| digit - b'0');
            magnitude = magnitude.checked_mul(10)?.checked_add(digit as u64)?;
        }
        let up = self.digits.get(point).is_some_and(|digit| *digit >= b'5');
        signed(self.negative, magnitude.checked_add(up as u64)?)
    }
}

fn split_point(number: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'.', number) {
        Some(at) => (&number[..at], &number[at + 1..]),
        None => (number, &[]),
    }
}

/// `[+-]?D` as a number, held within ±2^40.
fn exponent(text: &[u8]) -> Option<i64> {
    let negative = text.first() == Some(&b'-');
    let digits = if negative || text.first() == Some(&b'+') { &text[1..] } else { text };
    if !is_digits(digits) {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits.iter().filter(|byte| **byte != b'_') {
        value = (value * 10 + (digit - b'0') as i64).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// `[0-9](_?[0-9])*`
fn is_digits(text: &[u8]) -> bool {
    separated(text, |byte| byte.is_ascii_digit())
}

fn separated(text: &[u8], valid: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.split(|byte| *byte == b'_').all(|part| !part.is_empty() && part.iter().all(&valid))
}

/// `D(\.D?)? | \.D` split at its point; none where it is neither.
fn number_parts(number: &[u8]) -> Option<(&[u8], &[u8])> {
    let (whole, fraction) = split_point(number);
    let has_point = whole.len() < number.len();
    let valid = match (whole.is_empty(), fraction.is_empty()) {
        (false, true) => is_digits(whole),
        (false, false) => is_digits(whole) && is_digits(fraction),
        (true, false) => has_point && is_digits(fraction),
        (true, true) => false,
    };
    valid.then_some((whole, fraction))
}

/// CAST(VARCHAR AS BIGINT)
pub fn text_to_bigint(text: &[u8]) -> Option<i64> {
    if let Some(plain) = json_integer(text) {
        return Some(plain);
    }
    let start = text.iter().position(|byte| !is_space(*byte))?;
    if let Some(radix) = radix_number(&text[start..]) {
        return radix;
    }
    let text = trim_space(text);
    let negative = text[0] == b'-';
    let unsigned = if negative || text[0] == b'+' { &text[1..] } else { text };
    let (number, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            let text = &unsigned[at + 1..];
            (&unsigned[..at], exponent(text.strip_suffix(b".").unwrap_or(text))?)
        }
        None => (unsigned, 0),
    };
    let (whole, fraction) = number_parts(number)?;
    if !(-32_768..=32_767).contains(&exponent) {
        return None;
    }
    Decimal::new(negative, whole, &[], 0).round()?;
    Decimal::new(negative, whole, fraction, exponent).round()
}

/// `0x…` and `0b…`: none where the text is neither, some none where it is but is not valid.
fn radix_number(text: &[u8]) -> Option<Option<i64>> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', b'b' | b'B', digits @ ..] => (digits, 2),
        _ => return None,
    };
    if !separated(digits, |byte| (*byte as char).is_digit(radix)) {
        return Some(None);
    }
    let mut value: i64 = 0;
    for digit in digits.iter().filter_map(|byte| (*byte as char).to_digit(radix)) {
        match value.checked_mul(radix as i64).and_then(|value| value.checked_add(digit as i64)) {
            Some(next) => value = next,
            None => return Some(None),
        }
    }
    Some(Some(value))
}

/// CAST(VARCHAR AS DOUBLE)
pub fn text_to_double(text: &[u8]) -> Option<f64> {
    let text = trim_space(text);
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let sign = if unsigned.len() < text.len() { -1.0 } else { 1.0 };
    if let Some(word) = not_a_digit(unsigned) {
        return Some(word * sign);
    }
    let number = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            exponent(&unsigned[at + 1..])?;
            &unsigned[..at]
        }
        None => unsigned,
    };
    number_parts(number)?;
    let plain: Vec<u8> = unsigned.iter().copied().filter(|byte| *byte != b'_').collect();
    Some(double(&plain)? * sign)
}

/// `inf`, `infinity`, `nan` and `nan(…)`.
fn not_a_digit(text: &[u8]) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    match lower.as_slice() {
        b"inf" | b"infinity" => Some(f64::INFINITY),
        b"nan" => Some(f64::NAN),
        [b'n', b'a', b'n', b'(', inside @ .., b')'] => {
            inside.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').then_some(f64::NAN)
        }
        _ => None,
    }
}

/// CAST(VARCHAR AS BOOLEAN)
pub fn text_to_boolean(text: &[u8]) -> Option<bool> {
    if text.len() > 5 {
        return None;
    }
    match text.to_ascii_lowercase().as_slice() {
        b"true" | b"t" | b"yes" | b"y" | b"1" => Some(true),
        b"false" | b"f" | b"no" | b"n" | b"0" => Some(false),
        _ => None,
    }
}

/// CAST(DOUBLE AS BIGINT): halves to even.
pub fn double_to_bigint(number: f64) -> Option<i64> {
    let whole = number.round_ties_even();
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole).then_some(whole as i64)
}

/// Appends the fewest digits that read back the same, `inf`, `-inf` or `nan`.
pub fn write_double(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" });
    } else {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        let zero = if exponent.len() < 2 { "0" } else { "" };
        out.extend_from_slice(format!("{digits}e{sign}{zero}{exponent}").as_bytes());
    }
}

const PAIRS: &[u8; 200] = &pairs();

const fn pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[2 * number] = b'0' + (number / 10) as u8;
        pairs[2 * number + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
}

/// The digits of a number below 10^8, with leading zeros, the first in the lowest byte.
#[inline(always)]
pub fn eight_digits(number: u32) -> u64 {
    debug_assert!(number < 100_000_000);
    let number = number as u64;
    let fours = (number / 10_000) | (number % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x7F_0000_007F;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    (tens | (pairs - 10 * tens) << 8) | 0x3030_3030_3030_3030
}

/// Appends the decimal digits.
#[inline]
pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    while rest >= 100 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if rest >= 10 {
        let pair = rest as usize * 2;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + rest as u8;
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_json_numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("1.0", Some(1)),
            ("1e3", Some(1000)),
            ("1200e-2", Some(12)),
            ("1201e-2", None),
            ("2.5", None),
            ("0.0e999999999999999999999", Some(0)),
            ("1e999999999999999999999", None),
            ("1e-99999999999999999999", None),
            ("9223372036854775807.0", Some(i64::MAX)),
            ("9223372036854775.807e3", Some(i64::MAX)),
            ("92233720368547758070e-1", Some(i64::MAX)),
        ] {
            assert_eq!(json_whole(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn text_to_bigint_follows_the_page() {
        for (text, expected) in [
            ("007", Some(7)),
            (" +1_000\n", Some(1000)),
            ("1__0", None),
            ("1.5", Some(2)),
            ("-1.5", Some(-2)),
            ("0.49", Some(0)),
            (".5", Some(1)),
            ("1.", Some(1)),
            (".", None),
            ("", None),
            (" ", None),
            ("-", None),
            ("1e3", Some(1000)),
            ("1e3.", Some(1000)),
            ("1e-3", Some(0)),
            ("5e-1", Some(1)),
            ("0x1F", Some(31)),
            ("0x", None),
            ("-0x1F", None),
            ("0b101", Some(5)),
            ("0x1F ", None),
            ("9223372036854775807.4", Some(i64::MAX)),
            ("9223372036854775807.5", None),
            ("9223372036854775808e-5", None),
            ("0e40000", None),
            ("0e32767", Some(0)),
            ("1 2", None),
        ] {
            assert_eq!(text_to_bigint(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn doubles_are_written_as_the_page_says() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-5, "1.5e-05"),
            (1.5e300, "1.5e+300"),
            (-2.5e-300, "-2.5e-300"),
            (0.1, "0.1"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            let mut out = Vec::new();
            write_double(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn text_to_double_follows_the_page() {
        for (text, expected) in [
            ("1", Some(1.0)),
            (" +-1.5e3 ", Some(-1500.0)),
            ("-+1", None),
            ("1e400", Some(f64::INFINITY)),
            ("-1e400", Some(f64::NEG_INFINITY)),
            ("1e-400", Some(0.0)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1_0.2_5", Some(10.25)),
            ("1e", None),
            ("1e5.", None),
            ("", None),
            ("infinit", None),
        ] {
            assert_eq!(text_to_double(text.as_bytes()), expected, "{text}");
        }
        assert!(text_to_double(b"NaN(a_1)").is_some_and(f64::is_nan));
    }

    #[test]
    fn integers_are_written_at_every_length() {
        for number in
            (0..19).flat_map(|power| [10i64.pow(power), -(10i64.pow(power)), 10i64.pow(power) - 1]).chain([i64::MIN, i64::MAX])
        {
            let mut out = Vec::new();
            write_integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn doubles_round_to_even() {
        assert_eq!(double_to_bigint(2.5), Some(2));
        assert_eq!(double_to_bigint(-3.5), Some(-4));
        assert_eq!(double_to_bigint(9.223372036854775e18), Some(9223372036854774784));
        assert_eq!(double_to_bigint(9.223372036854776e18), None);
        assert_eq!(double_to_bigint(f64::NAN), None);
    }
}
