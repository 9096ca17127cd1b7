//! Lowering the expressions of a WHERE to conditions.

use crate::condition::{self, Condition, Form, INSIDE, IS_NULL, OUTSIDE, Operand};
use crate::index::{IndexBuilder, call_arguments, literal_of};
use crate::link::{Call, Linker, Node, Set};
use crate::op::Op;
use crate::value::Value;

impl IndexBuilder {
    /// The condition that a node, in which nothing can fail, is `wanted`.
    pub(crate) fn condition(&mut self, linker: &Linker, node: u32, wanted: bool) -> Condition {
        let found = match linker.nodes[node as usize] {
            Node::Reading(_) => self.is_value(linker, node, wanted as i64, true),
            Node::Call(call) => self.of_call(linker, &call, call_arguments(linker, node), wanted),
            Node::Constant(_) => None,
        };
        found.unwrap_or(Condition::Node { node, wanted })
    }

    fn of_call(&mut self, linker: &Linker, call: &Call, arguments: &[u32], wanted: bool) -> Option<Condition> {
        match call.op {
            Op::Not => Some(self.condition(linker, arguments[0], !wanted)).filter(Condition::is_simple),
            Op::And | Op::Or => {
                let list: Vec<Condition> = arguments.iter().map(|each| self.condition(linker, *each, wanted)).collect();
                let all = (call.op == Op::And) == wanted;
                Some(if all { Condition::All(list) } else { Condition::Any(list) }).filter(Condition::is_simple)
            }
            Op::IsNull | Op::IsNotNull => {
                let operand = self.field(linker, arguments[0], Form::Presence)?;
                let holds = if (call.op == Op::IsNull) == wanted { IS_NULL } else { INSIDE };
                Some(Condition::Range { operand, low: 0, high: 0, holds })
            }
            Op::In => self.of_set(linker, call, arguments, wanted),
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Distinct | Op::NotDistinct => {
                match (linker.constant(arguments[0]), linker.constant(arguments[1])) {
                    (None, Some(literal)) => self.of_comparison(linker, call.op, arguments[0], literal, wanted),
                    (Some(literal), None) => self.of_comparison(linker, turned(call.op), arguments[1], literal, wanted),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn of_comparison(&mut self, linker: &Linker, op: Op, node: u32, literal: Value, wanted: bool) -> Option<Condition> {
        let (operand, value) = match literal {
            Value::Integer(value) | Value::Timestamp(value) => (self.field(linker, node, Form::Ordered)?, value),
            Value::Boolean(flag) => (self.field(linker, node, Form::Ordered)?, flag as i64),
            Value::Double(number) => (self.field(linker, node, Form::Ordered)?, condition::ordered(number)),
            Value::Text(_) if matches!(op, Op::Eq | Op::Ne | Op::Distinct | Op::NotDistinct) => {
                self.field(linker, node, Form::Presence)?;
                let (key, literals) = self.literals_of(linker, node, &[literal])?;
                (self.field(linker, node, Form::Code(key))?, *literals.first()? as i64)
            }
            _ => return None,
        };
        let range = match op {
            Op::Lt => value.checked_sub(1).map(|high| (i64::MIN, high)),
            Op::Le => Some((i64::MIN, value)),
            Op::Gt => value.checked_add(1).map(|low| (low, i64::MAX)),
            Op::Ge => Some((value, i64::MAX)),
            _ => Some((value, value)),
        };
        let (low, high) = range.unwrap_or((1, 0));
        let holds = match (op, wanted) {
            (Op::Distinct, true) | (Op::NotDistinct, false) => OUTSIDE | IS_NULL,
            (Op::Distinct, false) | (Op::NotDistinct, true) => INSIDE,
            (Op::Ne, wanted) => side(!wanted),
            (_, wanted) => side(wanted),
        };
        Some(Condition::Range { operand, low, high, holds })
    }

    fn of_set(&mut self, linker: &Linker, call: &Call, arguments: &[u32], wanted: bool) -> Option<Condition> {
        if matches!(linker.sets[call.extra as usize], Set::Values(_)) {
            return None;
        }
        self.field(linker, arguments[0], Form::Presence)?;
        let values: Vec<Value> = arguments[1..].iter().filter_map(|each| linker.constant(*each)).collect();
        let (key, literals) = self.literals_of(linker, arguments[0], &values)?;
        let operand = self.field(linker, arguments[0], Form::Code(key))?;
        Some(Condition::Set { operand, literals, holds: side(wanted) })
    }

    /// The node is exactly this value, or exactly not.
    fn is_value(&mut self, linker: &Linker, node: u32, value: i64, wanted: bool) -> Option<Condition> {
        let operand = self.field(linker, node, Form::Ordered)?;
        Some(Condition::Range { operand, low: value, high: value, holds: side(wanted) })
    }

    /// The key of a node and the numbers of these literals, sorted.
    fn literals_of(&mut self, linker: &Linker, node: u32, values: &[Value]) -> Option<(u32, Vec<u32>)> {
        let literals = values.iter().map(|value| literal_of(linker, *value)).collect::<Option<Vec<_>>>()?;
        self.atom(linker, node, &literals).0.into_iter().next()
    }

    /// The operand for a field. Other expressions are not worth their evaluation for rules that other conditions keep out.
    fn field(&mut self, linker: &Linker, node: u32, form: Form) -> Option<u32> {
        matches!(linker.nodes[node as usize], Node::Reading(_)).then(|| self.operand(Operand { node, form }))
    }
}

fn side(inside: bool) -> u8 {
    if inside { INSIDE } else { OUTSIDE }
}

/// `a op b` as `b op a`.
fn turned(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        other => other,
    }
}
