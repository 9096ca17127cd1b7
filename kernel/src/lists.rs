//! Operations on lists, and those that make them.
//!
//! A list is a part of the event, or was made for it: then its items are values of their own, which may be parts of texts.

use crate::eval::{Evaluation, MADE_BYTES_MAX};
use crate::functions::text;
use crate::link::Call;
use crate::op::Op;
use crate::read::{self, Items, Shape};
use crate::value::{Text, Value};

/// Items of lists made for one event; an operation that would make more fails.
const ITEMS_MAX: usize = MADE_BYTES_MAX / size_of::<Value>();

/// A position in a list as an index from 0; none where it is outside on the left or 0.
fn index_of(position: i64, length: impl FnOnce() -> usize) -> Option<usize> {
    let index = match position {
        1.. => position - 1,
        0 => -1,
        _ => (length() as i64).saturating_add(position),
    };
    usize::try_from(index).ok()
}

/// The indexes from 0 of `list[begin:end]`: the first, and how many.
fn slice(length: usize, begin: i64, end: i64) -> (usize, usize) {
    let length = length as i64;
    let from_start = |position: i64| if position < 0 { position.saturating_add(length + 1) } else { position };
    let (begin, end) = (from_start(begin).max(1), from_start(end).min(length));
    if begin > end { (0, 0) } else { ((begin - 1) as usize, (end - begin + 1) as usize) }
}

impl Evaluation<'_> {
    /// How many items a list has.
    pub fn list_length(&self, list: Value) -> usize {
        match list {
            Value::Items { count, .. } => count as usize,
            Value::Nested { start, .. } => read::list_length(self.event, start as usize),
            _ => 0,
        }
    }

    pub fn list_get(&mut self, call: &Call, list: Value, position: Value) -> Value {
        let Value::Integer(position) = position else { return Value::Null };
        let Some(index) = index_of(position, || self.list_length(list)) else { return Value::Null };
        match list {
            Value::Items { first, count } if index < count as usize => self.memory.items[first as usize + index],
            Value::Nested { start, .. } => match read::list_item(self.event, start as usize, index) {
                Some(span) => self.reader().read(span, call.shape),
                None => Value::Null,
            },
            _ => Value::Null,
        }
    }

    pub fn list_contains(&mut self, call: &Call, list: Value, wanted: Value) -> Value {
        let found = match list {
            Value::Items { first, count } => {
                let items = &self.memory.items[first as usize..(first + count) as usize];
                let texts = self.texts();
                items.iter().any(|item| !item.is_null() && texts.equal(*item, wanted))
            }
            Value::Nested { start, .. } => {
                let Shape::List { item } = self.program.shapes.list[call.from as usize] else { return Value::Null };
                let kept = self.memory.made.len();
                Items::new(self.event, start as usize).any(|span| {
                    let value = self.reader().read(span, item);
                    let same = !value.is_null() && self.texts().equal(value, wanted);
                    self.memory.made.truncate(kept);
                    same
                })
            }
            _ => false,
        };
        Value::Boolean(found)
    }

    pub fn list_slice(&mut self, call: &Call, [list, begin, end]: [Value; 3]) -> Value {
        let (Value::Integer(begin), Value::Integer(end)) = (begin, end) else { return Value::Null };
        let (from, count) = slice(self.list_length(list), begin, end);
        match list {
            Value::Items { first, .. } => Value::Items { first: first + from as u32, count: count as u32 },
            Value::Nested { start, .. } => {
                let Shape::List { item } = self.program.shapes.list[call.shape as usize] else { return Value::Null };
                self.make_list(call.op, count, |evaluation| {
                    for span in Items::new(evaluation.event, start as usize).skip(from).take(count) {
                        let value = evaluation.reader().read(span, item);
                        evaluation.memory.items.push(value);
                    }
                })
            }
            _ => Value::Null,
        }
    }

    /// The parts of a text between separators, which are parts of it and not copied.
    pub fn string_split(&mut self, given: Value, separator: Value) -> Value {
        let Value::Text(whole) = given else { return Value::Null };
        let mut items = std::mem::take(&mut self.memory.items);
        let first = items.len();
        let texts = self.texts();
        let mut fits = true;
        text::parts(texts.text(whole), texts.bytes(separator), |from, to| {
            fits = items.len() < ITEMS_MAX;
            if fits {
                items.push(Value::Text(Text { start: whole.start + from as u32, end: whole.start + to as u32, ..whole }));
            }
            fits
        });
        let count = items.len() - first;
        self.memory.items = items;
        if fits { Value::Items { first: first as u32, count: count as u32 } } else { self.fail(Op::StringSplit) }
    }

    fn make_list(&mut self, op: Op, count: usize, add: impl FnOnce(&mut Self)) -> Value {
        let first = self.memory.items.len();
        if first + count > ITEMS_MAX {
            return self.fail(op);
        }
        add(self);
        Value::Items { first: first as u32, count: (self.memory.items.len() - first) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn slices_are_cut_to_the_list() {
        for (begin, end, expected) in [
            (2, 3, (1, 2)),
            (1, i64::MAX, (0, 4)),
            (-2, i64::MAX, (2, 2)),
            (1, -2, (0, 3)),
            (0, 2, (0, 2)),
            (3, 2, (0, 0)),
            (-10, 2, (0, 2)),
            (5, 6, (0, 0)),
            (0, 0, (0, 0)),
            (-5, -4, (0, 1)),
            (i64::MIN, i64::MIN, (0, 0)),
            (i64::MIN, i64::MAX, (0, 4)),
            (i64::MAX, i64::MAX, (0, 0)),
        ] {
            assert_eq!(slice(4, begin, end), expected, "{begin} {end}");
        }
    }
}
