//! Values while rules run. They are small and point into the event, into the scratch text of the event, or into the program.

use std::cmp::Ordering;

use crate::functions::number;

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// In the event, without escapes.
    Event,
    /// In the text that was made for this event.
    Made,
    /// In the program: a literal.
    Program,
    /// In the event, which is a message: any text.
    Wire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub place: Place,
    pub start: u32,
    pub end: u32,
}

/// A value of any type. Offsets are 32 bits: `run` rejects events that are longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Null,
    /// NULL because an operation failed.
    Failed,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    /// A DOUBLE that is a number of the event, taken as is: its text, which is finite.
    Number {
        start: u32,
        end: u32,
    },
    Text(Text),
    /// Microseconds since 1970, UTC.
    Timestamp(i64),
    /// The JSON text of a value of the event.
    Json {
        start: u32,
        end: u32,
    },
    /// A list that was made for this event: its items in what `Evaluation` keeps of it.
    Items {
        first: u32,
        count: u32,
    },
    /// An object or a list of the event and the number of its shape. `plain` if its text is already what is to be written.
    Nested {
        start: u32,
        end: u32,
        shape: u32,
        plain: bool,
    },
}

/// A value in two words, as it is kept: an enum would be put together piece by piece, and copied before the pieces are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packed {
    /// From the lowest byte: which variant, place or `plain`; in the upper half the shape.
    head: u64,
    body: u64,
}

impl Packed {
    #[inline(always)]
    fn pair(head: u64, start: u32, end: u32) -> Packed {
        Packed { head, body: start as u64 | (end as u64) << 32 }
    }

    #[inline(always)]
    pub fn of(value: Value) -> Packed {
        match value {
            Value::Null => Packed { head: 0, body: 0 },
            Value::Failed => Packed { head: 1, body: 0 },
            Value::Boolean(flag) => Packed { head: 2, body: flag as u64 },
            Value::Integer(integer) => Packed { head: 3, body: integer as u64 },
            Value::Double(number) => Packed { head: 4, body: number.to_bits() },
            Value::Number { start, end } => Packed::pair(5, start, end),
            Value::Text(Text { place, start, end }) => Packed::pair(6 | (place as u64) << 8, start, end),
            Value::Timestamp(micros) => Packed { head: 7, body: micros as u64 },
            Value::Json { start, end } => Packed::pair(8, start, end),
            Value::Items { first, count } => Packed::pair(9, first, count),
            Value::Nested { start, end, shape, plain } => {
                Packed::pair(10 | (plain as u64) << 8 | (shape as u64) << 32, start, end)
            }
        }
    }

    /// Where it stands in the event, if it is a text of a message.
    #[inline(always)]
    pub fn wire_text(self) -> Option<(usize, usize)> {
        (self.head == 6 | (Place::Wire as u64) << 8).then_some((self.body as u32 as usize, (self.body >> 32) as usize))
    }

    #[inline(always)]
    pub fn integer(self) -> Option<i64> {
        (self.head == 3).then_some(self.body as i64)
    }

    #[inline(always)]
    pub fn value(self) -> Value {
        let (start, end) = (self.body as u32, (self.body >> 32) as u32);
        let second = (self.head >> 8) as u8;
        match self.head as u8 {
            0 => Value::Null,
            1 => Value::Failed,
            2 => Value::Boolean(self.body != 0),
            3 => Value::Integer(self.body as i64),
            4 => Value::Double(f64::from_bits(self.body)),
            5 => Value::Number { start, end },
            6 => {
                let place = match second {
                    0 => Place::Event,
                    1 => Place::Made,
                    2 => Place::Program,
                    _ => Place::Wire,
                };
                Value::Text(Text { place, start, end })
            }
            7 => Value::Timestamp(self.body as i64),
            8 => Value::Json { start, end },
            9 => Value::Items { first: start, count: end },
            _ => Value::Nested { start, end, shape: (self.head >> 32) as u32, plain: second != 0 },
        }
    }
}

impl Value {
    #[inline(always)]
    pub fn is_null(self) -> bool {
        matches!(self, Value::Null | Value::Failed)
    }
}

/// What values point into.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    pub event: &'a [u8],
    pub made: &'a [u8],
    pub program: &'a [u8],
}

impl<'a> Texts<'a> {
    #[inline(always)]
    pub fn text(self, text: Text) -> &'a [u8] {
        let from = match text.place {
            Place::Event | Place::Wire => self.event,
            Place::Made => self.made,
            Place::Program => self.program,
        };
        &from[text.start as usize..text.end as usize]
    }

    /// The bytes of a VARCHAR; empty for anything else.
    #[inline(always)]
    pub fn bytes(self, value: Value) -> &'a [u8] {
        match value {
            Value::Text(text) => self.text(text),
            _ => &[],
        }
    }

    #[inline]
    pub fn double(self, value: Value) -> f64 {
        match value {
            Value::Double(number) => number,
            Value::Number { start, end } => number::json_double(&self.event[start as usize..end as usize]).unwrap_or(f64::NAN),
            _ => f64::NAN,
        }
    }

    /// The order of two values of one type, neither of them NULL. NaN equals NaN and is the greatest.
    #[inline]
    pub fn order(self, a: Value, b: Value) -> Ordering {
        match (a, b) {
            (Value::Integer(a), Value::Integer(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(&b),
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(&b),
            (Value::Text(a), Value::Text(b)) => self.text(a).cmp(self.text(b)),
            _ => {
                let (a, b) = (self.double(a), self.double(b));
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
        }
    }

    #[inline]
    pub fn equal(self, a: Value, b: Value) -> bool {
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => self.text(a) == self.text(b),
            _ => self.order(a, b) == Ordering::Equal,
        }
    }
}
