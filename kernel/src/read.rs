//! Reading a value of the event as a registered type: the table "Reading a field" of `docs/formats/physical-rule.md`.

use crate::counts::FieldCounts;
use crate::eval::Memory;
use crate::functions::{number, timestamp};
use crate::json::{self, Cursor, Kind, Span};
use crate::keys::KeyTable;
use crate::link::{Program, Reading};
use crate::slots::{ANY, Tag, tags};
use crate::types::Type;
use crate::value::{Place, Text, Value};

/// A type made ready for reading. Shapes are numbered; 0 to 5 are the scalars in the order of this list.
#[derive(Debug)]
pub enum Shape {
    BigInt,
    Double,
    Boolean,
    Varchar,
    Timestamp,
    Json,
    List { item: u32 },
    Struct(Fields),
}

impl Shape {
    /// The tags whose values are what they are written as, or whose text is; 0 where a value has more to it.
    pub fn usual(&self) -> u16 {
        match self {
            Shape::BigInt => Tag::Integer.bit(),
            Shape::Boolean => tags(&[Tag::True, Tag::False]),
            Shape::Varchar => Tag::Text.bit(),
            _ => 0,
        }
    }

    /// The tags whose text in the event is what a row has of them.
    pub fn verbatim(&self) -> u16 {
        match self {
            Shape::Double => tags(&[Tag::Integer, Tag::Decimal]),
            Shape::Json => ANY & !Tag::Null.bit(),
            other => other.usual(),
        }
    }
}

/// The registered fields of a struct.
#[derive(Debug)]
pub struct Fields {
    pub keys: KeyTable,
    pub shapes: Vec<u32>,
    /// `"name":`
    pub labels: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub struct Shapes {
    pub list: Vec<Shape>,
    known: std::collections::HashMap<Type, u32>,
}

impl Default for Shapes {
    fn default() -> Self {
        let scalars = [Type::BigInt, Type::Double, Type::Boolean, Type::Varchar, Type::Timestamp, Type::Json];
        let known = scalars.into_iter().zip(0..).collect();
        let list = vec![Shape::BigInt, Shape::Double, Shape::Boolean, Shape::Varchar, Shape::Timestamp, Shape::Json];
        Shapes { list, known }
    }
}

impl Shapes {
    /// The number of the shape of a type. A bare NULL is read as JSON: it never is.
    pub fn of(&mut self, kind: &Type) -> u32 {
        if *kind == Type::Null {
            return 5;
        }
        if let Some(known) = self.known.get(kind) {
            return *known;
        }
        let shape = match kind {
            Type::Struct(fields) => {
                let label = |name: &str| {
                    let mut label = Vec::new();
                    json::write_string(name.as_bytes(), &mut label);
                    label.push(b':');
                    label
                };
                Shape::Struct(Fields {
                    keys: KeyTable::new(fields.iter().map(|(name, _)| name.as_str())),
                    shapes: fields.iter().map(|(_, inner)| self.of(inner)).collect(),
                    labels: fields.iter().map(|(name, _)| label(name)).collect(),
                })
            }
            Type::List(item) => Shape::List { item: self.of(item) },
            _ => Shape::Json,
        };
        self.list.push(shape);
        let number = self.list.len() as u32 - 1;
        self.known.insert(kind.clone(), number);
        number
    }

    /// Forgets the types, which only linking needs.
    pub fn finish(&mut self) {
        self.known.clear();
    }
}

/// What is counted when a field is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub coerced: bool,
    pub type_error: bool,
}

/// Reads values of one event. `made` takes the text of strings with escapes.
pub struct Reader<'a> {
    pub shapes: &'a Shapes,
    pub event: &'a [u8],
    pub made: &'a mut Vec<u8>,
    pub flags: Flags,
    /// Members of the structs that are being examined: (field, span).
    pub members: &'a mut Vec<(u32, Span)>,
}

impl<'a> Reader<'a> {
    fn type_error(&mut self) -> Value {
        self.flags.type_error = true;
        Value::Null
    }

    #[inline]
    pub fn read(&mut self, span: Span, shape: u32) -> Value {
        if span.kind == Kind::Null {
            return Value::Null;
        }
        let shapes = self.shapes;
        match &shapes.list[shape as usize] {
            Shape::Varchar => self.varchar(span),
            Shape::BigInt => self.bigint(span),
            Shape::Double => self.double(span),
            Shape::Boolean => self.boolean(span),
            Shape::Timestamp => self.timestamp(span),
            Shape::Json => Value::Json { start: span.start as u32, end: span.end as u32 },
            Shape::List { .. } if span.kind != Kind::Array => self.type_error(),
            Shape::Struct(_) if span.kind != Kind::Object => self.type_error(),
            _ => {
                let plain = self.examine(span, shape);
                Value::Nested { start: span.start as u32, end: span.end as u32, shape, plain }
            }
        }
    }

    #[inline(always)]
    fn raw(&self, span: Span) -> &'a [u8] {
        &self.event[span.start..span.end]
    }

    #[inline(always)]
    fn varchar(&mut self, span: Span) -> Value {
        match span.kind {
            Kind::Text => text(span.start + 1, span.end - 1),
            Kind::EscapedText => {
                let start = self.made.len() as u32;
                if !json::unescape(self.raw(span), self.made) {
                    return self.type_error();
                }
                Value::Text(Text { place: Place::Made, start, end: self.made.len() as u32 })
            }
            Kind::Number | Kind::True | Kind::False => {
                self.flags.coerced = true;
                text(span.start, span.end)
            }
            _ => self.type_error(),
        }
    }

    #[inline(always)]
    fn bigint(&mut self, span: Span) -> Value {
        let found = match span.kind {
            Kind::Number => {
                if let Some(integer) = number::json_integer(self.raw(span)) {
                    return Value::Integer(integer);
                }
                // Integers that do not fit have no fraction either, and must not count as coerced.
                number::json_whole(self.raw(span))
            }
            _ => self.with_text(span, number::json_integer),
        };
        self.coerced(found.map(Value::Integer))
    }

    fn coerced(&mut self, found: Option<Value>) -> Value {
        match found {
            Some(value) => {
                self.flags.coerced = true;
                value
            }
            None => self.type_error(),
        }
    }

    /// What `convert` makes of the value's text; none where the value is no text.
    fn with_text<T>(&mut self, span: Span, convert: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        match span.kind {
            Kind::Text => convert(&self.event[span.start + 1..span.end - 1]),
            Kind::EscapedText => {
                let kept = self.made.len();
                let found = json::unescape(self.raw(span), self.made).then(|| convert(&self.made[kept..])).flatten();
                self.made.truncate(kept);
                found
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn double(&mut self, span: Span) -> Value {
        if span.kind != Kind::Number {
            let found = self.with_text(span, |text| if number::is_json_number(text) { number::json_double(text) } else { None });
            return self.coerced(found.map(Value::Double));
        }
        let raw = self.raw(span);
        // Without an exponent a number of this length is finite.
        let short = raw.len() < 300 && !raw.iter().any(|byte| matches!(byte, b'e' | b'E'));
        if short || number::json_double(raw).is_some() {
            return Value::Number { start: span.start as u32, end: span.end as u32 };
        }
        self.type_error()
    }

    #[inline(always)]
    fn boolean(&mut self, span: Span) -> Value {
        match span.kind {
            Kind::True => Value::Boolean(true),
            Kind::False => Value::Boolean(false),
            _ => {
                let found = self.with_text(span, |text| {
                    let word = |word: &[u8]| text.eq_ignore_ascii_case(word);
                    if word(b"true") { Some(true) } else { word(b"false").then_some(false) }
                });
                self.coerced(found.map(Value::Boolean))
            }
        }
    }

    fn timestamp(&mut self, span: Span) -> Value {
        if span.kind == Kind::Number {
            let found = number::json_whole(self.raw(span)).and_then(timestamp::from_millis);
            return self.coerced(found.map(Value::Timestamp));
        }
        match self.with_text(span, timestamp::read_iso) {
            Some(micros) => Value::Timestamp(micros),
            None => self.type_error(),
        }
    }

    /// Reads everything inside an object or a list, for the counters. True if its text is what is to be written.
    fn examine(&mut self, span: Span, shape: u32) -> bool {
        let shapes = self.shapes;
        match &shapes.list[shape as usize] {
            Shape::Struct(fields) if span.kind == Kind::Object => self.examine_struct(span, fields),
            Shape::List { item } if span.kind == Kind::Array => self.examine_list(span, *item),
            _ => self.examine_scalar(span, shape),
        }
    }

    fn examine_scalar(&mut self, span: Span, shape: u32) -> bool {
        let kept = self.made.len();
        let outer = std::mem::take(&mut self.flags);
        let value = self.read(span, shape);
        self.made.truncate(kept);
        let counted = std::mem::replace(&mut self.flags, outer);
        self.flags.coerced |= counted.coerced;
        self.flags.type_error |= counted.type_error;
        let rewritten = match value {
            Value::Text(text) => text.place != Place::Event,
            Value::Integer(integer) => integer == 0 && span.end - span.start > 1,
            Value::Timestamp(_) => true,
            _ => false,
        };
        !rewritten && counted == Flags::default()
    }

    fn examine_list(&mut self, span: Span, item: u32) -> bool {
        let mut plain = true;
        let mut next = span.start + 1;
        let mut cursor = Cursor::from(self.event, span.start);
        let mut more = cursor.enter(b'[', b']').unwrap_or(false);
        while more {
            let Ok(value) = cursor.value() else { return false };
            plain &= value.start == next;
            if value.kind != Kind::Null {
                plain &= self.examine(value, item);
            }
            next = value.end + 1;
            more = cursor.next_member(b']').unwrap_or(false);
        }
        plain & (cursor.at == next.max(span.start + 2))
    }

    fn examine_struct(&mut self, span: Span, fields: &Fields) -> bool {
        let base = self.members.len();
        let mut plain = self.collect_members(span, fields);
        for at in base..self.members.len() {
            let (field, value) = self.members[at];
            if value.kind == Kind::Null {
                plain = false;
            } else {
                plain &= self.examine(value, fields.shapes[field as usize]);
            }
        }
        self.members.truncate(base);
        plain
    }

    /// Appends the registered members of an object, of duplicates the last, in the order of the event. True if nothing
    /// was left out and there was no white space and no escape.
    pub fn collect_members(&mut self, span: Span, fields: &Fields) -> bool {
        let base = self.members.len();
        let mut plain = true;
        let mut next = span.start + 1;
        let mut cursor = Cursor::from(self.event, span.start);
        let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
        while more {
            let (Ok(key), Ok(value)) = (cursor.key(), cursor.value()) else { return false };
            plain &= key.start == next && value.start == key.end + 1 && key.kind == Kind::Text;
            match find_key(&fields.keys, self.event, key, self.made) {
                None => plain = false,
                Some(field) => {
                    if let Some(at) = self.members[base..].iter().position(|(known, _)| *known == field) {
                        plain = false;
                        self.members.remove(base + at);
                    }
                    self.members.push((field, value));
                }
            }
            next = value.end + 1;
            more = cursor.next_member(b'}').unwrap_or(false);
        }
        plain & (cursor.at == next.max(span.start + 2))
    }
}

/// Reads a value for each of the readings of its path, and counts.
pub fn read_all(
    program: &Program,
    readings: &[(u32, Reading)],
    span: Span,
    event: &[u8],
    memory: &mut Memory,
    fields: &mut [FieldCounts],
) {
    let mut flags = Flags::default();
    for (number, reading) in readings {
        let (made, members) = (&mut memory.made, &mut memory.members);
        let mut reader = Reader { shapes: &program.shapes, event, made, flags: Flags::default(), members };
        let value = reader.read(span, reading.shape);
        flags.coerced |= reader.flags.coerced;
        flags.type_error |= reader.flags.type_error;
        memory.keep_reading(*number, value);
    }
    if flags != Flags::default()
        && let Some((_, reading)) = readings.first()
    {
        let counts = &mut fields[reading.path as usize];
        counts.coerced += flags.coerced as u64;
        counts.type_errors += flags.type_error as u64;
    }
}

fn text(start: usize, end: usize) -> Value {
    Value::Text(Text { place: Place::Event, start: start as u32, end: end as u32 })
}

/// The number of a key, its escapes resolved (`spare` is used and left as it was).
#[inline(always)]
pub fn find_key(keys: &KeyTable, event: &[u8], key: Span, spare: &mut Vec<u8>) -> Option<u32> {
    if key.kind == Kind::Text {
        return keys.find(&event[key.start + 1..key.end - 1]);
    }
    let kept = spare.len();
    json::unescape_key(&event[key.start..key.end], spare);
    let found = keys.find(&spare[kept..]);
    spare.truncate(kept);
    found
}

/// The value of a member of an object, of duplicates the last.
pub fn member(event: &[u8], object: usize, name: &[u8], spare: &mut Vec<u8>) -> Option<Span> {
    let mut found = None;
    let mut cursor = Cursor::from(event, object);
    let mut more = cursor.enter(b'{', b'}').ok()?;
    while more {
        let (key, value) = (cursor.key().ok()?, cursor.value().ok()?);
        if key_is(event, key, name, spare) {
            found = Some(value);
        }
        more = cursor.next_member(b'}').ok()?;
    }
    found
}

/// Whether a key, its escapes resolved, is `name`.
pub fn key_is(event: &[u8], key: Span, name: &[u8], spare: &mut Vec<u8>) -> bool {
    if key.kind == Kind::Text {
        return &event[key.start + 1..key.end - 1] == name;
    }
    let kept = spare.len();
    json::unescape_key(&event[key.start..key.end], spare);
    let same = &spare[kept..] == name;
    spare.truncate(kept);
    same
}

/// How many items a list has.
pub fn list_length(event: &[u8], list: usize) -> usize {
    Items::new(event, list).count()
}

/// The item numbered `index` from 0.
pub fn list_item(event: &[u8], list: usize, index: usize) -> Option<Span> {
    Items::new(event, list).nth(index)
}

/// The items of a list that is known to be well-formed.
pub struct Items<'a> {
    cursor: Cursor<'a>,
    more: bool,
}

impl<'a> Items<'a> {
    pub fn new(event: &'a [u8], list: usize) -> Items<'a> {
        let mut cursor = Cursor::from(event, list);
        let more = cursor.enter(b'[', b']').unwrap_or(false);
        Items { cursor, more }
    }
}

impl Iterator for Items<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        if !self.more {
            return None;
        }
        let value = self.cursor.value().ok()?;
        self.more = self.cursor.next_member(b']').unwrap_or(false);
        Some(value)
    }
}
