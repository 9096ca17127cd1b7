//! Cuts a request body into items by its structure, so that one malformed item costs only itself.
//!
//! An item is first read strictly. Only where that fails is its end looked for by brackets and quotes alone; where even those
//! do not add up, what was complete before stays, and the rest is one broken piece.

use std::borrow::Cow;

use crate::json::{self, Cursor, Kind, Malformed, Reason, Span};

/// How a protocol wraps its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object whose member of this name is the list of items.
    Envelope(Vec<u8>),
    /// One object, which is the item.
    One,
    /// One object, a list of objects, or one object a line.
    Events,
    /// As `Envelope` where there is an object with that list, else as `Events`.
    Auto(Vec<u8>),
    /// A list of objects as `Envelope` has one.
    Envelopes(Vec<u8>),
}

/// Why a piece of the body is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Malformed(Malformed),
    NotAnObject,
    /// The member that should be the list of items is missing or no list.
    NoList,
}

/// A piece of the body: an item (a well-formed object), or bytes that are none and why. A Malformed's `at` counts from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub start: usize,
    pub end: usize,
    /// The one of `Split::envelopes` that it came in.
    pub envelope: usize,
    pub fault: Option<Fault>,
}

/// What a body was cut into.
#[derive(Debug, Default)]
pub struct Split {
    pub pieces: Vec<Piece>,
    /// The other members of each envelope: key without escapes, value. One at least.
    pub envelopes: Vec<Vec<(Vec<u8>, Span)>>,
    /// The structure of the body itself is broken; the last piece is the rest.
    pub broken: bool,
}

/// More pieces than allowed; nothing was kept.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

/// Cuts `body` into at most `pieces_max` pieces.
pub fn split(body: &[u8], shape: &Shape, pieces_max: usize) -> Result<Split, TooMany> {
    let utf8 = json::check_utf8(body).is_ok();
    let mut splitter = Splitter { body, utf8, pieces_max, split: Split { envelopes: vec![Vec::new()], ..Split::default() } };
    match shape {
        Shape::Envelope(list) => splitter.envelope(list)?,
        Shape::Auto(list) => splitter.auto(list)?,
        Shape::Envelopes(list) => splitter.envelopes(list)?,
        Shape::One => splitter.one()?,
        Shape::Events => splitter.events()?,
    }
    Ok(splitter.split)
}

struct Splitter<'a> {
    body: &'a [u8],
    utf8: bool,
    pieces_max: usize,
    split: Split,
}

/// What ended a list or an object: its closing bracket (the offset behind it), or the structure broke and the rest is told.
type Ended = Result<Option<usize>, TooMany>;

impl Splitter<'_> {
    fn push(&mut self, start: usize, end: usize, fault: Option<Fault>) -> Result<(), TooMany> {
        if self.split.pieces.len() >= self.pieces_max {
            return Err(TooMany);
        }
        let (start, end) = trim(self.body, start, end);
        let fault = match fault {
            None if !self.utf8 => json::check_utf8(&self.body[start..end]).err().map(Fault::Malformed),
            other => other,
        };
        let envelope = self.split.envelopes.len() - 1;
        self.split.pieces.push(Piece { start, end, envelope, fault });
        Ok(())
    }

    fn item(&mut self, span: Span) -> Result<(), TooMany> {
        let fault = (span.kind != Kind::Object).then_some(Fault::NotAnObject);
        self.push(span.start, span.end, fault)
    }

    /// What stands behind a break in the structure; all of the body where nothing was complete before.
    fn rest(&mut self, start: usize, error: Malformed) -> Ended {
        self.split.broken = true;
        let start = if self.split.pieces.is_empty() { 0 } else { start };
        let fault = Malformed { reason: error.reason, at: error.at.saturating_sub(start) };
        self.push(start, self.body.len(), Some(Fault::Malformed(fault)))?;
        Ok(None)
    }

    fn whole(&mut self, fault: Fault) -> Ended {
        self.split.pieces.clear();
        self.split.broken = true;
        self.push(0, self.body.len(), Some(fault))?;
        Ok(None)
    }

    fn one(&mut self) -> Result<(), TooMany> {
        match json::check(self.body) {
            Ok(span) if span.kind == Kind::Object => self.item(span),
            Ok(_) => self.whole(Fault::NotAnObject).map(drop),
            Err(error) => self.whole(Fault::Malformed(error)).map(drop),
        }
    }

    fn events(&mut self) -> Result<(), TooMany> {
        let mut cursor = Cursor::new(self.body);
        cursor.space();
        if cursor.peek() == Some(b'[') {
            if let Some(end) = self.list(cursor.at)? {
                self.trailing(end)?;
            }
            return Ok(());
        }
        let read = cursor.value().and_then(|span| cursor.end().map(|()| span));
        match read {
            Ok(span) if span.kind == Kind::Object => self.item(span),
            Ok(_) => self.whole(Fault::NotAnObject).map(drop),
            Err(error) => self.lines(error),
        }
    }

    /// One item a line. Where no line is an object, the body as a whole is what is broken.
    fn lines(&mut self, error: Malformed) -> Result<(), TooMany> {
        let mut start = 0;
        let mut found = false;
        while start < self.body.len() {
            let end = memchr::memchr(b'\n', &self.body[start..]).map_or(self.body.len(), |at| start + at);
            let (from, to) = trim(self.body, start, end);
            start = end + 1;
            if from == to {
                continue;
            }
            let line = &self.body[from..to];
            let mut cursor = Cursor::new(line);
            match cursor.value().and_then(|span| cursor.end().map(|()| span)) {
                Ok(span) => {
                    found |= span.kind == Kind::Object;
                    self.item(Span { start: from, end: to, kind: span.kind })?;
                }
                Err(error) => self.push(from, to, Some(Fault::Malformed(error)))?,
            }
        }
        if !found {
            let error = json::check_utf8(self.body).err().unwrap_or(error);
            self.whole(Fault::Malformed(error))?;
        }
        Ok(())
    }

    fn envelope(&mut self, list: &[u8]) -> Result<(), TooMany> {
        let mut cursor = Cursor::new(self.body);
        cursor.space();
        if cursor.peek() != Some(b'{') {
            let fault = json::check(self.body).err().map_or(Fault::NotAnObject, Fault::Malformed);
            return self.whole(fault).map(drop);
        }
        let mut lists = 0;
        let ended = self.envelope_members(&mut cursor, list, &mut lists)?;
        match ended {
            Some(end) if lists > 0 => self.trailing(end),
            Some(_) if self.split.pieces.is_empty() => self.whole(Fault::NoList).map(drop),
            _ => Ok(()),
        }
    }

    fn auto(&mut self, list: &[u8]) -> Result<(), TooMany> {
        let mut cursor = Cursor::new(self.body);
        cursor.space();
        if cursor.peek() == Some(b'{') {
            let mut lists = 0;
            let ended = self.envelope_members(&mut cursor, list, &mut lists)?;
            match ended {
                Some(end) if lists > 0 => return self.trailing(end),
                None if lists > 0 => return Ok(()),
                _ => self.split = Split { envelopes: vec![Vec::new()], ..Split::default() },
            }
        }
        self.events()
    }

    fn envelopes(&mut self, list: &[u8]) -> Result<(), TooMany> {
        let mut cursor = Cursor::new(self.body);
        cursor.space();
        if cursor.peek() != Some(b'[') {
            return self.envelope(list);
        }
        let mut more = match cursor.enter(b'[', b']') {
            Ok(more) => more,
            Err(error) => return self.whole(Fault::Malformed(error)).map(drop),
        };
        while more {
            cursor.space();
            let start = cursor.at;
            let mut lists = 0;
            if cursor.peek() == Some(b'{') {
                let Some(end) = self.envelope_members(&mut cursor, list, &mut lists)? else { return Ok(()) };
                cursor.at = end;
            } else if let Err(error) = cursor.value() {
                return self.rest(start, error).map(drop);
            }
            if lists == 0 {
                self.push(start, cursor.at, Some(Fault::NoList))?;
            }
            self.split.envelopes.push(Vec::new());
            more = match cursor.next_member(b']') {
                Ok(more) => more,
                Err(error) => return self.rest(cursor.at, error).map(drop),
            };
        }
        self.trailing(cursor.at)
    }

    fn envelope_members(&mut self, cursor: &mut Cursor, list: &[u8], lists: &mut usize) -> Ended {
        let start = cursor.at;
        match cursor.enter(b'{', b'}') {
            Ok(true) => {}
            Ok(false) => return Ok(Some(cursor.at)),
            Err(error) => return self.rest(start, error),
        }
        loop {
            cursor.space();
            let member = cursor.at;
            let key = match cursor.key() {
                Ok(span) => plain_key(self.body, span).into_owned(),
                Err(error) => return self.rest(member, error),
            };
            cursor.space();
            if key.as_slice() == list {
                *lists += 1;
                if cursor.peek() == Some(b'[') {
                    match self.list(cursor.at)? {
                        Some(end) => cursor.at = end,
                        None => return Ok(None),
                    }
                } else if let Err(error) = self.not_a_list(cursor, member) {
                    return error;
                }
            } else if let Err(ended) = self.envelope_value(cursor, member, key) {
                return ended;
            }
            match cursor.next_member(b'}') {
                Ok(true) => {}
                Ok(false) => return Ok(Some(cursor.at)),
                Err(error) => return self.rest(cursor.at, error),
            }
        }
    }

    fn not_a_list(&mut self, cursor: &mut Cursor, member: usize) -> Result<(), Ended> {
        match cursor.value() {
            Ok(span) => self.push(member, span.end, Some(Fault::NoList)).map_err(Err),
            Err(error) => Err(self.rest(member, error)),
        }
    }

    /// A malformed member of the envelope is one broken piece; the items beside it go on without it.
    fn envelope_value(&mut self, cursor: &mut Cursor, member: usize, key: Vec<u8>) -> Result<(), Ended> {
        let start = cursor.at;
        match cursor.value() {
            Ok(span) if self.utf8 || json::check_utf8(&self.body[span.start..span.end]).is_ok() => {
                if let Some(members) = self.split.envelopes.last_mut() {
                    members.push((key, span));
                }
                Ok(())
            }
            Ok(span) => self.push(member, span.end, None).map_err(Err),
            Err(error) => match skip(self.body, start, b'}') {
                Some(end) => {
                    cursor.at = end;
                    let fault = Malformed { reason: error.reason, at: error.at - member };
                    self.push(member, end, Some(Fault::Malformed(fault))).map_err(Err)
                }
                None => Err(self.rest(member, error)),
            },
        }
    }

    /// The items of the list that opens at `open`; the offset behind its closing bracket.
    fn list(&mut self, open: usize) -> Ended {
        let mut cursor = Cursor::from(self.body, open);
        match cursor.enter(b'[', b']') {
            Ok(true) => {}
            Ok(false) => return Ok(Some(cursor.at)),
            Err(error) => return self.rest(open, error),
        }
        loop {
            cursor.space();
            let start = cursor.at;
            let error = match cursor.value() {
                Ok(span) => {
                    let after = cursor.at;
                    match cursor.next_member(b']') {
                        Ok(more) => {
                            self.item(span)?;
                            if more {
                                continue;
                            }
                            return Ok(Some(cursor.at));
                        }
                        Err(error) if error.reason == Reason::UnexpectedEnd => {
                            self.item(span)?;
                            return self.rest(after, error);
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let Some(end) = skip(self.body, start, b']') else {
                return self.rest(start, error);
            };
            let fault = Malformed { reason: error.reason, at: error.at - start };
            self.push(start, end, Some(Fault::Malformed(fault)))?;
            cursor.at = end + 1;
            if self.body[end] == b']' {
                return Ok(Some(cursor.at));
            }
        }
    }

    fn trailing(&mut self, end: usize) -> Result<(), TooMany> {
        let mut cursor = Cursor::from(self.body, end);
        match cursor.end() {
            Ok(()) => Ok(()),
            Err(error) => self.rest(error.at, error).map(drop),
        }
    }
}

/// A key's text. One with a lone surrogate has none: it stays as it stands, quotes included, behind a byte 0xFF, so that it
/// equals no other key.
pub fn plain_key(bytes: &[u8], span: Span) -> Cow<'_, [u8]> {
    if span.kind == Kind::Text {
        return Cow::Borrowed(&bytes[span.start + 1..span.end - 1]);
    }
    let mut text = Vec::with_capacity(span.end - span.start);
    if !json::unescape(&bytes[span.start..span.end], &mut text) {
        text.push(0xFF);
        text.extend_from_slice(&bytes[span.start..span.end]);
    }
    Cow::Owned(text)
}

fn trim(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    let space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    while start < end && space(bytes[start]) {
        start += 1;
    }
    while end > start && space(bytes[end - 1]) {
        end -= 1;
    }
    (start, end)
}

/// From `start`, the offset of the comma or of the `close` bracket that ends this element, told by quotes and brackets alone. Two
/// signs of a missing bracket are heeded, so that only its own element is lost: a closing bracket also closes what is open inside
/// its own kind, as in `[{"a":[1},{}]`; and an object where a key has to stand begins the next element, as in `[{"a":1,{}]`.
fn skip(bytes: &[u8], start: usize, close: u8) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    let mut counts = [0usize; 2];
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at)?,
            b'{' | b'[' => {
                counts[usize::from(byte == b'[')] += 1;
                open.push(byte);
            }
            b'}' | b']' => {
                let kind = usize::from(byte == b']');
                if counts[kind] > 0 {
                    while let Some(top) = open.pop() {
                        counts[usize::from(top == b'[')] -= 1;
                        if usize::from(top == b'[') == kind {
                            break;
                        }
                    }
                } else if byte == close {
                    return Some(at);
                }
            }
            b',' if open.is_empty() || open.last() == Some(&b'{') && object_follows(bytes, at + 1) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn object_follows(bytes: &[u8], at: usize) -> bool {
    let mut cursor = Cursor::from(bytes, at);
    cursor.space();
    cursor.peek() == Some(b'{')
}

fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &[u8], shape: &Shape) -> (Vec<(String, bool)>, bool) {
        let split = split(body, shape, 100).unwrap();
        let text = |piece: &Piece| String::from_utf8_lossy(&body[piece.start..piece.end]).into_owned();
        (split.pieces.iter().map(|piece| (text(piece), piece.fault.is_none())).collect(), split.broken)
    }

    fn check(body: &str, shape: &Shape, good: &[&str], bad: &[&str], broken: bool) {
        let (pieces, was_broken) = cut(body.as_bytes(), shape);
        let of = |wanted: bool| pieces.iter().filter(|(_, ok)| *ok == wanted).map(|(text, _)| text.as_str()).collect::<Vec<_>>();
        assert_eq!((of(true), of(false), was_broken), (good.to_vec(), bad.to_vec(), broken), "{body}");
    }

    #[test]
    fn a_malformed_item_costs_only_itself() {
        for (body, good, bad) in [
            (r#"[{"a":1}, {"b":2} ]"#, &[r#"{"a":1}"#, r#"{"b":2}"#][..], &[][..]),
            (r#"[{"a":NaN},{"b":2}]"#, &[r#"{"b":2}"#], &[r#"{"a":NaN}"#]),
            (r#"[{"b":2},{"a":"\x"}]"#, &[r#"{"b":2}"#], &[r#"{"a":"\x"}"#]),
            (r#"[{"a":[1},{"b":2}]"#, &[r#"{"b":2}"#], &[r#"{"a":[1}"#]),
            (r#"[{"a":{"x":1, {"b":2}]"#, &[r#"{"b":2}"#], &[r#"{"a":{"x":1"#]),
            (r#"[{"a":1}},{"b":2}]"#, &[r#"{"b":2}"#], &[r#"{"a":1}}"#]),
            (r#"[{"b":2},{"a":1]"#, &[r#"{"b":2}"#], &[r#"{"a":1"#]),
            (r#"[{"b":2},7,"x",]"#, &[r#"{"b":2}"#], &["7", "\"x\"", ""]),
            (r#"[{"b":2} {"c":3},{"d":4}]"#, &[r#"{"d":4}"#], &[r#"{"b":2} {"c":3}"#]),
            ("[{\"a\":\"x\ty\"},{\"b\":2}]", &[r#"{"b":2}"#], &["{\"a\":\"x\ty\"}"]),
            (r#"[]"#, &[], &[]),
        ] {
            check(body, &Shape::Events, good, bad, false);
            let batch = format!("{{\"sentAt\":1,\"batch\":{body},\"x\":{{}}}}");
            check(&batch, &Shape::Envelope(b"batch".to_vec()), good, bad, false);
        }
    }

    #[test]
    fn what_was_complete_before_a_break_stays() {
        for (body, good, bad) in [
            (r#"[{"b":2},{"a":"x},{"c":3}]"#, &[r#"{"b":2}"#][..], &[r#"{"a":"x},{"c":3}]"#][..]),
            (r#"[{"b":2},{"a":1"#, &[r#"{"b":2}"#], &[r#"{"a":1"#]),
            (r#"[{"b":2}"#, &[r#"{"b":2}"#], &[""]),
            (r#"[{"b":2}] x"#, &[r#"{"b":2}"#], &["x"]),
            ("[", &[], &["["]),
        ] {
            check(body, &Shape::Events, good, bad, true);
        }
        let batch = Shape::Envelope(b"batch".to_vec());
        check(r#"{"batch":[{"b":2}],"sentAt":"#, &batch, &[r#"{"b":2}"#], &[r#""sentAt":"#], true);
        check(r#"{"batch":[{"b":2}]"#, &batch, &[r#"{"b":2}"#], &[""], true);
        check(r#"{"context":NaN,"batch":[{"b":2}]}"#, &batch, &[r#"{"b":2}"#], &[r#""context":NaN"#], false);
        check(r#"{"\u0062atch":[{"b":2}]}"#, &batch, &[r#"{"b":2}"#], &[], false);
        check(r#"{"batch":7}"#, &batch, &[], &[r#""batch":7"#], false);
        check(r#"{"a":1}"#, &batch, &[], &[r#"{"a":1}"#], true);
        check("[1]", &batch, &[], &["[1]"], true);
    }

    #[test]
    fn lines_and_single_objects() {
        check("{\"a\":1}\n\n {\"b\":2}\r\n", &Shape::Events, &["{\"a\":1}", "{\"b\":2}"], &[], false);
        check("{\"a\":1}\n{\"a\":\n7\n", &Shape::Events, &["{\"a\":1}"], &["{\"a\":", "7"], false);
        check("{\n \"a\": 1\n}\n", &Shape::Events, &["{\n \"a\": 1\n}"], &[], false);
        check("{\n \"a\": NaN\n}\n", &Shape::Events, &[], &["{\n \"a\": NaN\n}"], true);
        check(" {\"a\":1} ", &Shape::One, &["{\"a\":1}"], &[], false);
        check("{\"a\":1} x", &Shape::One, &[], &["{\"a\":1} x"], true);
    }

    #[test]
    fn invalid_utf8_costs_its_item() {
        let (pieces, broken) = cut(b"[{\"a\":\"\xff\"},{\"b\":\"\xc3\xa9\"}]", &Shape::Events);
        assert_eq!(pieces.iter().map(|(_, ok)| *ok).collect::<Vec<_>>(), [false, true]);
        assert!(!broken);
    }

    #[test]
    fn pieces_are_bounded() {
        let body = "1\n".repeat(101);
        assert!(split(body.as_bytes(), &Shape::Events, 100).is_err());
    }
}
