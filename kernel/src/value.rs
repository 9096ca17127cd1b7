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
