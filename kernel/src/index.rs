//! Which rules can match an event, without looking at each of them.
//!
//! A rule is posted under the values that one of its equality atoms allows, and within these, where many rules meet, under
//! those of a second atom, and so on. What is left of its WHERE is evaluated for the rules that are found.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::condition::{self, Blocks, Candidate, Condition, Form, Operand, Source};
use crate::cost::rank;
use crate::keys::KeyTable;
use crate::link::{Linker, Node, Set};
use crate::op::Op;
use crate::sieve::Sieve;
use crate::value::{Texts, Value};

/// Groups of no more rules than this are not split further.
const GROUP_RULES_MIN: usize = 4;
/// How often atoms are nested at most, and how many values an atom may allow below the first level.
const DEPTH_MAX: usize = 6;
const INNER_VALUES_MAX: usize = 16;

#[derive(Debug, Default)]
pub struct Index {
    pub keys: Vec<Key>,
    pub groups: Vec<Group>,
    /// What is left of the WHERE of rules that cannot be failed NULL.
    pub blocks: Blocks,
    /// Of the others: conditions in the order that is likely to be cheapest.
    pub conditions: Vec<u32>,
    /// What WHERE joins by AND, by rule and place; for each of its keys, or once where it has none.
    pub notes: Vec<Note>,
}

/// A condition as it stands in a rule, for those who ask what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    pub rule: u32,
    pub place: u32,
    pub node: u32,
    /// A key of which it allows some values only.
    pub key: Option<u32>,
    /// It says nothing but that.
    pub exact: bool,
}

/// An expression that rules compare with literals, and the numbers of these literals.
#[derive(Debug, Default)]
pub struct Key {
    pub node: u32,
    texts: KeyTable,
    integers: HashMap<i64, u32>,
    pub literals: u32,
}

impl Key {
    /// The number of the literal that a value equals.
    #[inline]
    pub fn find(&self, value: Value, texts: Texts) -> Option<u32> {
        match value {
            Value::Integer(integer) => self.find_integer(integer),
            value => self.find_text(texts.bytes(value)),
        }
    }

    #[inline(always)]
    pub fn find_text(&self, text: &[u8]) -> Option<u32> {
        self.texts.find(text)
    }

    #[inline(always)]
    pub fn find_integer(&self, integer: i64) -> Option<u32> {
        self.integers.get(&integer).copied()
    }
}

#[derive(Debug, Default)]
pub struct Group {
    pub splits: Vec<Split>,
    /// Where there are many rules: what leaves out most of those whose blocks stand first.
    pub sieve: Option<Box<Sieve>>,
    /// The first of its blocks, and behind the last.
    pub blocks: (u32, u32),
    /// The rules whose WHERE can be failed NULL.
    pub fallible: Vec<Entry>,
}

#[derive(Debug)]
pub struct Split {
    /// The operand that is the number of a literal.
    pub operand: u32,
    pub groups: Numbers,
    /// The rules to look at where the key is NULL: those whose WHERE can be failed NULL then.
    pub where_null: Vec<Entry>,
}

/// A rule and what is left of its WHERE: `conditions[first..first + count]`.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub rule: u32,
    pub first: u32,
    pub count: u32,
}

/// A small map of numbers.
#[derive(Debug)]
pub struct Numbers {
    places: Vec<(u32, u32)>,
    shift: u32,
}

impl Numbers {
    fn new(pairs: &[(u32, u32)]) -> Numbers {
        let bits = (pairs.len() * 2).max(2).next_power_of_two().trailing_zeros();
        let mut numbers = Numbers { places: vec![(u32::MAX, 0); 1 << bits], shift: 32 - bits };
        for &(from, to) in pairs {
            let mut place = numbers.first_place(from);
            while numbers.places[place].0 != u32::MAX {
                place = (place + 1) & (numbers.places.len() - 1);
            }
            numbers.places[place] = (from, to);
        }
        numbers
    }

    #[inline(always)]
    fn first_place(&self, from: u32) -> usize {
        (from.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    /// All numbers that it leads to.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().filter(|(from, _)| *from != u32::MAX).map(|(_, to)| *to)
    }

    #[inline(always)]
    pub fn get(&self, from: u32) -> Option<u32> {
        let mut place = self.first_place(from);
        loop {
            match self.places[place] {
                (found, to) if found == from => return Some(to),
                (u32::MAX, _) => return None,
                _ => place = (place + 1) & (self.places.len() - 1),
            }
        }
    }
}

/// The literal values that a key may have where an expression is not FALSE (or the key is NULL). Sorted numbers.
pub(crate) type Atoms = BTreeMap<u32, Vec<u32>>;

struct RuleParts {
    /// The operands of the top `and`.
    conditions: Vec<Part>,
    atoms: Atoms,
    can_fail: bool,
    never: bool,
}

/// A condition that must hold, and the key that it is wholly about, if so.
struct Part {
    node: u32,
    exact: Option<u32>,
    condition: Condition,
}

#[derive(Default)]
pub struct IndexBuilder {
    filters: Vec<Option<u32>>,
    key_numbers: HashMap<u32, u32>,
    keys: Vec<KeyParts>,
    operand_numbers: HashMap<Operand, u32>,
    index: Index,
}

struct KeyParts {
    node: u32,
    literals: HashMap<Literal, u32>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Literal {
    Text(String),
    Integer(i64),
}

impl Index {
    /// The rules that are looked at where a group is, but for those of the groups in it.
    pub fn rules_of(&self, group: usize) -> impl Iterator<Item = u32> + '_ {
        let group = &self.groups[group];
        self.blocks.rules(group.blocks).chain(group.fallible.iter().map(|entry| entry.rule))
    }
}

impl IndexBuilder {
    /// The next rule's WHERE.
    pub fn add(&mut self, filter: Option<u32>) {
        self.filters.push(filter);
    }

    /// `usual` says of a node that is a field of a simple type where it stands.
    pub fn build(mut self, linker: &Linker, usual: impl Fn(u32) -> Source) -> Index {
        let filters = std::mem::take(&mut self.filters);
        let rules: Vec<RuleParts> = (0..).zip(&filters).map(|(rule, filter)| self.parts(linker, rule, *filter)).collect();
        let alive: Vec<u32> = (0..rules.len() as u32).filter(|rule| !rules[*rule as usize].never).collect();
        self.group(linker, &rules, alive, &mut Vec::new());
        let blocks = &mut self.index.blocks;
        blocks.finish();
        blocks.sources = blocks.operands.iter().map(|operand| usual(operand.node)).collect();
        self.index.keys = self.keys.into_iter().map(KeyParts::finish).collect();
        self.index
    }

    fn parts(&mut self, linker: &Linker, rule: u32, filter: Option<u32>) -> RuleParts {
        let can_fail = filter.is_some_and(|node| linker.can_fail[node as usize]);
        let mut conditions = Vec::new();
        let mut atoms = Atoms::new();
        let mut pending: Vec<u32> = filter.into_iter().collect();
        let mut place = 0;
        while let Some(node) = pending.pop() {
            match linker.nodes[node as usize] {
                Node::Call(call) if call.op == Op::And => {
                    pending.extend(call_arguments(linker, node).iter().rev());
                    continue;
                }
                Node::Constant(Value::Boolean(true)) => {}
                _ => {
                    let (found, whole) = self.atoms(linker, node);
                    let note = Note { rule, place, node, key: None, exact: whole };
                    self.index.notes.extend(found.keys().map(|key| Note { key: Some(*key), ..note }));
                    if found.is_empty() {
                        self.index.notes.push(note);
                    }
                    let exact = found.keys().next().copied().filter(|_| whole);
                    both(&mut atoms, found);
                    let own = Condition::Node { node, wanted: true };
                    let condition = if can_fail { own } else { self.condition(linker, node, true) };
                    conditions.push(Part { node, exact, condition });
                }
            }
            place += 1;
        }
        let constant_false = |node: u32| matches!(linker.nodes[node as usize], Node::Constant(Value::Boolean(false)));
        let contradicts = !can_fail && atoms.values().any(Vec::is_empty);
        let never = contradicts || conditions.iter().any(|part| constant_false(part.node));
        RuleParts { conditions, atoms, can_fail, never }
    }

    /// The atoms of an expression, and whether it says nothing but its one atom.
    fn atoms(&mut self, linker: &Linker, node: u32) -> (Atoms, bool) {
        let Node::Call(call) = linker.nodes[node as usize] else { return (Atoms::new(), false) };
        let arguments = call_arguments(linker, node);
        match call.op {
            Op::Eq => {
                let literal = |side: u32| linker.constant(side).and_then(|value| literal_of(linker, value));
                let (key, literal) = match (literal(arguments[0]), literal(arguments[1])) {
                    (None, Some(literal)) => (arguments[0], literal),
                    (Some(literal), None) => (arguments[1], literal),
                    _ => return (Atoms::new(), false),
                };
                self.atom(linker, key, &[literal])
            }
            Op::In => {
                let literals = match &linker.sets[call.extra as usize] {
                    Set::Values(_) => return (Atoms::new(), false),
                    _ => arguments[1..].iter().filter_map(|argument| literal_of(linker, linker.constant(*argument)?)),
                };
                self.atom(linker, arguments[0], &literals.collect::<Vec<_>>())
            }
            Op::And => {
                let mut all = Atoms::new();
                for argument in arguments {
                    let (found, _) = self.atoms(linker, *argument);
                    both(&mut all, found);
                }
                (all, false)
            }
            Op::Or => {
                let (mut all, mut whole) = self.atoms(linker, arguments[0]);
                for argument in &arguments[1..] {
                    let (found, also) = self.atoms(linker, *argument);
                    whole &= also && found.keys().eq(all.keys());
                    either(&mut all, &found);
                }
                (all, whole)
            }
            _ => (Atoms::new(), false),
        }
    }

    pub(crate) fn atom(&mut self, linker: &Linker, key: u32, literals: &[Literal]) -> (Atoms, bool) {
        if linker.constant(key).is_some() || literals.is_empty() {
            return (Atoms::new(), false);
        }
        let next = self.keys.len() as u32;
        let number = *self.key_numbers.entry(key).or_insert(next);
        if number == next {
            self.keys.push(KeyParts { node: key, literals: HashMap::new() });
        }
        let known = &mut self.keys[number as usize].literals;
        let mut values: Vec<u32> = Vec::with_capacity(literals.len());
        for literal in literals {
            let next = known.len() as u32;
            values.push(*known.entry(literal.clone()).or_insert(next));
        }
        values.sort_unstable();
        values.dedup();
        (Atoms::from([(number, values)]), true)
    }

    /// The number of an operand.
    pub(crate) fn operand(&mut self, operand: Operand) -> u32 {
        let next = self.index.blocks.operands.len() as u32;
        let number = *self.operand_numbers.entry(operand).or_insert(next);
        if number == next {
            self.index.blocks.operands.push(operand);
        }
        number
    }

    /// Makes a group of these rules, all of which have passed the atoms on `used`.
    fn group(&mut self, linker: &Linker, rules: &[RuleParts], mut members: Vec<u32>, used: &mut Vec<u32>) -> u32 {
        let number = self.index.groups.len();
        self.index.groups.push(Group::default());
        let mut splits = Vec::new();
        while used.len() < DEPTH_MAX && members.len() > GROUP_RULES_MIN {
            let usable = |rule: &RuleParts, key: u32| {
                rule.atoms.get(&key).is_some_and(|values| used.is_empty() || values.len() <= INNER_VALUES_MAX)
            };
            let Some(key) = self.best_key(rules, &members, used) else { break };
            let (having, rest) = members.into_iter().partition(|rule| usable(&rules[*rule as usize], key));
            members = rest;
            used.push(key);
            splits.push(self.split(linker, rules, having, key, used));
            used.pop();
        }
        let (fallible, certain): (Vec<u32>, Vec<u32>) = members.iter().partition(|rule| rules[**rule as usize].can_fail);
        let fallible = fallible.iter().map(|rule| self.entry(linker, *rule, &rules[*rule as usize], used)).collect();
        let (sieve, blocks) = self.blocks(linker, rules, &certain, used);
        self.index.groups[number] = Group { splits, sieve, blocks, fallible };
        number as u32
    }

    /// Makes blocks of rules that cannot be failed NULL.
    fn blocks(
        &mut self,
        linker: &Linker,
        rules: &[RuleParts],
        members: &[u32],
        used: &[u32],
    ) -> (Option<Box<Sieve>>, (u32, u32)) {
        let keys = &self.keys;
        let forms: Vec<Form> = self.index.blocks.operands.iter().map(|operand| operand.form).collect();
        let literals = |operand: u32| match forms[operand as usize] {
            Form::Code(key) => keys[key as usize].literals.len(),
            _ => 0,
        };
        let testable = |part: &&Part| part.condition.is_simple() && part.condition.is_small(&literals);
        let candidate = |rule: &u32| {
            let (mut tested, mut alone): (Vec<&Part>, Vec<&Part>) = rules[*rule as usize].left(used).partition(testable);
            if !condition::fits_block(&tested.iter().map(|part| &part.condition).collect::<Vec<_>>()) {
                alone.append(&mut tested);
            }
            let mut nodes: Vec<u32> = alone.iter().map(|part| part.node).collect();
            nodes.sort_by(|a, b| rank(linker, *a).total_cmp(&rank(linker, *b)));
            let nodes = nodes.iter().map(|node| node << 1 | 1).collect();
            Candidate { rule: *rule, conditions: tested.iter().map(|part| &part.condition).collect(), nodes }
        };
        let (sieve, candidates) = Sieve::new(members.iter().map(candidate).collect(), &self.index.blocks.operands);
        let blocks = Sieve::add(sieve.as_ref(), &candidates, &mut self.index.blocks, &literals);
        (sieve.map(Box::new), blocks)
    }

    /// The key that keeps the most rules from being looked at, if it is worth it.
    fn best_key(&self, rules: &[RuleParts], members: &[u32], used: &[u32]) -> Option<u32> {
        let mut gains: HashMap<u32, f64> = HashMap::new();
        for rule in members {
            for (key, values) in &rules[*rule as usize].atoms {
                if used.contains(key) || (!used.is_empty() && values.len() > INNER_VALUES_MAX) {
                    continue;
                }
                let known = self.keys[*key as usize].literals.len() as f64;
                *gains.entry(*key).or_default() += 1.0 - values.len() as f64 / (known + 1.0);
            }
        }
        let best = gains.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.filter(|(_, gain)| *gain >= 2.0).map(|(key, _)| key)
    }

    fn split(&mut self, linker: &Linker, rules: &[RuleParts], having: Vec<u32>, key: u32, used: &mut Vec<u32>) -> Split {
        let mut by_value: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut where_null = Vec::new();
        for rule in having {
            let parts = &rules[rule as usize];
            for value in &parts.atoms[&key] {
                by_value.entry(*value).or_default().push(rule);
            }
            if parts.can_fail {
                where_null.push(self.entry(linker, rule, parts, &[]));
            }
        }
        let groups: Vec<(u32, u32)> =
            by_value.into_iter().map(|(value, members)| (value, self.group(linker, rules, members, used))).collect();
        let operand = self.operand(Operand { node: self.keys[key as usize].node, form: Form::Code(key) });
        Split { operand, groups: Numbers::new(&groups), where_null }
    }

    fn entry(&mut self, linker: &Linker, rule: u32, parts: &RuleParts, used: &[u32]) -> Entry {
        let mut left: Vec<u32> = parts.left(used).map(|part| part.node).collect();
        left.sort_by(|a, b| rank(linker, *a).total_cmp(&rank(linker, *b)));
        let first = self.index.conditions.len() as u32;
        self.index.conditions.extend_from_slice(&left);
        Entry { rule, first, count: left.len() as u32 }
    }
}

impl RuleParts {
    /// What must still hold where the atoms on `used` do.
    fn left<'p>(&'p self, used: &'p [u32]) -> impl Iterator<Item = &'p Part> {
        self.conditions.iter().filter(|part| part.exact.is_none_or(|key| !used.contains(&key)))
    }
}

impl KeyParts {
    fn finish(self) -> Key {
        let literals = self.literals.len() as u32;
        let mut texts: Vec<(String, u32)> = Vec::new();
        let mut integers = HashMap::new();
        for (literal, number) in self.literals {
            match literal {
                Literal::Text(text) => texts.push((text, number)),
                Literal::Integer(integer) => {
                    integers.insert(integer, number);
                }
            }
        }
        texts.sort_by_key(|(_, number)| *number);
        Key { node: self.node, texts: KeyTable::new(texts.iter().map(|(text, _)| text.as_str())), integers, literals }
    }
}

pub(crate) fn call_arguments<'l>(linker: &'l Linker, node: u32) -> &'l [u32] {
    match linker.nodes[node as usize] {
        Node::Call(call) => &linker.arguments[call.first as usize..(call.first + call.count) as usize],
        _ => &[],
    }
}

pub(crate) fn literal_of(linker: &Linker, value: Value) -> Option<Literal> {
    match value {
        Value::Text(_) => linker.text(value).map(|text| Literal::Text(text.to_owned())),
        Value::Integer(integer) => Some(Literal::Integer(integer)),
        _ => None,
    }
}

/// What both allow.
fn both(atoms: &mut Atoms, found: Atoms) {
    for (key, values) in found {
        atoms.entry(key).and_modify(|known| known.retain(|value| values.binary_search(value).is_ok())).or_insert(values);
    }
}

/// What either allows: keys that both speak of.
fn either(atoms: &mut Atoms, found: &Atoms) {
    atoms.retain(|key, known| {
        let Some(values) = found.get(key) else { return false };
        known.extend_from_slice(values);
        known.sort_unstable();
        known.dedup();
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::RuleCounts;
    use crate::link::Program;
    use crate::run::{self, Pool};

    fn field(name: &str) -> String {
        format!(r#"["field",["{name}"],"VARCHAR"]"#)
    }

    fn call(op: &str, arguments: &[String]) -> String {
        format!(r#"["call","{op}","BOOLEAN",[{}]]"#, arguments.join(","))
    }

    fn text(value: impl std::fmt::Display) -> String {
        format!(r#"["literal","VARCHAR","{value}"]"#)
    }

    fn is(name: &str, value: impl std::fmt::Display) -> String {
        call("eq", &[field(name), text(value)])
    }

    /// `CAST(name AS BIGINT) = 1`: fails where the text is no number.
    fn fallible(name: &str) -> String {
        let cast = format!(r#"["call","cast","BIGINT",[{}]]"#, field(name));
        call("eq", &[cast, r#"["literal","BIGINT",1]"#.to_owned()])
    }

    fn program(filters: &[String]) -> Program {
        let rule = |(number, filter): (usize, &String)| {
            let head = format!(r#"{{"format":1,"name":"r{number}","from":"e","into":"o""#);
            format!(r#"{head},"where":{filter},"select":[["x",{}]]}}"#, text("y")).into_bytes()
        };
        Program::link(&filters.iter().enumerate().map(rule).collect::<Vec<_>>()).unwrap()
    }

    /// The rules that a group holds, but for those in its splits.
    fn held(program: &Program, group: usize) -> Vec<u32> {
        program.index.rules_of(group).collect()
    }

    /// The rules that matched, and those that counted an error in WHERE.
    fn ran(program: &Program, event: &str) -> (Vec<u32>, Vec<u32>) {
        let batch = run::run_lines(program, &Pool::default(), event.as_bytes());
        let of = |counted: fn(&RuleCounts) -> u64| {
            batch.rules.iter().filter(|(_, counts)| counted(counts) > 0).map(|(rule, _)| *rule).collect()
        };
        (of(|counts| counts.matched), of(|counts| counts.where_errors))
    }

    #[test]
    fn rules_are_found_by_two_atoms_and_the_rest_is_evaluated() {
        let both = |n: usize| call("and", &[is("event", n % 10), is("app", n / 10), is("p", n % 3)]);
        let program = program(&(0..300).map(both).collect::<Vec<_>>());
        assert_eq!(held(&program, 0), [0; 0]);
        assert!((0..program.index.groups.len()).all(|group| held(&program, group).len() <= GROUP_RULES_MIN));
        assert_eq!(ran(&program, r#"{"event":"7","app":"12","p":"1"}"#), (vec![127], vec![]));
        assert_eq!(ran(&program, r#"{"event":"7","app":"12","p":"2"}"#), (vec![], vec![]));
        assert_eq!(ran(&program, r#"{"event":"no","app":"12","p":"2"}"#), (vec![], vec![]));
    }

    #[test]
    fn an_atom_that_is_null_hides_no_error() {
        let filters: Vec<String> = (0..20).map(|n| call("and", &[is("event", n), fallible("a")])).collect();
        let program = program(&filters);
        assert_eq!(ran(&program, r#"{"event":"3","a":"1"}"#), (vec![3], vec![]));
        assert_eq!(ran(&program, r#"{"event":"3","a":"x"}"#), (vec![], vec![3]));
        assert_eq!(ran(&program, r#"{"a":"x"}"#), (vec![], (0..20).collect()));
        assert_eq!(ran(&program, r#"{"a":"2"}"#), (vec![], vec![]));
    }

    #[test]
    fn contradictions_are_never_looked_at_unless_they_can_fail() {
        let contradiction = call("and", &[is("event", "a"), is("event", "b")]);
        let program = program(&[contradiction.clone(), call("and", &[contradiction, fallible("a")])]);
        let seen: Vec<u32> = (0..program.index.groups.len()).flat_map(|group| held(&program, group)).collect();
        assert_eq!(seen, [1]);
        assert_eq!(ran(&program, r#"{"event":"a","a":"x"}"#), (vec![], vec![]));
        assert_eq!(ran(&program, r#"{"a":"x"}"#), (vec![], vec![1]));
    }

    #[test]
    fn rules_without_an_atom_are_all_looked_at() {
        let filters: Vec<String> = (0..50).map(|n| call("gt", &[field("event"), text(n)])).collect();
        let program = program(&filters);
        assert_eq!(held(&program, 0).len(), 50);
        assert_eq!(ran(&program, r#"{"event":"2"}"#).0.len(), (0..50).filter(|n| "2" > n.to_string().as_str()).count());
    }

    #[test]
    fn alternatives_share_an_atom() {
        let either = |n: usize| call("or", &[call("and", &[is("event", n), is("app", "x")]), is("event", n + 1)]);
        let program = program(&(0..20).map(either).collect::<Vec<_>>());
        assert_eq!(held(&program, 0), [0; 0]);
        assert_eq!(ran(&program, r#"{"event":"5","app":"x"}"#), (vec![4, 5], vec![]));
        assert_eq!(ran(&program, r#"{"event":"5"}"#), (vec![4], vec![]));
    }

    #[test]
    fn equal_expressions_are_one_node() {
        let one = program(&[call("and", &[is("event", "a"), fallible("a")])]);
        let many = program(&vec![call("and", &[is("event", "a"), fallible("a")]); 50]);
        assert_eq!(one.nodes.len(), many.nodes.len());
    }
}
