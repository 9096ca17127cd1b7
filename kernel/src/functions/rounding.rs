//! Rounding of numbers.

use std::sync::LazyLock;

/// The powers of ten that are finite, each the nearest double but two: DuckDB's are those of its C library.
static POWERS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let nearest = (0..309).filter_map(|power| format!("1e{power}").parse::<f64>().ok());
    let power = |(power, nearest): (usize, f64)| match power {
        23 => nearest.next_up(),
        210 => nearest.next_up(),
        _ => nearest,
    };
    nearest.enumerate().map(power).collect()
});

fn power_of_ten(power: i64) -> f64 {
    usize::try_from(power).ok().and_then(|power| POWERS.get(power)).copied().unwrap_or(f64::INFINITY)
}

/// Whether `round` takes this number of digits.
pub fn valid_digits(digits: i64) -> bool {
    i32::try_from(digits).is_ok()
}

/// Rounds to `digits` digits behind the point, or before it where that is negative; halves away from zero. None out of range.
pub fn round_bigint(value: i64, digits: i64) -> Option<i64> {
    if digits >= 0 {
        return Some(value);
    }
    let Some(unit) = u32::try_from(-digits).ok().and_then(|power| 10u128.checked_pow(power)) else { return Some(0) };
    let rounded = (value.unsigned_abs() as u128 + unit / 2) / unit * unit;
    let rounded = i128::try_from(rounded).ok()?;
    i64::try_from(if value < 0 { -rounded } else { rounded }).ok()
}

/// As `round_bigint`; what is not finite stays as it is.
pub fn round_double(value: f64, digits: i64) -> f64 {
    if !value.is_finite() {
        return value;
    }
    let (rounded, otherwise) = if digits < 0 {
        let unit = power_of_ten(-digits);
        ((value / unit).round() * unit, 0.0)
    } else {
        let unit = power_of_ten(digits);
        ((value * unit).round() / unit, value)
    };
    if rounded.is_finite() { rounded } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        for (value, digits, expected) in [
            (15, -1, Some(20)),
            (-15, -1, Some(-20)),
            (14, 3, Some(14)),
            (i64::MAX, -1, None),
            (i64::MAX, -18, Some(9_000_000_000_000_000_000)),
            (i64::MAX, -19, None),
            (i64::MAX, -20, Some(0)),
            (i64::MIN, -2, Some(-9_223_372_036_854_775_800)),
            (i64::MIN, i64::MIN + 1, Some(0)),
            (i64::MIN, 0, Some(i64::MIN)),
        ] {
            assert_eq!(round_bigint(value, digits), expected, "{value} {digits}");
        }
    }

    #[test]
    fn doubles() {
        for (value, digits, expected) in [
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (2.675, 2, 2.68),
            (1.5, 309, 1.5),
            (1234.5, -2, 1200.0),
            (1e308, -309, 0.0),
            (5e307, -308, 1e308),
            (f64::INFINITY, -2, f64::INFINITY),
        ] {
            assert_eq!(round_double(value, digits), expected, "{value} {digits}");
        }
        assert!(round_double(-0.4, 0).is_sign_negative());
    }
}
