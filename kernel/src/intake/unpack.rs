//! Members whose text is JSON, or base64 of JSON: protocols send objects so that grew out of query strings.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::intake::canonical::{self, write_key};
use crate::intake::mapping::NewName;
use crate::intake::reading;
use crate::intake::split::Piece;
use crate::json::{self, Kind, Span};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// The body with the items that have such members written anew behind it, where their pieces then are. What holds no JSON stays text.
pub fn unpacked<'a>(body: &'a [u8], pieces: &mut [Piece], keys: &[NewName]) -> Cow<'a, [u8]> {
    let mut all = Cow::Borrowed(body);
    if keys.is_empty() {
        return all;
    }
    for piece in pieces.iter_mut().filter(|piece| piece.fault.is_none()) {
        if let Some(item) = rewritten(body, piece, keys) {
            piece.start = all.len();
            all.to_mut().extend_from_slice(&item);
            piece.end = all.len();
        }
    }
    all
}

fn rewritten(body: &[u8], piece: &Piece, keys: &[NewName]) -> Option<Vec<u8>> {
    let members = canonical::members(body, Span { start: piece.start, end: piece.end, kind: Kind::Object });
    let held: Vec<Option<(&[u8], Vec<u8>)>> = members
        .iter()
        .map(|member| {
            let (_, name) = keys.iter().find(|(key, _)| key == member.key.as_ref())?;
            Some((name.as_slice(), held(body, member.value)?))
        })
        .collect();
    held.iter().any(Option::is_some).then(|| {
        let mut out = Vec::with_capacity(piece.end - piece.start);
        out.push(b'{');
        for (member, held) in members.iter().zip(&held) {
            let as_it_stood = (member.key.as_ref(), &body[member.value.start..member.value.end]);
            let (key, value) = held.as_ref().map_or(as_it_stood, |(name, value)| (*name, value.as_slice()));
            write_key(key, &mut out);
            out.extend_from_slice(value);
        }
        out.push(b'}');
        out
    })
}

/// The JSON that a text holds, plainly or in base64 of either alphabet.
fn held(body: &[u8], value: Span) -> Option<Vec<u8>> {
    if !matches!(value.kind, Kind::Text | Kind::EscapedText) {
        return None;
    }
    let text = reading::text(body, value)?;
    let text = text.trim_ascii();
    let plain = match text.first()? {
        b'{' | b'[' => text.to_vec(),
        _ => {
            // A form that was decoded once too often has spaces for plus signs.
            let url_safe = text.iter().map(|byte| match byte {
                b'+' | b' ' => b'-',
                b'/' => b'_',
                other => *other,
            });
            BASE64.decode(url_safe.collect::<Vec<u8>>()).ok()?
        }
    };
    json::check_utf8(&plain).ok()?;
    let span = json::check(&plain).ok()?;
    matches!(span.kind, Kind::Object | Kind::Array).then(|| plain[span.start..span.end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked_text(text: &str) -> Option<String> {
        let quoted = serde_json::to_string(text).unwrap();
        let span = json::check(quoted.as_bytes()).unwrap();
        held(quoted.as_bytes(), span).map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn json_in_text_and_in_base64() {
        for (text, expected) in [
            (r#" {"a":"\u00e9"} "#, Some(r#"{"a":"\u00e9"}"#)),
            ("eyJhIjoxfQ==", Some(r#"{"a":1}"#)),
            ("eyJhIjoxfQ", Some(r#"{"a":1}"#)),
            ("eyJhIjoifj8/Pj4ifQ==", Some(r#"{"a":"~??>>"}"#)),
            ("eyJhIjoifj8_Pj4ifQ", Some(r#"{"a":"~??>>"}"#)),
            ("WzFd", Some("[1]")),
            ("", None),
            ("plain", None),
            ("{", None),
            ("MQ==", None),
        ] {
            assert_eq!(unpacked_text(text).as_deref(), expected, "{text}");
        }
    }
}
