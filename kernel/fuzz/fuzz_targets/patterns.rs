//! Any text as a pattern of LIKE or a regular expression, on any text: no pattern takes long, what is found lies within the
//! text, and LIKE finds what the plain way to match finds. An input is a byte of options, the pattern, a zero, the text.

#![no_main]

use headwater_kernel::functions::like::Pattern;
use headwater_kernel::functions::regexp::{self, Regexp, Replaced, Use};
use headwater_kernel::functions::{number, text, time_format, timestamp};
use headwater_kernel_fuzz::reference;
use libfuzzer_sys::fuzz_target;

const PATTERN_BYTES_MAX: usize = 300;
const MADE_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let Ok(pattern) = std::str::from_utf8(&rest[..end]) else { return };
    let Ok(given) = std::str::from_utf8(rest.get(end + 1..).unwrap_or_default()) else { return };
    if pattern.len() > PATTERN_BYTES_MAX {
        return;
    }
    if first & 128 == 0 {
        check_regexp(pattern, given, *first);
    } else {
        check_like(pattern, given, [None, Some('\\'), Some('%'), Some('a')][*first as usize % 4]);
        check_texts(pattern, given);
    }
});

fn check_like(pattern: &str, text: &str, escape: Option<char>) {
    let written: String = escape.into_iter().collect();
    let Ok(known) = Pattern::new(pattern, &written) else { return };
    assert_eq!(Some(known.matches(text.as_bytes())), reference::like(pattern, escape, text));
}

fn check_regexp(pattern: &str, text: &str, options: u8) {
    let options: String =
        "gils".chars().enumerate().filter(|(bit, _)| options >> bit & 1 == 1).map(|(_, letter)| letter).collect();
    let Some((flags, all)) = regexp::options(&options) else { return };
    let known = regexp::check(pattern, flags);
    let Ok(plain) = Regexp::new(pattern, flags, &Use::Match) else {
        return;
    };
    let groups = known.unwrap();
    let text = text.as_bytes();
    let found = plain.matches(&mut plain.cache(), text);
    if let Ok(whole) = Regexp::new(pattern, flags, &Use::FullMatch) {
        assert!(!whole.matches(&mut whole.cache(), text) || found);
    }
    for group in 0..=groups.min(9) {
        let extract = Regexp::new(pattern, flags, &Use::Extract(group)).unwrap();
        let (from, to) = extract.extract(&mut extract.cache(), text);
        assert!(std::str::from_utf8(&text[from..to]).is_ok());
        assert!(found || from == to);
    }
    for (replacement, same) in [("\\0", true), ("<\\0>", false), ("", false)] {
        let replace = Regexp::new(pattern, flags, &Use::Replace { replacement: replacement.to_owned(), all }).unwrap();
        let mut out = Vec::new();
        match replace.replace(&mut replace.cache(), text, MADE_BYTES_MAX, &mut out) {
            Replaced::Nothing => assert!(!found),
            Replaced::Made => {
                assert!(found && std::str::from_utf8(&out).is_ok());
                assert!(!same || out == text);
            }
            Replaced::TooLong => {}
        }
    }
}

/// Other functions whose first argument anybody may write.
fn check_texts(pattern: &str, given: &str) {
    let bytes = given.as_bytes();
    let valid = |(from, to): (usize, usize)| assert!(std::str::from_utf8(&bytes[from..to]).is_ok());
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    text::lower(bytes, &mut lower);
    text::upper(bytes, &mut upper);
    assert!(std::str::from_utf8(&lower).is_ok() && std::str::from_utf8(&upper).is_ok());
    for number in [i64::MIN, -2, -1, 0, 1, 2, 7, i64::MAX] {
        valid(text::split_part(bytes, pattern.as_bytes(), number));
        for count in [None, Some(i64::MIN), Some(-2), Some(0), Some(3), Some(i64::MAX)] {
            text::substring(bytes, number, count).into_iter().for_each(valid);
        }
    }
    valid(text::trim(bytes, Some(pattern.as_bytes()), true, true));
    valid(text::trim(bytes, None, true, true));
    let _ = (number::text_to_bigint(bytes), number::text_to_double(bytes), number::text_to_boolean(bytes));
    if let Some(micros) = timestamp::from_text(bytes) {
        let mut written = Vec::new();
        timestamp::write(micros, b' ', &mut written);
        assert_eq!(timestamp::from_text(&written), Some(micros));
        if let Ok(format) = time_format::Format::new(pattern) {
            let mut out = Vec::new();
            format.write(micros, &mut out);
        }
    }
}
