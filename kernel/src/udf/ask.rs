//! Which calls are asked for by an expression, and what they gave.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::eval::{Evaluation, MADE_BYTES_MAX};
use crate::link::{Call, Node};
use crate::op::Op;
use crate::udf::pack;
use crate::value::{Place, Text, Value};

/// What the calls of a batch gave so far, and which of them are asked for.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The number of the event that is evaluated.
    pub event: u32,
    pub given: Arc<Given>,
    /// By function: what is asked for, while that is being found out.
    pub asked: Option<Vec<Asked>>,
}

/// What calls gave, by event and number of the call.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub known: HashMap<(u32, u32), Answer>,
    pub texts: Vec<u8>,
    pub items: Vec<Answer>,
    /// Why calls have no value.
    pub reasons: Vec<String>,
}

/// A value outside of any event. Places are in `Given`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// It was asked for and is not there yet.
    Awaited,
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Timestamp(i64),
    Text {
        start: usize,
        end: usize,
    },
    List {
        first: usize,
        count: usize,
    },
    /// There is none, for the reason with this number.
    Failed(u32),
}

/// What is asked of one function: the calls, and their arguments as columns.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub calls: Vec<(u32, u32)>,
    pub columns: Vec<Vec<u8>>,
}

/// What evaluating an expression would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All that it asks for is there.
    Ready,
    Waiting,
    /// It asks for a call that failed, for the reason with this number.
    Failed(u32),
}

impl<'a> Evaluation<'a> {
    /// Finds out which calls an expression asks for; notes those that are not there. Only what is certain to be asked for is.
    pub fn ask(&mut self, node: u32) -> Ask {
        let program = self.program;
        let Some(udfs) = program.udfs.as_deref().filter(|udfs| udfs.calling[node as usize]) else { return Ask::Ready };
        let Node::Call(call) = &program.nodes[node as usize] else { return Ask::Ready };
        let arguments = &program.arguments[call.first as usize..(call.first + call.count) as usize];
        match call.op {
            Op::And | Op::Or => self.ask_until(arguments, |value| value == Value::Boolean(call.op == Op::Or)),
            Op::Coalesce => self.ask_until(arguments, |value| !value.is_null()),
            Op::Case => self.ask_case(arguments),
            Op::Udf => match self.ask_all(&arguments[2..]) {
                Ask::Ready => self.ask_call(call, &arguments[2..], &udfs.calls[call.extra as usize].takes_null),
                other => other,
            },
            _ => self.ask_all(arguments),
        }
    }

    fn ask_until(&mut self, arguments: &[u32], ends: impl Fn(Value) -> bool) -> Ask {
        for argument in arguments {
            match self.ask(*argument) {
                Ask::Ready if ends(self.value(*argument)) => break,
                Ask::Ready => {}
                other => return other,
            }
        }
        Ask::Ready
    }

    fn ask_case(&mut self, arguments: &[u32]) -> Ask {
        let Some((other, branches)) = arguments.split_last() else { return Ask::Ready };
        for [condition, value] in branches.as_chunks::<2>().0 {
            match self.ask(*condition) {
                Ask::Ready if self.value(*condition) == Value::Boolean(true) => return self.ask(*value),
                Ask::Ready => {}
                other => return other,
            }
        }
        self.ask(*other)
    }

    /// Of nodes that are all evaluated: all of them are asked, so that their calls are made together.
    pub fn ask_all(&mut self, nodes: &[u32]) -> Ask {
        let mut found = Ask::Ready;
        for node in nodes {
            let one = self.ask(*node);
            if found == Ask::Ready {
                found = one;
            }
        }
        found
    }

    fn ask_call(&mut self, call: &Call, arguments: &[u32], takes_null: &[bool]) -> Ask {
        if self.strict_null(arguments, takes_null).is_some() {
            return Ask::Ready;
        }
        let Some(answers) = &mut self.memory.udf else { return Ask::Waiting };
        let key = (answers.event, call.extra);
        match answers.given.known.get(&key) {
            Some(Answer::Awaited) => return Ask::Waiting,
            Some(Answer::Failed(reason)) => return Ask::Failed(*reason),
            Some(_) => return Ask::Ready,
            None => {}
        }
        let Some(mut asked) = answers.asked.take() else { return Ask::Waiting };
        // The answers are shared only while nothing is asked for.
        Arc::make_mut(&mut answers.given).known.insert(key, Answer::Awaited);
        if let Some(udfs) = &self.program.udfs {
            let asked = &mut asked[udfs.calls[call.extra as usize].function as usize];
            asked.calls.push(key);
            asked.columns.resize(arguments.len(), Vec::new());
            for (argument, column) in arguments.iter().zip(&mut asked.columns) {
                let value = self.value(*argument);
                pack::write(self, value, column);
            }
        }
        if let Some(answers) = &mut self.memory.udf {
            answers.asked = Some(asked);
        }
        Ask::Waiting
    }

    /// What the call is where an argument is NULL that the function does not take so.
    fn strict_null(&mut self, arguments: &[u32], takes_null: &[bool]) -> Option<Value> {
        let mut null = None;
        for (argument, takes_null) in arguments.iter().zip(takes_null) {
            match self.value(*argument) {
                Value::Failed if !takes_null => null = Some(Value::Failed),
                Value::Null if !takes_null => null = null.or(Some(Value::Null)),
                _ => {}
            }
        }
        null
    }

    /// The value of a call.
    pub fn udf(&mut self, call: &Call, arguments: &[u32]) -> Value {
        let Some(udfs) = &self.program.udfs else { return self.fail(Op::Udf) };
        if let Some(null) = self.strict_null(&arguments[2..], &udfs.calls[call.extra as usize].takes_null) {
            return null;
        }
        let Some(answers) = &self.memory.udf else { return self.fail(Op::Udf) };
        let given = answers.given.clone();
        match given.known.get(&(answers.event, call.extra)) {
            Some(answer) => self.answered(&given, *answer),
            None => self.fail(Op::Udf),
        }
    }

    fn answered(&mut self, given: &Given, answer: Answer) -> Value {
        match answer {
            Answer::Awaited | Answer::Failed(_) => self.fail(Op::Udf),
            Answer::Null => Value::Null,
            Answer::Boolean(flag) => Value::Boolean(flag),
            Answer::Integer(integer) => Value::Integer(integer),
            Answer::Double(double) => Value::Double(double),
            Answer::Timestamp(micros) => Value::Timestamp(micros),
            Answer::Text { start, end } => {
                let made = &mut self.memory.made;
                let from = made.len();
                if from + (end - start) > MADE_BYTES_MAX {
                    return self.fail(Op::Udf);
                }
                made.extend_from_slice(&given.texts[start..end]);
                Value::Text(Text { place: Place::Made, start: from as u32, end: made.len() as u32 })
            }
            Answer::List { first, count } => {
                let begin = self.memory.items.len();
                for item in &given.items[first..first + count] {
                    let value = self.answered(given, *item);
                    self.memory.items.push(value);
                }
                Value::Items { first: begin as u32, count: count as u32 }
            }
        }
    }
}
