//! What is known of Python functions when rules are linked.

use crate::link::{self, Formats, Linker, Node, Program};
use crate::op::Op;
use crate::physical::{Expression, Literal, Rule, Select};
use crate::types::Type;

/// What rules that call Python functions need.
#[derive(Debug)]
pub struct Udfs {
    /// The names of the functions.
    pub functions: Vec<String>,
    /// By number of a call. Calls of equal arguments are one.
    pub calls: Vec<Called>,
    /// By rule: its part, if it calls any.
    pub rules: Vec<Option<UdfRule>>,
    /// By node: whether a call is in it.
    pub calling: Vec<bool>,
    /// The rules that call functions, as a program of their own; none in that program itself.
    pub scout: Option<Program>,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Called {
    /// The number of the function.
    pub function: u32,
    /// By argument: whether the function is called where it is NULL.
    pub takes_null: Vec<bool>,
    pub result: Type,
}

#[derive(Debug, Default)]
pub struct UdfRule {
    /// What of the WHERE calls functions.
    pub filter: Option<u32>,
    /// Its columns by their numbers.
    pub columns: Vec<u32>,
    /// Whether all calls are asked for at the same time, so that no answer leads to a further one.
    pub at_once: bool,
}

/// What the linker has found of functions so far.
#[derive(Debug, Default)]
pub struct Calls {
    functions: Vec<(String, String, Vec<Type>, Type)>,
    list: Vec<Called>,
    rules: Vec<Option<UdfRule>>,
    calling: Vec<bool>,
}

impl Calls {
    pub fn finish(self) -> Option<Box<Udfs>> {
        let Calls { functions, list, rules, calling } = self;
        let functions: Vec<String> = functions.into_iter().map(|(name, ..)| name).collect();
        let udfs = Udfs { functions, calls: list, rules, calling, scout: None };
        if udfs.calls.is_empty() { None } else { Some(Box::new(udfs)) }
    }
}

impl Linker<'_> {
    /// The number of a new call.
    pub fn udf_call(&mut self, kind: &Type, arguments: &[Expression]) -> u32 {
        let [Expression::Literal(Literal::Varchar(name)), Expression::Literal(Literal::Varchar(marks)), given @ ..] = arguments
        else {
            return 0;
        };
        let types: Vec<Type> = given.iter().map(|each| each.kind().clone()).collect();
        let calls = &mut self.udfs;
        let number = match calls.functions.iter().position(|known| known.0 == *name) {
            Some(number) => {
                let (_, known_marks, known_types, known_kind) = &calls.functions[number];
                let fit = known_types.len() == types.len() && types.iter().zip(known_types).all(|(one, other)| alike(one, other));
                if known_marks != marks || known_kind != kind || !fit {
                    let refused = format!("it calls the function `{name}` with other types than another call does");
                    self.refused.get_or_insert(refused);
                }
                number
            }
            None => {
                calls.functions.push((name.clone(), marks.clone(), types, kind.clone()));
                calls.functions.len() - 1
            }
        };
        let takes_null = marks.bytes().map(|mark| mark == b'n').collect();
        calls.list.push(Called { function: number as u32, takes_null, result: kind.clone() });
        calls.list.len() as u32 - 1
    }

    /// Keeps what is to be known of the rule that was linked last.
    pub fn note_udfs(&mut self, filter: Option<u32>, select: &Select) {
        for node in self.udfs.calling.len()..self.nodes.len() {
            let calling = match self.nodes[node] {
                Node::Call(call) => {
                    let arguments = &self.arguments[call.first as usize..(call.first + call.count) as usize];
                    call.op == Op::Udf || arguments.iter().any(|argument| self.udfs.calling[*argument as usize])
                }
                _ => false,
            };
            self.udfs.calling.push(calling);
        }
        let nodes = select.columns().iter().map(|(_, value)| self.expression(value)).collect::<Vec<_>>();
        let star = matches!(select, Select::Star { .. });
        let columns: Vec<u32> = nodes.into_iter().filter(|node| star || self.constant(*node).is_none()).collect();
        let calling = |node: &u32| self.udfs.calling[*node as usize];
        let rule = (filter.is_some() || columns.iter().any(calling)).then(|| {
            let in_columns = columns.iter().any(calling);
            let at_once = match filter {
                Some(filter) => !in_columns && self.at_once(filter, true),
                None => columns.iter().all(|column| self.at_once(*column, true)),
            };
            UdfRule { filter, columns, at_once }
        });
        self.udfs.rules.push(rule);
    }

    /// Whether no answer decides if there is a further call in this node.
    fn at_once(&self, node: u32, may_call: bool) -> bool {
        let Node::Call(call) = self.nodes[node as usize] else { return true };
        if !self.udfs.calling[node as usize] {
            return true;
        }
        if matches!(call.op, Op::And | Op::Or | Op::Case | Op::Coalesce) || (call.op == Op::Udf && !may_call) {
            return false;
        }
        let arguments = &self.arguments[call.first as usize..(call.first + call.count) as usize];
        arguments.iter().all(|argument| self.at_once(*argument, may_call && call.op != Op::Udf))
    }
}

/// Of two calls: a bare NULL goes with any type.
fn alike(one: &Type, other: &Type) -> bool {
    one == other || *one == Type::Null || *other == Type::Null
}

impl Udfs {
    /// Completes a program that was linked of these rules.
    pub fn link(rules: &[Rule], mut program: Program, scout: Formats) -> Result<Program, String> {
        if let Some(udfs) = &mut program.udfs {
            let columns = |rule: &Rule| rule.select.columns().iter().any(|(_, value)| calls(value));
            let calling = rules.iter().filter(|rule| rule.deferred.is_some() || columns(rule));
            udfs.scout = Some(link::link(&calling.map(scouted).collect::<Vec<_>>(), scout, program.dispatch)?);
        }
        Ok(program)
    }
}

/// What of a rule tells which functions it calls.
fn scouted(rule: &Rule) -> Rule {
    let columns = rule.select.columns().iter().filter(|(_, value)| calls(value)).cloned().collect();
    Rule { select: Select::Columns(columns), ..rule.clone() }
}

/// Whether an expression calls a function.
fn calls(expression: &Expression) -> bool {
    let mut pending = vec![expression];
    while let Some(expression) = pending.pop() {
        if let Expression::Call { op, arguments, .. } = expression {
            if *op == Op::Udf {
                return true;
            }
            pending.extend(arguments);
        }
    }
    false
}

/// Splits a WHERE: what calls no function, and what does.
pub fn split(filter: Expression) -> (Option<Expression>, Option<Expression>) {
    if !calls(&filter) {
        return (Some(filter), None);
    }
    let (mut plain, mut calling) = (Vec::new(), Vec::new());
    let mut pending = vec![filter];
    while let Some(expression) = pending.pop() {
        match expression {
            Expression::Call { op: Op::And, arguments, .. } => pending.extend(arguments.into_iter().rev()),
            expression if calls(&expression) => calling.push(expression),
            expression => plain.push(expression),
        }
    }
    (all(plain), all(calling))
}

fn all(mut conditions: Vec<Expression>) -> Option<Expression> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Expression::Call { op: Op::And, kind: Type::Boolean, arguments: conditions }),
    }
}

/// Whether functions take and give these types.
pub fn check_types(result: &Type, arguments: &[&Type]) -> bool {
    let passed = |kind: &Type| match kind {
        Type::List(item) => item.comparable() && **item != Type::Null,
        other => other.comparable(),
    };
    let [Type::Varchar, Type::Varchar, given @ ..] = arguments else { return false };
    !given.is_empty() && *result != Type::Null && passed(result) && given.iter().all(|kind| passed(kind))
}

pub fn check_call(arguments: &[Expression]) -> Result<(), String> {
    let [Expression::Literal(Literal::Varchar(name)), Expression::Literal(Literal::Varchar(marks)), given @ ..] = arguments
    else {
        return Err("`udf` takes a literal name and literal marks".to_owned());
    };
    let valid = marks.bytes().all(|mark| matches!(mark, b'n' | b's')) && marks.len() == given.len();
    if name.is_empty() || !valid {
        return Err(format!("`udf` takes a name and a mark for each argument, n or s; got `{name}` and `{marks}`"));
    }
    Ok(())
}
