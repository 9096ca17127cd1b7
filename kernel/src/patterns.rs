//! Operations with a regular expression.

use crate::eval::{Evaluation, MADE_BYTES_MAX};
use crate::functions::regexp::Replaced;
use crate::link::Call;
use crate::op::Op;
use crate::value::{Text, Value};

impl Evaluation<'_> {
    /// `regexp_matches`, `regexp_full_match`, `regexp_extract` and `regexp_replace`.
    pub fn regexp(&mut self, call: &Call, value: Value) -> Value {
        let Value::Text(given) = value else { return Value::Null };
        let number = call.extra as usize;
        let regexp = &self.program.regexps[number];
        let kept = self.memory.patterns.get_mut(number).and_then(Option::take);
        let mut cache = kept.unwrap_or_else(|| Box::new(regexp.cache()));
        let mut spare = std::mem::take(&mut self.memory.spare);
        let text = self.texts().text(given);
        let result = match call.op {
            Op::RegexpMatches | Op::RegexpFullMatch => Some(Value::Boolean(regexp.matches(&mut cache, text))),
            Op::RegexpExtract => {
                let (from, to) = regexp.extract(&mut cache, text);
                Some(Value::Text(Text { start: given.start + from as u32, end: given.start + to as u32, ..given }))
            }
            _ => {
                spare.clear();
                match regexp.replace(&mut cache, text, MADE_BYTES_MAX, &mut spare) {
                    Replaced::Nothing => Some(value),
                    Replaced::Made => None,
                    Replaced::TooLong => Some(Value::Failed),
                }
            }
        };
        if let Some(slot) = self.memory.patterns.get_mut(number) {
            *slot = Some(cache);
        }
        match result {
            None => self.keep(call.op, spare),
            Some(value) => {
                self.memory.spare = spare;
                if value == Value::Failed { self.fail(call.op) } else { value }
            }
        }
    }
}
