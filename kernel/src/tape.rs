//! JSON as a flat list of values, for what is read once and kept in another form: no allocation a value.

use std::borrow::Cow;
use std::fmt;

use crate::json::{self, Cursor, Kind};

/// A well-formed text and its values, each before those inside it. Of an object the keys are values, too.
#[derive(Debug)]
pub struct Tape<'t> {
    text: &'t str,
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    kind: Kind,
    start: usize,
    end: usize,
    /// The number of the value behind it and all that is inside it.
    next: usize,
}

/// Memory of a tape that was read before.
#[derive(Debug, Default)]
pub struct Room(Vec<Value>);

impl<'t> Tape<'t> {
    /// Reads a text whose brackets nest no deeper than `depth_max`. The error is a reason and a place, or none where it nests deeper.
    pub fn read(text: &'t [u8], depth_max: usize) -> Result<Tape<'t>, Option<String>> {
        Tape::read_in(Room(Vec::with_capacity(text.len() / 8)), text, depth_max)
    }

    /// As `read`, in memory that was used before: with thousands of texts, getting it and giving it back takes longer than they do.
    pub fn read_in(room: Room, text: &'t [u8], depth_max: usize) -> Result<Tape<'t>, Option<String>> {
        let malformed = |reason: &str, at: usize| Some(format!("{reason} at byte {at}"));
        json::check(text).map_err(|error| malformed(error.reason.name(), error.at))?;
        let mut tape = Tape { text: std::str::from_utf8(text).map_err(|_| None)?, values: room.0 };
        tape.values.clear();
        let mut open: Vec<usize> = Vec::new();
        let mut cursor = Cursor::new(text);
        while let Some(byte) = cursor.peek() {
            let start = cursor.at;
            cursor.at += 1;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {}
                b'{' | b'[' => {
                    if open.len() == depth_max {
                        return Err(None);
                    }
                    open.push(tape.values.len());
                    tape.push(if byte == b'{' { Kind::Object } else { Kind::Array }, start, start);
                }
                b'}' | b']' => {
                    let next = tape.values.len();
                    if let Some(value) = open.pop().and_then(|at| tape.values.get_mut(at)) {
                        (value.end, value.next) = (cursor.at, next);
                    }
                }
                b'"' => {
                    cursor.at = start;
                    let kind = cursor.string().map_err(|error| malformed(error.reason.name(), error.at))?;
                    if kind == Kind::EscapedText && !json::unescape(&text[start..cursor.at], &mut Vec::new()) {
                        return Err(malformed("a lone surrogate", start));
                    }
                    tape.push(kind, start, cursor.at);
                }
                _ => {
                    while cursor.peek().is_some_and(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'}' | b']')) {
                        cursor.at += 1;
                    }
                    let kind = match byte {
                        b't' => Kind::True,
                        b'f' => Kind::False,
                        b'n' => Kind::Null,
                        _ => Kind::Number,
                    };
                    tape.push(kind, start, cursor.at);
                }
            }
        }
        Ok(tape)
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.values.push(Value { kind, start, end, next: self.values.len() + 1 });
    }

    pub fn into_room(self) -> Room {
        Room(self.values)
    }

    /// The whole.
    pub fn root(&self) -> Json<'_> {
        Json { tape: self, at: Some(0) }
    }
}

/// A value, or null where there is none.
#[derive(Clone, Copy)]
pub struct Json<'t> {
    tape: &'t Tape<'t>,
    at: Option<usize>,
}

impl<'t> Json<'t> {
    fn value(self) -> Option<&'t Value> {
        self.tape.values.get(self.at?)
    }

    fn kind(self) -> Kind {
        self.value().map_or(Kind::Null, |value| value.kind)
    }

    /// Its JSON text.
    pub fn text(self) -> &'t str {
        self.value().map_or("null", |value| &self.tape.text[value.start..value.end])
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    pub fn as_str(self) -> Option<Cow<'t, str>> {
        let text = self.text();
        match self.kind() {
            Kind::Text => Some(Cow::Borrowed(&text[1..text.len() - 1])),
            Kind::EscapedText => {
                let mut out = Vec::new();
                json::unescape(text.as_bytes(), &mut out);
                String::from_utf8(out).ok().map(Cow::Owned)
            }
            _ => None,
        }
    }

    /// A number without a fraction and an exponent.
    pub fn as_i64(self) -> Option<i64> {
        if self.kind() == Kind::Number { self.text().parse().ok() } else { None }
    }

    /// A number that is finite as a double.
    pub fn as_f64(self) -> Option<f64> {
        let parsed: Option<f64> = if self.kind() == Kind::Number { self.text().parse().ok() } else { None };
        parsed.filter(|number| number.is_finite())
    }

    /// The items of a list.
    pub fn items(self) -> Option<Inside<'t>> {
        if self.kind() == Kind::Array { Some(self.inside()) } else { None }
    }

    /// The items of a list of so many.
    pub fn exactly<const N: usize>(self) -> Option<[Json<'t>; N]> {
        let mut items = self.items()?;
        let mut found = [Json { tape: self.tape, at: None }; N];
        for place in &mut found {
            *place = items.next()?;
        }
        if items.next().is_none() { Some(found) } else { None }
    }

    /// The keys and the values of an object by turns.
    fn members(self) -> Option<Inside<'t>> {
        if self.kind() == Kind::Object { Some(self.inside()) } else { None }
    }

    fn inside(self) -> Inside<'t> {
        let at = self.at.unwrap_or(0);
        Inside { tape: self.tape, at: at + 1, end: self.value().map_or(0, |value| value.next) }
    }

    /// The value of a member of an object, of several the last; null where there is none.
    pub fn get(self, name: &str) -> Json<'t> {
        let mut found = Json { tape: self.tape, at: None };
        let Some(mut members) = self.members() else { return found };
        while let (Some(key), Some(value)) = (members.next(), members.next()) {
            if key.as_str().is_some_and(|key| key == name) {
                found = value;
            }
        }
        found
    }

    /// The one member of an object that has one.
    pub fn only_member(self) -> Option<(Cow<'t, str>, Json<'t>)> {
        let mut members = self.members()?;
        let (key, value) = (members.next()?.as_str()?, members.next()?);
        if members.next().is_none() { Some((key, value)) } else { None }
    }
}

/// As it stands in the text.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[derive(Clone)]
pub struct Inside<'t> {
    tape: &'t Tape<'t>,
    at: usize,
    end: usize,
}

impl<'t> Iterator for Inside<'t> {
    type Item = Json<'t>;

    fn next(&mut self) -> Option<Json<'t>> {
        if self.at >= self.end {
            return None;
        }
        let item = Json { tape: self.tape, at: Some(self.at) };
        self.at = self.tape.values.get(self.at)?.next;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As serde_json reads it; text, numbers and all.
    fn built(json: Json) -> serde_json::Value {
        use serde_json::Value as Serde;
        if let Some(items) = json.items() {
            return Serde::Array(items.map(built).collect());
        }
        if let Some(members) = json.members() {
            let members: Vec<Json> = members.collect();
            let pairs = members.as_chunks::<2>().0.iter();
            return Serde::Object(pairs.map(|[key, value]| (key.as_str().unwrap().into_owned(), built(*value))).collect());
        }
        match (json.as_str(), json.as_bool()) {
            (Some(text), _) => Serde::String(text.into_owned()),
            (_, Some(flag)) => Serde::Bool(flag),
            _ if json.is_null() => Serde::Null,
            _ => serde_json::from_str(&json.to_string()).unwrap(),
        }
    }

    #[test]
    fn holds_what_the_text_says() {
        for text in [
            "null",
            " [ ] ",
            "{}",
            r#"[[],{},[[1],-0.5e3],"a\"\u00e9",{"x":{"y":[true,false,null]},"\n":[{"z":{}}]},"",12345678901234567890]"#,
            r#"{"a":1, "b" :[ "c" , {"d":"e"} ]
            , "f":-0}"#,
        ] {
            let tape = Tape::read(text.as_bytes(), 10).unwrap();
            assert_eq!(built(tape.root()), serde_json::from_str::<serde_json::Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn finds_members_and_items() {
        let tape = Tape::read(br#"{"a":[1,"x"],"b":9223372036854775808,"a":[{"c":1e400}, 7 ]}"#, 3).unwrap();
        let [first, second] = tape.root().get("a").exactly::<2>().unwrap();
        assert_eq!((first.only_member().unwrap().0.as_ref(), second.as_i64()), ("c", Some(7)));
        assert_eq!((first.get("c").as_f64(), first.get("d").is_null(), second.get("a").is_null()), (None, true, true));
        assert_eq!((tape.root().get("b").as_i64(), tape.root().get("b").as_f64()), (None, Some(9223372036854775808.0)));
        assert!(tape.root().get("a").exactly::<1>().is_none() && tape.root().get("a").exactly::<3>().is_none());
        assert!(tape.root().only_member().is_none() && first.as_str().is_none() && second.items().is_none());
    }

    #[test]
    fn refuses_what_is_malformed_or_too_deep() {
        assert_eq!(Tape::read(b"[1,]", 9).unwrap_err().unwrap(), "unexpected_byte at byte 3");
        assert_eq!(Tape::read(br#"["\ud800"]"#, 9).unwrap_err().unwrap(), "a lone surrogate at byte 1");
        assert_eq!(Tape::read(b"[[[]]]", 2).unwrap_err(), None);
        assert!(Tape::read(b"[[[]]]", 3).is_ok());
    }
}
