//! OTLP logs, in JSON or Protobuf, as the intake's envelopes: one for each scope, with its resource, and attribute lists as objects.
//!
//! What cannot be read costs only itself: it stands there as text, which is no item. Both encodings give the same names, those of
//! the Protobuf fields. https://opentelemetry.io/docs/specs/otlp/

use crate::intake::canonical::{self, at_path, write_key};
use crate::intake::dead::base64;
use crate::intake::reading;
use crate::json::{self, Cursor, Kind, Span};
use crate::protobuf::walk::{run, unknown, varint};

/// How deep the values of attributes and bodies may nest; deeper ones are not read.
const DEPTH_MAX: usize = 64;

/// Why there are no envelopes.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    Malformed(String),
    /// They would take more than the given bytes.
    TooLarge,
}

/// The list of envelopes of an export request; the list of each is `log_records`.
pub fn envelopes(body: &[u8], protobuf: bool, bytes_max: usize) -> Result<Vec<u8>, Unread> {
    let mut out = b"[".to_vec();
    if protobuf { wire_request(body, bytes_max, &mut out) } else { json_request(body, bytes_max, &mut out) }?;
    out.push(b']');
    Ok(out)
}

/// A comma, where something stands before.
fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'[' | b'{')) {
        out.push(b',');
    }
}

fn double(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
}

/// The item that `write` appends, or else its raw bytes as text.
fn item(raw: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) {
    comma(out);
    let before = out.len();
    if write(out).is_none() {
        out.truncate(before);
        match std::str::from_utf8(raw) {
            Ok(text) => json::write_string(text.as_bytes(), out),
            Err(_) => json::write_string(base64(raw).as_bytes(), out),
        }
    }
}

fn within(out: &[u8], bytes_max: usize) -> Result<(), Unread> {
    if out.len() > bytes_max { Err(Unread::TooLarge) } else { Ok(()) }
}

// JSON

fn json_request(body: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), Unread> {
    let span = json::check_utf8(body).and_then(|()| json::check(body));
    let span = span.map_err(|error| Unread::Malformed(format!("{} at byte {}", error.reason.name(), error.at)))?;
    if span.kind != Kind::Object {
        return Err(Unread::Malformed("the request is no object".to_string()));
    }
    let Some(resources) = member(body, span, "resourceLogs") else { return Ok(()) };
    if resources.kind != Kind::Array {
        return Err(Unread::Malformed("resourceLogs is no list".to_string()));
    }
    let mut resource = Vec::new();
    for logs in items(body, resources) {
        let scopes = member(body, logs, "scopeLogs");
        resource.clear();
        let read = json_resource(body, logs, &mut resource);
        let Some(scopes) = scopes.filter(|scopes| scopes.kind == Kind::Array && read.is_some()) else {
            if logs.kind != Kind::Object || scopes.is_some() || read.is_none() {
                item(&body[logs.start..logs.end], out, |_| None);
            }
            continue;
        };
        for scope in items(body, scopes) {
            item(&body[scope.start..scope.end], out, |out| json_scope(body, scope, &resource, out));
            within(out, bytes_max)?;
        }
    }
    Ok(())
}

fn member(body: &[u8], span: Span, key: &str) -> Option<Span> {
    at_path(body, span, &[key.as_bytes().to_vec()]).filter(|found| found.kind != Kind::Null)
}

/// The elements of the list at `span`.
fn items(body: &[u8], span: Span) -> impl Iterator<Item = Span> {
    let mut cursor = Cursor::from(body, span.start);
    let mut more = span.kind == Kind::Array && cursor.enter(b'[', b']').unwrap_or(false);
    std::iter::from_fn(move || {
        let found = if more { cursor.value().ok() } else { None };
        more = found.is_some() && cursor.next_member(b']').unwrap_or(false);
        found
    })
}

/// `"resource":{…},"schema_url":…`, each where it is there.
fn json_resource(body: &[u8], logs: Span, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(b"\"resource\":");
    let attributes = member(body, logs, "resource").and_then(|resource| member(body, resource, "attributes"));
    json_attributes(body, attributes, 0, out)?;
    if let Some(url) = member(body, logs, "schemaUrl") {
        write_key(b"schema_url", out);
        raw(body, url, out);
    }
    Some(())
}

fn raw(body: &[u8], span: Span, out: &mut Vec<u8>) {
    out.extend_from_slice(&body[span.start..span.end]);
}

fn json_scope(body: &[u8], span: Span, resource: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    out.extend_from_slice(resource);
    if let Some(scope) = member(body, span, "scope") {
        write_key(b"scope", out);
        out.push(b'{');
        for key in ["name", "version"] {
            if let Some(value) = member(body, scope, key) {
                write_key(key.as_bytes(), out);
                raw(body, value, out);
            }
        }
        if let Some(attributes) = member(body, scope, "attributes") {
            write_key(b"attributes", out);
            json_attributes(body, Some(attributes), 0, out)?;
        }
        out.push(b'}');
    }
    write_key(b"log_records", out);
    out.push(b'[');
    if let Some(records) = member(body, span, "logRecords") {
        if records.kind != Kind::Array {
            return None;
        }
        for record in items(body, records) {
            item(&body[record.start..record.end], out, |out| json_record(body, record, out));
        }
    }
    out.extend_from_slice(b"]}");
    (span.kind == Kind::Object).then_some(())
}

const NAMES: [(&str, &str); 8] = [
    ("timeUnixNano", "time_unix_nano"),
    ("observedTimeUnixNano", "observed_time_unix_nano"),
    ("severityNumber", "severity_number"),
    ("severityText", "severity_text"),
    ("droppedAttributesCount", "dropped_attributes_count"),
    ("traceId", "trace_id"),
    ("spanId", "span_id"),
    ("eventName", "event_name"),
];

fn json_record(body: &[u8], span: Span, out: &mut Vec<u8>) -> Option<()> {
    if span.kind != Kind::Object {
        return None;
    }
    out.push(b'{');
    for found in canonical::members(body, span) {
        let value = &body[found.value.start..found.value.end];
        match found.key.as_ref() {
            b"attributes" => {
                write_key(b"attributes", out);
                json_attributes(body, Some(found.value), 0, out)?;
            }
            b"body" => {
                write_key(b"body", out);
                json_value(body, found.value, 0, out)?;
            }
            // The encoding's default is as good as missing.
            _ if matches!(value, b"0" | b"\"0\"" | b"\"\"") => {}
            key => {
                let named = NAMES.iter().find(|(name, _)| name.as_bytes() == key);
                write_key(named.map_or(key, |(_, name)| name.as_bytes()), out);
                raw(body, found.value, out);
            }
        }
    }
    out.push(b'}');
    Some(())
}

fn json_attributes(body: &[u8], list: Option<Span>, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    if let Some(list) = list.filter(|list| list.kind != Kind::Null) {
        if list.kind != Kind::Array {
            return None;
        }
        for pair in items(body, list) {
            let key = member(body, pair, "key").filter(|key| matches!(key.kind, Kind::Text | Kind::EscapedText))?;
            comma(out);
            raw(body, key, out);
            out.push(b':');
            match member(body, pair, "value") {
                Some(value) => json_value(body, value, depth, out)?,
                None => out.extend_from_slice(b"null"),
            }
        }
    }
    out.push(b'}');
    Some(())
}

fn json_value(body: &[u8], span: Span, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    if depth > DEPTH_MAX || !matches!(span.kind, Kind::Object | Kind::Null) {
        return None;
    }
    let held = if span.kind == Kind::Null { None } else { canonical::members(body, span).pop() };
    let Some(held) = held.filter(|held| held.value.kind != Kind::Null) else {
        out.extend_from_slice(b"null");
        return Some(());
    };
    let value = held.value;
    let text = matches!(value.kind, Kind::Text | Kind::EscapedText);
    match held.key.as_ref() {
        b"stringValue" | b"bytesValue" if text => raw(body, value, out),
        b"boolValue" if matches!(value.kind, Kind::True | Kind::False) => raw(body, value, out),
        b"intValue" | b"doubleValue" if value.kind == Kind::Number => raw(body, value, out),
        b"intValue" if text => {
            let number: i64 = std::str::from_utf8(&reading::text(body, value)?).ok()?.parse().ok()?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        b"doubleValue" if text => double(std::str::from_utf8(&reading::text(body, value)?).ok()?.parse().ok()?, out),
        b"arrayValue" => {
            out.push(b'[');
            for element in member(body, value, "values").into_iter().flat_map(|values| items(body, values)) {
                comma(out);
                json_value(body, element, depth + 1, out)?;
            }
            out.push(b']');
        }
        b"kvlistValue" => json_attributes(body, member(body, value, "values"), depth + 1, out)?,
        _ => return None,
    }
    Some(())
}

// Protobuf

/// A field's value on the wire.
#[derive(Clone, Copy)]
enum Raw<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Calls `found` with every field in order. None where the bytes are no message, or `found` says so.
fn fields<'a>(bytes: &'a [u8], mut found: impl FnMut(u32, Raw<'a>) -> Option<()>) -> Option<()> {
    let mut at = 0;
    while at < bytes.len() {
        let (tag, from) = varint(bytes, at)?;
        let tag = u32::try_from(tag).ok()?;
        let end = unknown(bytes, from, tag)?;
        let raw = match tag & 7 {
            0 => Raw::Varint(varint(bytes, from)?.0),
            2 => {
                let (start, end) = run(bytes, from)?;
                Raw::Bytes(&bytes[start..end])
            }
            _ => Raw::Fixed(bytes[from..end].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        };
        found(tag >> 3, raw)?;
        at = end;
    }
    Some(())
}

fn wire_request(body: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), Unread> {
    let mut full = Ok(());
    let mut resource = Vec::new();
    let read = fields(body, |number, raw| {
        let (1, Raw::Bytes(logs)) = (number, raw) else { return Some(()) };
        resource.clear();
        if wire_resource(logs, &mut resource).is_none() {
            item(logs, out, |_| None);
            return Some(());
        }
        fields(logs, |number, raw| {
            if let (2, Raw::Bytes(scope)) = (number, raw) {
                item(scope, out, |out| wire_scope(scope, &resource, out));
            }
            full = within(out, bytes_max);
            full.is_ok().then_some(())
        })
    });
    full?;
    read.ok_or_else(|| Unread::Malformed("the request is no ExportLogsServiceRequest".to_string()))
}

fn text(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    json::write_string(std::str::from_utf8(bytes).ok()?.as_bytes(), out);
    Some(())
}

/// `"resource":{…},"schema_url":…`. None where the bytes are no ResourceLogs.
fn wire_resource(logs: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut resource: &[u8] = b"";
    let mut url: &[u8] = b"";
    fields(logs, |number, raw| {
        match (number, raw) {
            (1, Raw::Bytes(bytes)) => resource = bytes,
            (3, Raw::Bytes(bytes)) => url = bytes,
            _ => {}
        }
        Some(())
    })?;
    out.extend_from_slice(b"\"resource\":");
    wire_attributes(resource, 1, 0, out)?;
    if !url.is_empty() {
        write_key(b"schema_url", out);
        text(url, out)?;
    }
    Some(())
}

fn wire_scope(bytes: &[u8], resource: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut scope = None;
    fields(bytes, |number, raw| {
        if let (1, Raw::Bytes(bytes)) = (number, raw) {
            scope = Some(bytes);
        }
        Some(())
    })?;
    out.push(b'{');
    out.extend_from_slice(resource);
    if let Some(scope) = scope {
        write_key(b"scope", out);
        out.push(b'{');
        let mut attributes = false;
        fields(scope, |number, raw| match (number, raw) {
            (1 | 2, Raw::Bytes(bytes)) => {
                write_key(if number == 1 { b"name" } else { b"version" }, out);
                text(bytes, out)
            }
            (3, _) => {
                attributes = true;
                Some(())
            }
            _ => Some(()),
        })?;
        if attributes {
            write_key(b"attributes", out);
            wire_attributes(scope, 3, 0, out)?;
        }
        out.push(b'}');
    }
    write_key(b"log_records", out);
    out.push(b'[');
    fields(bytes, |number, raw| {
        if let (2, Raw::Bytes(record)) = (number, raw) {
            item(record, out, |out| wire_record(record, out));
        }
        Some(())
    })?;
    out.extend_from_slice(b"]}");
    Some(())
}

fn wire_record(record: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(b"{\"attributes\":");
    wire_attributes(record, 6, 0, out)?;
    fields(record, |number, raw| {
        let (key, number) = match (number, raw) {
            (1, Raw::Fixed(number)) => ("time_unix_nano", number),
            (11, Raw::Fixed(number)) => ("observed_time_unix_nano", number),
            (2, Raw::Varint(number)) => ("severity_number", number),
            (7, Raw::Varint(number)) => ("dropped_attributes_count", number),
            (8, Raw::Fixed(number)) => ("flags", number),
            (_, Raw::Bytes(bytes)) => return wire_text(number, bytes, out),
            _ => return Some(()),
        };
        if number != 0 {
            write_key(key.as_bytes(), out);
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Some(())
    })?;
    out.push(b'}');
    Some(())
}

fn wire_text(number: u32, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let key: &[u8] = match number {
        3 => b"severity_text",
        5 => b"body",
        9 => b"trace_id",
        10 => b"span_id",
        12 => b"event_name",
        _ => return Some(()),
    };
    if bytes.is_empty() {
        return Some(());
    }
    write_key(key, out);
    match number {
        5 => wire_value(bytes, 0, out),
        9 | 10 => text(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().as_bytes(), out),
        _ => text(bytes, out),
    }
}

/// The attributes that are fields of this number, as an object.
fn wire_attributes(bytes: &[u8], number: u32, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    fields(bytes, |found, raw| {
        let (true, Raw::Bytes(pair)) = (found == number, raw) else { return Some(()) };
        let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
        fields(pair, |number, raw| {
            match (number, raw) {
                (1, Raw::Bytes(bytes)) => key = bytes,
                (2, Raw::Bytes(bytes)) => value = bytes,
                _ => {}
            }
            Some(())
        })?;
        comma(out);
        text(key, out)?;
        out.push(b':');
        wire_value(value, depth, out)
    })?;
    out.push(b'}');
    Some(())
}

fn wire_value(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut held = None;
    fields(bytes, |number, raw| {
        held = Some((number, raw));
        Some(())
    })?;
    match held {
        None => out.extend_from_slice(b"null"),
        Some((1, Raw::Bytes(bytes))) => text(bytes, out)?,
        Some((2, Raw::Varint(flag))) => out.extend_from_slice(if flag == 0 { b"false" } else { b"true" }),
        Some((3, Raw::Varint(number))) => out.extend_from_slice((number as i64).to_string().as_bytes()),
        Some((4, Raw::Fixed(bits))) => double(f64::from_bits(bits), out),
        Some((5, Raw::Bytes(list))) => {
            out.push(b'[');
            fields(list, |number, raw| {
                let (1, Raw::Bytes(element)) = (number, raw) else { return Some(()) };
                comma(out);
                wire_value(element, depth + 1, out)
            })?;
            out.push(b']');
        }
        Some((6, Raw::Bytes(list))) => wire_attributes(list, 1, depth + 1, out)?,
        Some((7, Raw::Bytes(bytes))) => text(base64(bytes).as_bytes(), out)?,
        Some(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json(body: &str) -> String {
        String::from_utf8(envelopes(body.as_bytes(), false, 10_000).unwrap()).unwrap()
    }

    fn from_wire(body: &[u8]) -> String {
        String::from_utf8(envelopes(body, true, 10_000).unwrap()).unwrap()
    }

    fn message(parts: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in parts {
            assert!(*number < 16 && bytes.len() < 128);
            out.extend_from_slice(&[(number << 3 | 2) as u8, bytes.len() as u8]);
            out.extend_from_slice(bytes);
        }
        out
    }

    #[test]
    fn json_and_protobuf_give_the_same() {
        let expected = r#"[{"resource":{"service.name":"svc"},"schema_url":"u","scope":{"name":"lib"},"log_records":[{"attributes":{"a":[1,null],"b":{"c":true}},"event_name":"x","trace_id":"0aff"},{"attributes":{}}]}]"#;
        let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]},"schemaUrl":"u",
            "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{}]}}},
            {"key":"b","value":{"kvlistValue":{"values":[{"key":"c","value":{"boolValue":true}}]}}}],"eventName":"x","traceId":"0aff","flags":0},
            {"attributes":[]}]}]}]}"#;
        assert_eq!(from_json(body), expected);
        let pair = |key: &str, value: &[u8]| message(&[(1, key.as_bytes()), (2, value)]);
        let list = message(&[(5, &message(&[(1, &[0x18, 1]), (1, b"")]))]);
        let inner = message(&[(6, &message(&[(1, &pair("c", &[0x10, 1]))]))]);
        let record = message(&[(6, &pair("a", &list)), (12, b"x"), (9, &[10, 255]), (6, &pair("b", &inner))]);
        let scope = message(&[(1, &message(&[(1, b"lib")])), (2, &record), (2, b"")]);
        let resource = message(&[(1, &pair("service.name", &message(&[(1, b"svc")])))]);
        assert_eq!(from_wire(&message(&[(1, &message(&[(1, &resource), (2, &scope), (3, b"u")]))])), expected);
        assert_eq!((from_json("{}"), from_wire(b"")), ("[]".to_string(), "[]".to_string()));
    }

    #[test]
    fn what_cannot_be_read_stands_there_as_text() {
        let body = r#"{"resourceLogs":[7,{"scopeLogs":[{"logRecords":[{"body":{"intValue":"x"}},{"body":{"stringValue":"y"}},3]},4]},{"scopeLogs":5}]}"#;
        assert_eq!(
            from_json(body),
            r#"["7",{"resource":{},"log_records":["{\"body\":{\"intValue\":\"x\"}}",{"body":"y"},"3"]},"4","{\"scopeLogs\":5}"]"#
        );
        let scope = message(&[(2, &[0xff]), (2, &message(&[(12, b"x")])), (2, &message(&[(12, &[0xff])]))]);
        assert_eq!(
            from_wire(&message(&[(1, &message(&[(2, &scope)]))])),
            r#"[{"resource":{},"log_records":["/w==",{"attributes":{},"event_name":"x"},"YgH/"]}]"#
        );
        for body in ["", "[]", "{\"resourceLogs\":1}", "{\"a\":NaN}"] {
            assert!(matches!(envelopes(body.as_bytes(), false, 100), Err(Unread::Malformed(_))), "{body}");
        }
        assert!(matches!(envelopes(&[0xff], true, 100), Err(Unread::Malformed(_))));
    }

    #[test]
    fn numbers_and_depth() {
        let value = |value: &str| {
            let mut out = Vec::new();
            let span = json::check(value.as_bytes()).unwrap();
            json_value(value.as_bytes(), span, 0, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        for (given, expected) in [
            (r#"{"intValue":7}"#, Some("7")),
            (r#"{"intValue":"-9223372036854775808"}"#, Some("-9223372036854775808")),
            (r#"{"doubleValue":"NaN"}"#, Some("\"NaN\"")),
            (r#"{"doubleValue":"-Infinity"}"#, Some("\"-Infinity\"")),
            (r#"{"bytesValue":"AQ=="}"#, Some("\"AQ==\"")),
            (r#"{"stringValue":7}"#, None),
            (r#"{"otherValue":7}"#, None),
            ("null", Some("null")),
        ] {
            assert_eq!(value(given).as_deref(), expected, "{given}");
        }
        let deep = |depth: usize| format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
        assert!(value(&deep(64)).is_some() && value(&deep(65)).is_none());
        let mut wire = Vec::new();
        wire_value(&[0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 0, &mut wire).unwrap();
        assert_eq!(wire, b"1.5");
    }

    #[test]
    fn a_large_resource_of_many_scopes_is_bounded() {
        let scopes = vec!["{\"logRecords\":[{}]}"; 100].join(",");
        let body = format!(r#"{{"resourceLogs":[{{"schemaUrl":"{}","scopeLogs":[{scopes}]}}]}}"#, "x".repeat(1000));
        assert_eq!(envelopes(body.as_bytes(), false, 50_000), Err(Unread::TooLarge));
    }
}
