//! The text of JSON strings, in both directions. Use it through `json`.

/// The text of a string span, escapes resolved, appended to `out`. False where it has a lone surrogate (`out` is then as
/// it was). The span must come from a cursor, so that its escapes are known to be well-formed.
pub fn unescape(string: &[u8], out: &mut Vec<u8>) -> bool {
    let kept = out.len();
    let whole = resolve(string, out);
    if !whole {
        out.truncate(kept);
    }
    whole
}

/// As `unescape`, for comparing keys: a lone surrogate stands as the three bytes that UTF-8 would give it.
pub fn unescape_key(string: &[u8], out: &mut Vec<u8>) {
    resolve(string, out);
}

/// Whether there was no lone surrogate.
fn resolve(string: &[u8], out: &mut Vec<u8>) -> bool {
    let mut whole = true;
    let mut text = &string[1..string.len() - 1];
    while let Some(slash) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..slash]);
        let escape = text[slash + 1];
        text = &text[slash + 2..];
        let plain = match escape {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                if let Some((character, rest)) = unicode(text) {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    text = rest;
                } else {
                    whole = false;
                    let code = text.get(..4).and_then(hex).unwrap_or_default();
                    out.extend_from_slice(&[0xE0 | (code >> 12) as u8, 0x80 | (code >> 6 & 63) as u8, 0x80 | (code & 63) as u8]);
                    text = text.get(4..).unwrap_or_default();
                }
                continue;
            }
            other => other,
        };
        out.push(plain);
    }
    out.extend_from_slice(text);
    whole
}

/// The character of `XXXX` or `XXXX\uXXXX` at the start of `text`, and what follows; none for a lone surrogate.
fn unicode(text: &[u8]) -> Option<(char, &[u8])> {
    let high = hex(text.get(..4)?)?;
    if !(0xD800..0xE000).contains(&high) {
        return Some((char::from_u32(high)?, &text[4..]));
    }
    if high >= 0xDC00 || text.get(4..6)? != b"\\u" {
        return None;
    }
    let low = hex(text.get(6..10)?)?;
    if !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, &text[10..]))
}

fn hex(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a text stands in JSON as it is: no quote, no backslash, no control character.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= escaped(u64::from_le_bytes(*word));
    }
    match text.last_chunk::<8>() {
        Some(last) if !rest.is_empty() => found |= escaped(u64::from_le_bytes(*last)),
        Some(_) => {}
        None => return rest.iter().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)),
    }
    found & 0x8080_8080_8080_8080 == 0
}

/// The highest bit of every byte that needs an escape, and perhaps of bytes above the first of them.
#[inline(always)]
fn escaped(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    control | zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64))
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut kept = 0;
    for (at, &byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            0x00..0x20 => 0,
            _ => continue,
        };
        out.extend_from_slice(&text[kept..at]);
        kept = at + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(b"0123456789abcdef"[(byte >> 4) as usize]);
            out.push(b"0123456789abcdef"[(byte & 15) as usize]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text[kept..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_what_needs_no_escape() {
        for byte in 0..=255u8 {
            for length in 1..30 {
                for at in 0..length {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let mut written = Vec::new();
                    write_string(&text, &mut written);
                    assert_eq!(is_plain(&text), written.len() == length + 2, "{byte} at {at} of {length}");
                }
            }
        }
        assert!(is_plain(b""));
    }

    #[test]
    fn text_goes_out_and_in_again() {
        let mut written = Vec::new();
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}é🎬";
        write_string(text.as_bytes(), &mut written);
        let mut read = Vec::new();
        assert!(unescape(&written, &mut read));
        assert_eq!(read, text.as_bytes());
        read.clear();
        assert!(unescape(br#""\ud83c\udfac\u00e9\/""#, &mut read));
        assert_eq!(read, "🎬é/".as_bytes());
        read.clear();
        unescape_key(br#""a\ud83c\u0041""#, &mut read);
        assert_eq!(read, b"a\xed\xa0\xbcA");
        for lone in [r#""\ud83c""#, r#""\udfac""#, r#""\ud83c\u0041""#, r#""\ud83cx""#] {
            assert!(!unescape(lone.as_bytes(), &mut read), "{lone}");
        }
    }
}
