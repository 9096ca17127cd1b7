//! LIKE: `%` any text, `_` one character.

use memchr::memmem::Finder;

/// A pattern, made ready once.
#[derive(Debug)]
pub enum Pattern {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Box<Finder<'static>>),
    General(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(Vec<u8>),
    One,
    Any,
}

impl Pattern {
    /// Refuses an escape that is not one ASCII character, and a pattern that ends in one.
    pub fn new(pattern: &str, escape: &str) -> Result<Pattern, String> {
        let escape = match escape.as_bytes() {
            [] => None,
            [byte] if byte.is_ascii() => Some(*byte as char),
            _ => return Err(format!("the escape of `like` is `{escape}`; valid is one ASCII character or none")),
        };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let piece = match character {
                _ if Some(character) == escape => match characters.next() {
                    Some(escaped) => Err(escaped),
                    None => return Err(format!("the pattern `{pattern}` ends in its escape, with nothing behind it")),
                },
                '%' => Ok(Piece::Any),
                '_' => Ok(Piece::One),
                other => Err(other),
            };
            match (piece, pieces.last_mut()) {
                (Ok(Piece::Any), Some(Piece::Any)) => {}
                (Ok(piece), _) => pieces.push(piece),
                (Err(literal), Some(Piece::Text(text))) => text.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes()),
                (Err(literal), _) => pieces.push(Piece::Text(literal.to_string().into_bytes())),
            }
        }
        Ok(match pieces.as_mut_slice() {
            [] => Pattern::Exact(Vec::new()),
            [Piece::Text(text)] => Pattern::Exact(std::mem::take(text)),
            [Piece::Text(text), Piece::Any] => Pattern::Prefix(std::mem::take(text)),
            [Piece::Any, Piece::Text(text)] => Pattern::Suffix(std::mem::take(text)),
            [Piece::Any, Piece::Text(text), Piece::Any] => Pattern::Contains(Box::new(Finder::new(text).into_owned())),
            _ => Pattern::General(pieces),
        })
    }

    /// Whether the text (UTF-8) matches as a whole.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Exact(exact) => text == exact,
            Pattern::Prefix(prefix) => text.starts_with(prefix),
            Pattern::Suffix(suffix) => text.ends_with(suffix),
            Pattern::Contains(finder) => finder.find(text).is_some(),
            Pattern::General(pieces) => general(pieces, text),
        }
    }
}

/// Where a piece that is not `Any` ends in `text`, if it stands at the start.
fn piece_end(piece: &Piece, text: &[u8]) -> Option<usize> {
    match piece {
        Piece::Text(literal) => text.starts_with(literal).then_some(literal.len()),
        Piece::One if text.is_empty() => None,
        Piece::One => Some(character_end(text)),
        Piece::Any => Some(0),
    }
}

/// Bytes of the first character.
fn character_end(text: &[u8]) -> usize {
    1 + text[1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
}

/// Goes back to the last `Any` only: what earlier ones took can stay as it is.
fn general(pieces: &[Piece], text: &[u8]) -> bool {
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pieces.get(piece) {
            None if at == text.len() => return true,
            None => None,
            Some(Piece::Any) => {
                retry = Some((piece, at));
                Some(0)
            }
            Some(other) => piece_end(other, &text[at..]),
        };
        if let Some(bytes) = step {
            piece += 1;
            at += bytes;
            continue;
        }
        let Some((any, from)) = retry.filter(|(_, from)| *from < text.len()) else { return false };
        let next = from + character_end(&text[from..]);
        retry = Some((any, next));
        (piece, at) = (any + 1, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, escape, text, expected) in [
            ("abc", "", "abc", true),
            ("abc", "", "abcd", false),
            ("", "", "", true),
            ("", "", "a", false),
            ("%", "", "", true),
            ("a%", "", "abc", true),
            ("%c", "", "abc", true),
            ("%b%", "", "abc", true),
            ("a_c", "", "aéc", true),
            ("a__c", "", "aéc", false),
            ("_", "", "🎬", true),
            ("_", "", "", false),
            ("%a%b%c%", "", "xxaxxbxxcxx", true),
            ("%a%b%c%", "", "xxaxxcxxbxx", false),
            ("a%b_d", "", "abbcbcd", true),
            ("10\\%", "\\", "10%", true),
            ("10\\%", "\\", "10x", false),
            ("a%%b", "%", "a%b", true),
            ("a%_b", "%", "a_b", true),
            ("a\\b", "", "a\\b", true),
            ("%_x", "", "éx", true),
        ] {
            assert_eq!(Pattern::new(pattern, escape).unwrap().matches(text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(Pattern::new("a\\", "\\").is_err());
        assert!(Pattern::new("a", "é").is_err());
        assert!(Pattern::new("a", "ab").is_err());
    }

    #[test]
    fn many_percent_signs_stay_quick() {
        let pattern = Pattern::new(&("%a".repeat(50) + "%b"), "").unwrap();
        assert!(!pattern.matches("a".repeat(20_000).as_bytes()));
    }
}
