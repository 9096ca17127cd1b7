//! The strict operations, on arguments that are not NULL.

use std::cmp::Ordering;

use crate::eval::Evaluation;
use crate::functions::{hash, number, rounding, text, timestamp};
use crate::json::{Kind, Span};
use crate::link::Call;
use crate::op::Op;
use crate::read::{self, Shape};
use crate::value::{Text, Value};

const BIGINT: u32 = 0;
const JSON: u32 = 5;

impl Evaluation<'_> {
    pub fn operate(&mut self, call: &Call, values: [Value; 3]) -> Value {
        let [a, b, _] = values;
        let texts = self.texts();
        let flag = Value::Boolean;
        match call.op {
            Op::Not => flag(a == Value::Boolean(false)),
            Op::Eq => flag(texts.equal(a, b)),
            Op::Ne => flag(!texts.equal(a, b)),
            Op::Lt => flag(texts.order(a, b) == Ordering::Less),
            Op::Le => flag(texts.order(a, b) != Ordering::Greater),
            Op::Gt => flag(texts.order(a, b) == Ordering::Greater),
            Op::Ge => flag(texts.order(a, b) != Ordering::Less),
            Op::Like => flag(self.program.patterns[call.extra as usize].matches(texts.bytes(a))),
            Op::StartsWith => flag(texts.bytes(a).starts_with(texts.bytes(b))),
            Op::Contains => flag(memchr::memmem::find(texts.bytes(a), texts.bytes(b)).is_some()),
            Op::Add | Op::Sub | Op::Mul | Op::Mod | Op::Neg if call.shape == BIGINT => self.whole(call.op, a, b),
            Op::IntDiv => self.whole(call.op, a, b),
            Op::Add | Op::Sub | Op::Mul | Op::Mod | Op::Neg | Op::Div => {
                Value::Double(real(call.op, texts.double(a), texts.double(b)))
            }
            Op::Cast | Op::TryCast => self.cast(call, a),
            Op::Length => self.length(a),
            Op::StructGet => self.struct_get(call, a, b),
            Op::ListGet => self.list_get(call, a, b),
            Op::Epoch | Op::EpochMs | Op::EpochUs | Op::MakeTimestamp => self.epoch_operation(call.op, a),
            Op::DatePart | Op::DateTrunc | Op::DateDiff | Op::DateSub | Op::AddInterval | Op::TimeBucket | Op::Strftime => {
                self.time_operation(call, values)
            }
            Op::ListContains => self.list_contains(call, a, b),
            Op::ListSlice => self.list_slice(call, values),
            Op::StringSplit => self.string_split(a, b),
            Op::RegexpMatches | Op::RegexpFullMatch | Op::RegexpExtract | Op::RegexpReplace => self.regexp(call, a),
            Op::Abs => self.abs(a),
            Op::Round => self.round(a, b),
            Op::Floor => Value::Double(texts.double(a).floor()),
            Op::Ceil => Value::Double(texts.double(a).ceil()),
            Op::Md5NumberLower => self.md5_number_lower(call, a, b),
            _ => self.text_operation(call, values),
        }
    }

    fn whole(&mut self, op: Op, a: Value, b: Value) -> Value {
        let Value::Integer(a) = a else { return Value::Null };
        let b = if let Value::Integer(b) = b { b } else { 0 };
        let result = match op {
            Op::Add => a.checked_add(b),
            Op::Sub => a.checked_sub(b),
            Op::Mul => a.checked_mul(b),
            Op::IntDiv => a.checked_div(b),
            Op::Mod => a.checked_rem(b),
            _ => a.checked_neg(),
        };
        result.map_or_else(|| self.fail(op), Value::Integer)
    }

    fn length(&mut self, value: Value) -> Value {
        let length = match value {
            Value::Text(given) => text::length(self.texts().text(given)),
            list => self.list_length(list),
        };
        Value::Integer(length as i64)
    }

    fn abs(&mut self, value: Value) -> Value {
        match value {
            Value::Integer(integer) => integer.checked_abs().map_or_else(|| self.fail(Op::Abs), Value::Integer),
            _ => Value::Double(self.texts().double(value).abs()),
        }
    }

    fn round(&mut self, value: Value, digits: Value) -> Value {
        let digits = if let Value::Integer(digits) = digits { digits } else { 0 };
        if !rounding::valid_digits(digits) {
            return self.fail(Op::Round);
        }
        match value {
            Value::Integer(integer) => {
                rounding::round_bigint(integer, digits).map_or_else(|| self.fail(Op::Round), Value::Integer)
            }
            _ => Value::Double(rounding::round_double(self.texts().double(value), digits)),
        }
    }

    /// The lower half of the digest as DOUBLE, or what is left of it divided by a BIGINT.
    fn md5_number_lower(&mut self, call: &Call, given: Value, divisor: Value) -> Value {
        let number = hash::md5_number_lower(self.texts().bytes(given));
        if call.shape != BIGINT {
            return Value::Double(number as f64);
        }
        match divisor {
            // What is left is smaller than the divisor and so fits.
            Value::Integer(divisor) if divisor != 0 => Value::Integer((number % divisor.unsigned_abs()) as i64),
            _ => self.fail(Op::Md5NumberLower),
        }
    }

    fn struct_get(&mut self, call: &Call, object: Value, name: Value) -> Value {
        let Value::Nested { start, .. } = object else { return Value::Null };
        let mut spare = Vec::new();
        match read::member(self.event, start as usize, self.texts().bytes(name), &mut spare) {
            Some(span) => self.reader().read(span, call.shape),
            None => Value::Null,
        }
    }

    /// Operations that give a text or a part of one.
    fn text_operation(&mut self, call: &Call, [a, b, c]: [Value; 3]) -> Value {
        let op = call.op;
        let Value::Text(given) = a else { return Value::Null };
        let bytes = self.texts().text(given);
        let range = match op {
            Op::Lower | Op::Upper => {
                let change = if op == Op::Lower { text::lower } else { text::upper };
                return self.make(op, bytes.len(), |texts, out| change(texts.text(given), out));
            }
            Op::Md5 => return self.make(op, 32, |texts, out| hash::md5(texts.text(given), out)),
            Op::SplitPart => {
                let Value::Integer(number) = c else { return Value::Null };
                Some(text::split_part(bytes, self.texts().bytes(b), number))
            }
            Op::Replace => {
                let (old, new) = (self.texts().bytes(b), self.texts().bytes(c));
                let found = if old.is_empty() { 0 } else { memchr::memmem::find_iter(bytes, old).count() };
                let most = bytes.len().saturating_add(found.saturating_mul(new.len()));
                return self.make(op, most, |texts, out| text::replace(texts.text(given), texts.bytes(b), texts.bytes(c), out));
            }
            Op::Substring => {
                let integer = |value: Value| if let Value::Integer(integer) = value { Some(integer) } else { None };
                text::substring(bytes, integer(b).unwrap_or_default(), integer(c))
            }
            _ => {
                let cut = matches!(b, Value::Text(_)).then(|| self.texts().bytes(b));
                Some(text::trim(bytes, cut, op != Op::Rtrim, op != Op::Ltrim))
            }
        };
        match range {
            Some((from, to)) => {
                let Text { place, start, .. } = given;
                Value::Text(Text { place, start: start + from as u32, end: start + to as u32 })
            }
            None => self.fail(op),
        }
    }

    fn cast(&mut self, call: &Call, value: Value) -> Value {
        if call.from == call.shape {
            return value;
        }
        if call.from == JSON {
            return self.cast_json(call, value);
        }
        let shapes = &self.program.shapes;
        let texts = self.texts();
        let cast = match (&shapes.list[call.shape as usize], value) {
            (Shape::Varchar, _) => return self.varchar(call.op, value),
            (Shape::BigInt, Value::Text(given)) => number::text_to_bigint(texts.text(given)).map(Value::Integer),
            (Shape::BigInt, Value::Boolean(flag)) => Some(Value::Integer(flag as i64)),
            (Shape::BigInt, _) => number::double_to_bigint(texts.double(value)).map(Value::Integer),
            (Shape::Double, Value::Text(given)) => number::text_to_double(texts.text(given)).map(Value::Double),
            (Shape::Double, Value::Boolean(flag)) => Some(Value::Double(flag as u8 as f64)),
            (Shape::Double, Value::Integer(integer)) => Some(Value::Double(integer as f64)),
            (Shape::Boolean, Value::Text(given)) => number::text_to_boolean(texts.text(given)).map(Value::Boolean),
            (Shape::Boolean, Value::Integer(integer)) => Some(Value::Boolean(integer != 0)),
            (Shape::Boolean, _) => Some(Value::Boolean(texts.double(value) != 0.0)),
            (Shape::Timestamp, Value::Text(given)) => timestamp::from_text(texts.text(given)).map(Value::Timestamp),
            _ => None,
        };
        cast.unwrap_or_else(|| self.fail(call.op))
    }

    fn varchar(&mut self, op: Op, value: Value) -> Value {
        self.make(op, 32, |texts, out| match value {
            Value::Integer(integer) => number::write_integer(integer, out),
            Value::Boolean(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Value::Timestamp(micros) => timestamp::write(micros, b' ', out),
            _ => number::write_double(texts.double(value), out),
        })
    }

    /// Reads the value by the reading table; what that calls NULL fails.
    fn cast_json(&mut self, call: &Call, value: Value) -> Value {
        let Value::Json { start, end } = value else { return Value::Null };
        let (start, end) = (start as usize, end as usize);
        let raw = &self.event[start..end];
        let kind = match raw.first() {
            Some(b'"') if memchr::memchr(b'\\', raw).is_some() => Kind::EscapedText,
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') | None => Kind::Null,
            _ => Kind::Number,
        };
        match self.reader().read(Span { start, end, kind }, call.shape) {
            Value::Null => self.fail(call.op),
            found => found,
        }
    }
}

fn real(op: Op, a: f64, b: f64) -> f64 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Mod => a % b,
        _ => -a,
    }
}
