//! The operations of timestamps, on arguments that are not NULL.

use crate::eval::Evaluation;
use crate::functions::{period, timestamp};
use crate::link::Call;
use crate::op::Op;
use crate::value::Value;

fn micros(value: Value) -> i64 {
    match value {
        Value::Timestamp(micros) | Value::Integer(micros) => micros,
        _ => 0,
    }
}

impl Evaluation<'_> {
    /// `epoch`, `epoch_ms`, `epoch_us`, and `make_timestamp` of microseconds.
    pub fn epoch_operation(&mut self, op: Op, value: Value) -> Value {
        let found = match (op, value) {
            (Op::Epoch, Value::Timestamp(micros)) => return Value::Double(micros as f64 / timestamp::SECOND as f64),
            (Op::EpochMs, Value::Timestamp(micros)) => return Value::Integer(period::to_millis(micros)),
            (Op::EpochUs, Value::Timestamp(micros)) => return Value::Integer(micros),
            (Op::EpochMs, Value::Integer(millis)) => timestamp::from_millis(millis),
            (_, Value::Integer(micros)) => timestamp::in_range(micros),
            _ => None,
        };
        found.map_or_else(|| self.fail(op), Value::Timestamp)
    }

    /// Those with a part or a format, of which `extra` is the number, and those with an interval.
    pub fn time_operation(&mut self, call: &Call, [a, b, c]: [Value; 3]) -> Value {
        let op = call.op;
        let program = self.program;
        let found = match op {
            Op::Strftime => {
                let format = &program.formats[call.extra as usize];
                return self.make(op, format.bytes_max, |_, out| format.write(micros(a), out));
            }
            Op::AddInterval => period::add_interval(micros(a), micros(b), micros(c)),
            Op::TimeBucket => period::time_bucket(micros(a), micros(b), micros(c)),
            _ => {
                let part = period::Part::ALL[call.extra as usize];
                match op {
                    Op::DatePart => return Value::Integer(period::date_part(part, micros(b))),
                    Op::DateDiff => return Value::Integer(period::date_diff(part, micros(b), micros(c))),
                    Op::DateSub => return Value::Integer(period::date_sub(part, micros(b), micros(c))),
                    _ => period::date_trunc(part, micros(b)),
                }
            }
        };
        found.map_or_else(|| self.fail(op), Value::Timestamp)
    }

    /// `make_timestamp` of six parts.
    pub fn make_timestamp(&mut self, arguments: &[u32]) -> Value {
        let mut null = None;
        let mut parts = [0; 5];
        let mut second = 0.0;
        for (place, argument) in arguments.iter().enumerate() {
            match self.value(*argument) {
                Value::Failed => null = Some(Value::Failed),
                Value::Null => null = null.or(Some(Value::Null)),
                Value::Integer(part) if place < parts.len() => parts[place] = part,
                value => second = self.texts().double(value),
            }
        }
        let made = || period::make_timestamp(parts, second);
        null.unwrap_or_else(|| made().map_or_else(|| self.fail(Op::MakeTimestamp), Value::Timestamp))
    }
}
