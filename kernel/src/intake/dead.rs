//! Dead letters: why a piece of a body is no event, with its raw bytes.

use crate::intake::canonical::write_key;
use crate::intake::{Dead, Request};
use crate::json;
use crate::record::RecordRef;

/// Appends the dead letter of `raw` as a record. The write key never gets into it.
pub fn write(dead: &Dead, raw: &[u8], request: &Request, snapshot: u32, out: &mut Vec<u8>) {
    let record = RecordRef { tier: 3, received_time: request.received_time, snapshot, event_time: None, ..RecordRef::default() };
    let before = out.len();
    let Ok(begun) = record.begin(out) else { return };
    out.extend_from_slice(b"{\"reason\":");
    json::write_string(dead.reason.as_bytes(), out);
    text(b"hop", "collect", out);
    text(b"app", request.app, out);
    if let Some(event) = &dead.event {
        text(b"event", event, out);
    }
    if !dead.detail.is_empty() {
        text(b"detail", &dead.detail, out);
    }
    write_key(b"received_time", out);
    out.extend_from_slice(request.received_time.to_string().as_bytes());
    let raw = without(raw, request.write_key.as_bytes());
    match std::str::from_utf8(&raw) {
        Ok(raw) => text(b"raw", raw, out),
        Err(_) => text(b"raw_base64", &base64(&raw), out),
    }
    out.push(b'}');
    if begun.finish(out).is_err() {
        out.truncate(before);
    }
}

fn text(key: &[u8], value: &str, out: &mut Vec<u8>) {
    write_key(key, out);
    json::write_string(value.as_bytes(), out);
}

/// The bytes with every occurrence of the secret replaced.
fn without(raw: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut from = 0;
    if !secret.is_empty() {
        for at in memchr::memmem::find_iter(raw, secret) {
            out.extend_from_slice(&raw[from..at]);
            out.extend_from_slice(b"<write key>");
            from = at + secret.len();
        }
    }
    out.extend_from_slice(&raw[from..]);
    out
}

/// Base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let used = digit <= chunk.len();
            out.push(if used { DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_as_in_rfc_4648() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(super::base64(text.as_bytes()), expected);
        }
        assert_eq!(super::base64(&[0xFF, 0xFE, 0xFD, 0xFC]), "//79/A==");
    }

    #[test]
    fn the_secret_goes() {
        assert_eq!(super::without(b"a wk_1 b wk_1", b"wk_1"), b"a <write key> b <write key>");
        assert_eq!(super::without(b"abc", b""), b"abc");
    }
}
