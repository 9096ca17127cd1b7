//! Operations on text (UTF-8). Characters are code points.

use super::case_table::{LOWER, UPPER};

type Ranges = [(u32, u32, u32, i32)];

/// Appends the text in lower case.
pub fn lower(text: &[u8], out: &mut Vec<u8>) {
    changed(text, LOWER, u8::to_ascii_lowercase, out);
}

/// Appends the text in upper case.
pub fn upper(text: &[u8], out: &mut Vec<u8>) {
    changed(text, UPPER, u8::to_ascii_uppercase, out);
}

fn changed(text: &[u8], table: &Ranges, ascii: fn(&u8) -> u8, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.iter().map(ascii));
        return;
    }
    for character in characters(text) {
        let code = character as u32;
        let at = table.partition_point(|range| range.1 < code);
        let changed = match table.get(at) {
            Some(&(first, _, step, added)) if code >= first && (code - first).is_multiple_of(step) => {
                code.wrapping_add_signed(added)
            }
            _ => code,
        };
        let character = char::from_u32(changed).unwrap_or(character);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn characters(text: &[u8]) -> std::str::Chars<'_> {
    std::str::from_utf8(text).unwrap_or_default().chars()
}

/// How many characters the text has.
pub fn length(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// The byte at which the character numbered `index` from 0 begins; the length of the text where it has fewer.
fn offset(text: &[u8], index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80);
    starts.map(|(at, _)| at).nth(index).unwrap_or(text.len())
}

const LIMIT: i64 = 1 << 32;

/// The range of bytes that `substring` gives; none where it fails.
pub fn substring(text: &[u8], start: i64, count: Option<i64>) -> Option<(usize, usize)> {
    let valid = |number: i64| (-LIMIT..LIMIT).contains(&number);
    let count = count.unwrap_or(LIMIT - 1);
    if !valid(start) || !valid(count) {
        return None;
    }
    let total = length(text) as i64;
    let begin = match start {
        1.. => start - 1,
        0 => -1,
        _ => total + start,
    };
    let (first, last) = if count >= 0 { (begin, begin + count) } else { (begin.max(0) + count, begin) };
    let first = first.clamp(0, total);
    let last = last.clamp(first, total);
    Some((offset(text, first as usize), offset(text, last as usize)))
}

/// The ranges of the parts between separators, or of the characters where the separator is empty, until `each` says false.
pub fn parts(text: &[u8], separator: &[u8], mut each: impl FnMut(usize, usize) -> bool) {
    let mut start = 0;
    if separator.is_empty() {
        for character in characters(text) {
            if !each(start, start + character.len_utf8()) {
                return;
            }
            start += character.len_utf8();
        }
        if text.is_empty() {
            each(0, 0);
        }
        return;
    }
    for at in memchr::memmem::find_iter(text, separator) {
        if !each(start, at) {
            return;
        }
        start = at + separator.len();
    }
    each(start, text.len());
}

/// The range of the part with this number: from 1, from the end where it is negative; an empty one where there is none.
pub fn split_part(text: &[u8], separator: &[u8], number: i64) -> (usize, usize) {
    let mut number = number;
    if number < 0 {
        let mut count = 0i64;
        parts(text, separator, |_, _| {
            count += 1;
            true
        });
        number = number.saturating_add(count + 1);
    }
    let mut found = (0, 0);
    if number > 0 {
        parts(text, separator, |from, to| {
            number -= 1;
            if number == 0 {
                found = (from, to);
            }
            number > 0
        });
    }
    found
}

/// Unicode's space separators (Zs).
fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}')
}

/// The range of bytes that is left when the characters (without them: separators) are cut off at the chosen ends.
pub fn trim(text: &[u8], cut: Option<&[u8]>, left: bool, right: bool) -> (usize, usize) {
    let cut: Option<Vec<char>> = cut.map(|cut| characters(cut).collect());
    let goes = |character: char| cut.as_ref().map_or_else(|| is_separator(character), |cut| cut.contains(&character));
    let whole = std::str::from_utf8(text).unwrap_or_default();
    let kept = if left { whole.trim_start_matches(goes) } else { whole };
    let start = whole.len() - kept.len();
    let kept = if right { kept.trim_end_matches(goes) } else { kept };
    (start, start + kept.len())
}

/// Appends the text with every occurrence replaced.
pub fn replace(text: &[u8], old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    if old.is_empty() {
        out.extend_from_slice(text);
        return;
    }
    let mut kept = 0;
    for at in memchr::memmem::find_iter(text, old) {
        out.extend_from_slice(&text[kept..at]);
        out.extend_from_slice(new);
        kept = at + old.len();
    }
    out.extend_from_slice(&text[kept..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        change(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn case() {
        assert_eq!(with(|out| lower("ÀÉ Abc İ Ω".as_bytes(), out)), "àé abc i ω");
        assert_eq!(with(|out| upper("straße é ω".as_bytes(), out)), "STRAẞE É Ω");
        assert_eq!(with(|out| upper(b"video_1", out)), "VIDEO_1");
    }

    #[test]
    fn substrings() {
        let text = "héllo";
        for (start, count, expected) in [
            (1, None, Some("héllo")),
            (2, Some(2), Some("él")),
            (0, Some(2), Some("h")),
            (-2, None, Some("lo")),
            (-2, Some(1), Some("l")),
            (-10, Some(6), Some("h")),
            (3, Some(-2), Some("hé")),
            (9, None, Some("")),
            (1, Some(0), Some("")),
            (1, Some(LIMIT), None),
            (-LIMIT - 1, None, None),
            (LIMIT - 1, Some(LIMIT - 1), Some("")),
        ] {
            let given = substring(text.as_bytes(), start, count).map(|(from, to)| &text[from..to]);
            assert_eq!(given, expected, "{start} {count:?}");
        }
    }

    #[test]
    fn parts_of_texts() {
        for (text, separator, number, expected) in [
            ("a,b,c", ",", 2, "b"),
            ("a,b,c", ",", -1, "c"),
            ("a,b,c", ",", 0, ""),
            ("a,b,c", ",", 4, ""),
            ("a,b,c", ",", -4, ""),
            ("aéb", "", 2, "é"),
            ("aéb", "", -2, "é"),
            ("", "", 1, ""),
            ("aaa", "aa", -1, "a"),
            ("a", ",", i64::MIN, ""),
        ] {
            let (from, to) = split_part(text.as_bytes(), separator.as_bytes(), number);
            assert_eq!(&text[from..to], expected, "{text} {separator} {number}");
        }
    }

    #[test]
    fn trims_and_replaces() {
        assert_eq!(trim("\u{3000} a\t ".as_bytes(), None, true, true), (4, 6));
        assert_eq!(trim("xéaxé".as_bytes(), Some("éx".as_bytes()), true, true), (3, 4));
        assert_eq!(trim(b"  a ", None, false, true), (0, 3));
        assert_eq!(with(|out| replace(b"aaa", b"aa", b"b", out)), "ba");
        assert_eq!(with(|out| replace(b"abc", b"", b"x", out)), "abc");
    }
}
