//! Columns and answers as MessagePack, in which they leave this crate and come back.
//!
//! Columns are a list of lists. An answer is a list of values, in which a map of one text to one text stands for a call that
//! failed, its second text being the reason; or such a map alone, where all failed.

use crate::eval::Evaluation;
use crate::functions::timestamp;
use crate::read::{Items, Shape};
use crate::types::Type;
use crate::udf::ask::{Answer, Asked, Given};
use crate::value::Value;

/// Lists in an answer are of scalars; what is nested deeper is none.
const DEPTH_MAX: usize = 3;

/// Appends a value; what cannot be passed (it is never asked for) is nil.
pub fn write(evaluation: &mut Evaluation, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Boolean(flag) => out.push(0xC2 + flag as u8),
        Value::Integer(integer) | Value::Timestamp(integer) => {
            out.push(0xD3);
            out.extend_from_slice(&integer.to_be_bytes());
        }
        Value::Double(_) | Value::Number { .. } => {
            out.push(0xCB);
            out.extend_from_slice(&evaluation.texts().double(value).to_be_bytes());
        }
        Value::Text(_) => {
            let bytes = evaluation.texts().bytes(value);
            out.push(0xDB);
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        Value::Items { first, count } => {
            begin_list(count, out);
            for at in first..first + count {
                let item = evaluation.memory.items[at as usize];
                write(evaluation, item, out);
            }
        }
        Value::Nested { start, shape, .. } => match evaluation.program.shapes.list[shape as usize] {
            Shape::List { item } => {
                let kept = evaluation.memory.made.len();
                begin_list(evaluation.list_length(value) as u32, out);
                for span in Items::new(evaluation.event, start as usize) {
                    let item = evaluation.reader().read(span, item);
                    write(evaluation, item, out);
                    evaluation.memory.made.truncate(kept);
                }
            }
            _ => out.push(0xC0),
        },
        Value::Null | Value::Failed | Value::Json { .. } => out.push(0xC0),
    }
}

fn begin_list(count: u32, out: &mut Vec<u8>) {
    out.push(0xDD);
    out.extend_from_slice(&count.to_be_bytes());
}

/// The columns of what is asked.
pub fn columns(asked: &Asked) -> Vec<u8> {
    let bytes: usize = asked.columns.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(bytes + 5 * (asked.columns.len() + 1));
    begin_list(asked.columns.len() as u32, &mut out);
    for column in &asked.columns {
        begin_list(asked.calls.len() as u32, &mut out);
        out.extend_from_slice(column);
    }
    out
}

/// Takes an answer in. What cannot be read makes all of its calls fail.
pub fn take(answer: &[u8], function: &str, calls: &[(u32, u32)], result: &Type, given: &mut Given) {
    let mut reader = Reader { function, bytes: answer, at: 0 };
    let (texts, items) = (given.texts.len(), given.items.len());
    let mut read = || -> Option<Vec<Answer>> {
        if matches!(reader.peek()?, 0x81) {
            let reason = reader.reason(given)?;
            return Some(vec![reason; calls.len()]);
        }
        let count = reader.list()?;
        (count == calls.len()).then_some(())?;
        let found = (0..count).map(|_| reader.answer(result, given, DEPTH_MAX)).collect::<Option<Vec<_>>>()?;
        (reader.at == answer.len()).then_some(found)
    };
    let found = read().unwrap_or_else(|| {
        given.texts.truncate(texts);
        given.items.truncate(items);
        vec![fail(given, function, "unreadable: what came back is no answer"); calls.len()]
    });
    for (call, answer) in calls.iter().zip(found) {
        given.known.insert(*call, answer);
    }
}

fn fail(given: &mut Given, function: &str, reason: &str) -> Answer {
    given.reasons.push(format!("udf {function}: {reason}"));
    Answer::Failed(given.reasons.len() as u32 - 1)
}

struct Reader<'a> {
    function: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let found = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(found)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | *byte as u64))
    }

    fn list(&mut self) -> Option<usize> {
        match self.number(1)? {
            tag @ 0x90..=0x9F => Some(tag as usize & 0xF),
            0xDC => Some(self.number(2)? as usize),
            0xDD => Some(self.number(4)? as usize),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let count = match self.number(1)? {
            tag @ 0xA0..=0xBF => tag as usize & 0x1F,
            0xD9 => self.number(1)? as usize,
            0xDA => self.number(2)? as usize,
            0xDB => self.number(4)? as usize,
            _ => return None,
        };
        std::str::from_utf8(self.take(count)?).ok()
    }

    /// Of a map of one text to one text, the second.
    fn reason(&mut self, given: &mut Given) -> Option<Answer> {
        self.take(1)?;
        self.text()?;
        let reason = self.text()?;
        Some(fail(given, self.function, reason))
    }

    fn integer(&mut self) -> Option<i64> {
        Some(match self.number(1)? {
            tag @ (0..=0x7F | 0xE0..=0xFF) => tag as u8 as i8 as i64,
            0xCC => self.number(1)? as i64,
            0xCD => self.number(2)? as i64,
            0xCE => self.number(4)? as i64,
            0xCF => i64::try_from(self.number(8)?).ok()?,
            0xD0 => self.number(1)? as i8 as i64,
            0xD1 => self.number(2)? as i16 as i64,
            0xD2 => self.number(4)? as i32 as i64,
            0xD3 => self.number(8)? as i64,
            _ => return None,
        })
    }

    fn answer(&mut self, kind: &Type, given: &mut Given, depth: usize) -> Option<Answer> {
        match (self.peek()?, kind) {
            _ if depth == 0 => None,
            (0xC0, _) => self.take(1).map(|_| Answer::Null),
            (0x81, _) => self.reason(given),
            (tag @ (0xC2 | 0xC3), Type::Boolean) => self.take(1).map(|_| Answer::Boolean(tag == 0xC3)),
            (0xCB, Type::Double) => {
                self.take(1)?;
                self.number(8).map(|bits| Answer::Double(f64::from_bits(bits)))
            }
            (_, Type::BigInt) => self.integer().map(Answer::Integer),
            (_, Type::Timestamp) => self.integer().and_then(timestamp::in_range).map(Answer::Timestamp),
            (_, Type::Varchar) => {
                let text = self.text()?;
                let start = given.texts.len();
                given.texts.extend_from_slice(text.as_bytes());
                Some(Answer::Text { start, end: given.texts.len() })
            }
            (_, Type::List(item)) => {
                let count = self.list()?;
                let found = (0..count).map(|_| self.answer(item, given, depth - 1)).collect::<Option<Vec<_>>>()?;
                let first = given.items.len();
                given.items.extend(found);
                Some(Answer::List { first, count })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(answer: &[u8], result: &Type) -> (Answer, Given) {
        let mut given = Given::default();
        take(answer, "f", &[(0, 0)], result, &mut given);
        (given.known[&(0, 0)], given)
    }

    #[test]
    fn answers_are_read_by_their_types() {
        assert_eq!(taken(&[0x91, 0xC0], &Type::BigInt).0, Answer::Null);
        assert_eq!(taken(&[0x91, 0xE0], &Type::BigInt).0, Answer::Integer(-32));
        assert_eq!(taken(&[0x91, 0xD1, 0xFF, 0x00], &Type::BigInt).0, Answer::Integer(-256));
        assert_eq!(taken(&[0xDC, 0, 1, 0xC3], &Type::Boolean).0, Answer::Boolean(true));
        let text = taken(&[0x91, 0xA2, b'a', b'b'], &Type::Varchar);
        assert_eq!((text.0, text.1.texts), (Answer::Text { start: 0, end: 2 }, b"ab".to_vec()));
        let list = taken(&[0x91, 0x92, 1, 0xC0], &Type::List(Box::new(Type::BigInt)));
        assert_eq!((list.0, list.1.items), (Answer::List { first: 0, count: 2 }, vec![Answer::Integer(1), Answer::Null]));
        for answer in [&[0x91, 0x81, 0xA0, 0xA1, b'x'][..], &[0x81, 0xA0, 0xA1, b'x']] {
            let failed = taken(answer, &Type::BigInt);
            assert_eq!((failed.0, failed.1.reasons), (Answer::Failed(0), vec!["udf f: x".to_owned()]));
        }
    }

    #[test]
    fn what_is_no_answer_makes_the_calls_fail() {
        let long = [&[0x91, 0xDB, 0xFF, 0xFF, 0xFF, 0xFF][..], &[0x91, 0xDD, 0xFF, 0xFF, 0xFF, 0xFF]];
        let wrong = [
            &[][..],
            &[0x92, 1, 2],
            &[0x91],
            &[0x91, 0xC3],
            &[0x91, 0xA1, 0xFF],
            &[0x91, 1, 1],
            &[0x91, 0xCF, 255, 255, 255, 255, 255, 255, 255, 255],
        ];
        for answer in wrong.into_iter().chain(long) {
            for kind in [Type::BigInt, Type::List(Box::new(Type::Varchar))] {
                assert_eq!(taken(answer, &kind).0, Answer::Failed(0), "{answer:?} {kind}");
            }
        }
    }
}
