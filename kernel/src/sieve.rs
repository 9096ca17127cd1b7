//! Leaving out rules of a large group that cannot match: for each operand that many of them have conditions on, and each
//! stretch of its values, a bitmap of the rules that may match there. Few are left where all of them meet, and these are tested.

use crate::condition::{Blocks, Candidate, Condition, Form, INSIDE, IS_NULL, NULL, OUTSIDE, Operand, Tester};

/// Fewer rules are tested at once.
const RULES_MIN: usize = 32;
/// So many operands are looked up at most.
const TABLES_MAX: usize = 8;
/// Values are divided at so many places at most.
const CUTS_MAX: usize = 255;
/// A table pays where it leaves out one in so many of the rules.
const LEFT_OUT_ONE_IN: f64 = 8.0;

#[derive(Debug)]
pub struct Sieve {
    tables: Vec<Table>,
    /// Rules, each of which has a block of its own.
    count: u32,
}

#[derive(Debug)]
struct Table {
    operand: u32,
    /// Where stretches begin, but for the first.
    cuts: Vec<i64>,
    /// The bitmaps of the stretches, and of NULL.
    rows: Vec<u64>,
}

/// What is known of an operand's value.
#[derive(Clone, Copy)]
enum Stretch {
    Values(i64, i64),
    Null,
}

impl Sieve {
    /// A sieve for some of these rules, which then stand first in the order that is given; None where it does not pay.
    pub fn new<'c>(candidates: Vec<Candidate<'c>>, operands: &[Operand]) -> (Option<Sieve>, Vec<Candidate<'c>>) {
        if candidates.len() < RULES_MIN {
            return (None, candidates);
        }
        let mut outlines = outlines(&candidates, operands);
        let least = candidates.len() as f64 / LEFT_OUT_ONE_IN;
        outlines.retain(|outline| outline.left_out >= least);
        outlines.sort_by(|a, b| b.left_out.total_cmp(&a.left_out).then(a.operand.cmp(&b.operand)));
        outlines.truncate(TABLES_MAX);
        let mut places: Vec<Option<u32>> = vec![None; candidates.len()];
        let mut count = 0;
        for (candidate, place) in places.iter_mut().enumerate() {
            if outlines.iter().any(|outline| outline.holds[candidate].as_ref().is_some_and(|held| held.pays)) {
                *place = Some(count);
                count += 1;
            }
        }
        if (count as usize) < RULES_MIN {
            return (None, candidates);
        }
        let tables = outlines.into_iter().map(|outline| outline.table(&places, count)).collect();
        let (sieved, rest): (Vec<_>, Vec<_>) = candidates.into_iter().zip(places).partition(|(_, place)| place.is_some());
        let ordered = sieved.into_iter().chain(rest).map(|(candidate, _)| candidate).collect();
        (Some(Sieve { tables, count }), ordered)
    }

    /// Makes the blocks: one for each rule of the sieve, and those of the rest; the numbers of the first and behind the last.
    pub fn add(
        sieve: Option<&Sieve>,
        candidates: &[Candidate],
        blocks: &mut Blocks,
        literals: &dyn Fn(u32) -> usize,
    ) -> (u32, u32) {
        let (sieved, rest) = candidates.split_at(sieve.map_or(0, |sieve| sieve.count as usize));
        let firsts: Vec<u32> = sieved.iter().map(|one| blocks.add(std::slice::from_ref(one), literals).0).collect();
        let (first, end) = blocks.add(rest, literals);
        (firsts.first().copied().unwrap_or(first), end)
    }

    /// Adds the rules that match; their blocks begin with `first`. The number behind the last one.
    pub fn run(&self, first: u32, tester: &mut Tester, matched: &mut Vec<u32>) -> u32 {
        let words = self.count.div_ceil(64) as usize;
        let mut rows: [&[u64]; TABLES_MAX] = [&[]; TABLES_MAX];
        let rows = &mut rows[..self.tables.len()];
        for (row, table) in rows.iter_mut().zip(&self.tables) {
            let known = tester.operand(table.operand);
            let null = table.cuts.len() + 1;
            let stretch = if known.null == NULL { null } else { table.cuts.partition_point(|cut| *cut <= known.value) };
            *row = &table.rows[stretch * words..][..words];
        }
        for word in 0..words {
            let mut left = rows.iter().fold(u64::MAX, |left, row| left & row[word]);
            while left != 0 {
                let block = first + word as u32 * 64 + left.trailing_zeros();
                left &= left - 1;
                tester.run(block, block + 1, matched);
            }
        }
        first + self.count
    }
}

/// What a table would be.
struct Outline {
    operand: u32,
    cuts: Vec<i64>,
    /// By rule; None where it may match in all stretches.
    holds: Vec<Option<Held>>,
    /// How many rules are left out, in the mean of the stretches.
    left_out: f64,
}

/// Fields that need only be there leave out too little.
fn outlines(candidates: &[Candidate], operands: &[Operand]) -> Vec<Outline> {
    let mut used: Vec<u32> = Vec::new();
    let all = candidates.iter().flat_map(|candidate| &candidate.conditions);
    all.for_each(|condition| operands_of(condition, &mut used));
    used.sort_unstable();
    used.dedup();
    used.retain(|operand| operands[*operand as usize].form != Form::Presence);
    used.into_iter().map(|operand| outline(operand, candidates)).collect()
}

fn outline(operand: u32, candidates: &[Candidate]) -> Outline {
    let mut cuts = Vec::new();
    candidates.iter().flat_map(|candidate| &candidate.conditions).for_each(|condition| cuts_of(condition, operand, &mut cuts));
    cuts.sort_unstable();
    cuts.dedup();
    let step = cuts.len().div_ceil(CUTS_MAX).max(1);
    let cuts: Vec<i64> = cuts.into_iter().step_by(step).collect();
    let starts = std::iter::once(i64::MIN).chain(cuts.iter().copied());
    let ends = cuts.iter().map(|cut| cut - 1).chain(std::iter::once(i64::MAX));
    let mut stretches: Vec<Stretch> = starts.zip(ends).map(|(low, high)| Stretch::Values(low, high)).collect();
    stretches.push(Stretch::Null);
    let mut left_out = 0.0;
    let holds = candidates.iter().map(|candidate| {
        let about = candidate.conditions.iter().filter(|condition| speaks_of(condition, operand));
        let about: Vec<&Condition> = about.copied().collect();
        if about.is_empty() {
            return None;
        }
        let held: Vec<bool> =
            stretches.iter().map(|stretch| about.iter().all(|condition| may(condition, operand, *stretch))).collect();
        let never = held.iter().filter(|may| !**may).count();
        left_out += never as f64 / held.len() as f64;
        (never > 0).then_some(Held { pays: never * 2 > held.len(), may: held })
    });
    let holds = holds.collect();
    Outline { operand, cuts, holds, left_out }
}

impl Outline {
    fn table(self, places: &[Option<u32>], count: u32) -> Table {
        let words = count.div_ceil(64) as usize;
        let mut rows = vec![0u64; words * (self.cuts.len() + 2)];
        for (held, place) in self.holds.iter().zip(places) {
            let Some(place) = place else { continue };
            for (stretch, row) in rows.chunks_exact_mut(words).enumerate() {
                let may = held.as_ref().is_none_or(|held| held.may[stretch]);
                row[*place as usize / 64] |= (may as u64) << (place % 64);
            }
        }
        Table { operand: self.operand, cuts: self.cuts, rows }
    }
}

/// In which stretches a rule may match.
struct Held {
    may: Vec<bool>,
    /// In less than half of them: what leaves out single values of many is not worth a block of the rule's own.
    pays: bool,
}

fn operands_of(condition: &Condition, found: &mut Vec<u32>) {
    match condition {
        Condition::Range { operand, .. } | Condition::Set { operand, .. } => found.push(*operand),
        Condition::All(list) | Condition::Any(list) => list.iter().for_each(|inner| operands_of(inner, found)),
        Condition::Node { .. } => {}
    }
}

fn speaks_of(condition: &Condition, operand: u32) -> bool {
    match condition {
        Condition::Range { operand: own, .. } | Condition::Set { operand: own, .. } => *own == operand,
        Condition::All(list) | Condition::Any(list) => list.iter().any(|inner| speaks_of(inner, operand)),
        Condition::Node { .. } => false,
    }
}

/// Where what a condition says of an operand changes.
fn cuts_of(condition: &Condition, of: u32, cuts: &mut Vec<i64>) {
    match condition {
        Condition::Range { operand, low, high, .. } if *operand == of && low <= high => {
            cuts.extend(Some(*low).filter(|low| *low != i64::MIN));
            cuts.extend(high.checked_add(1));
        }
        Condition::Set { operand, literals, .. } if *operand == of => {
            cuts.extend(literals.iter().flat_map(|literal| [*literal as i64, *literal as i64 + 1]));
        }
        Condition::All(list) | Condition::Any(list) => list.iter().for_each(|inner| cuts_of(inner, of, cuts)),
        _ => {}
    }
}

/// Whether a condition can hold where an operand's value is in a stretch, whatever other operands are.
fn may(condition: &Condition, of: u32, stretch: Stretch) -> bool {
    match condition {
        Condition::Range { operand, low, high, holds } if *operand == of => match stretch {
            Stretch::Null => holds & IS_NULL != 0,
            Stretch::Values(first, last) => {
                let inside = *low <= last && first <= *high && low <= high;
                let outside = first < *low || *high < last || low > high;
                (holds & INSIDE != 0 && inside) || (holds & OUTSIDE != 0 && outside)
            }
        },
        Condition::Set { operand, literals, holds } if *operand == of => match stretch {
            Stretch::Null => holds & IS_NULL != 0,
            Stretch::Values(first, last) => {
                let inside = literals.iter().filter(|literal| (first..=last).contains(&(**literal as i64))).count();
                let outside = (inside as u64) <= last.abs_diff(first);
                (holds & INSIDE != 0 && inside > 0) || (holds & OUTSIDE != 0 && outside)
            }
        },
        Condition::All(list) => list.iter().all(|inner| may(inner, of, stretch)),
        Condition::Any(list) => list.iter().any(|inner| may(inner, of, stretch)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Program;

    fn rule(number: usize, filter: &str) -> Vec<u8> {
        let head = format!(r#"{{"format":1,"name":"r{number}","from":"e","into":"o","where":{filter}"#);
        format!(r#"{head},"select":[["x",["literal","VARCHAR","y"]]]}}"#).into_bytes()
    }

    fn compare(op: &str, field: &str, number: usize) -> String {
        format!(r#"["call","{op}","BOOLEAN",[["field",["{field}"],"BIGINT"],["literal","BIGINT",{number}]]]"#)
    }

    fn both(one: &str, other: &str) -> String {
        format!(r#"["call","and","BOOLEAN",[{one},{other}]]"#)
    }

    fn between(at: usize) -> String {
        both(&compare("ge", "a", at * 10), &compare("lt", "a", at * 10 + 10))
    }

    fn either(at: usize) -> String {
        format!(r#"["call","or","BOOLEAN",[{},{}]]"#, compare("gt", "b", at), compare("gt", "c", at))
    }

    fn program(filters: impl Iterator<Item = String>) -> Program {
        Program::link(&filters.enumerate().map(|(number, filter)| rule(number, &filter)).collect::<Vec<_>>()).unwrap()
    }

    fn sieve(program: &Program) -> Option<&Sieve> {
        program.index.groups[0].sieve.as_deref()
    }

    #[test]
    fn each_stretch_has_the_rules_that_may_match_there_and_no_others() {
        let program = program((0..100).map(between));
        let sieve = sieve(&program).unwrap();
        assert_eq!(sieve.count, 100);
        let [table] = sieve.tables.as_slice() else { panic!("{:?}", sieve.tables) };
        let held: Vec<u32> = table.rows.chunks(2).map(|row| row.iter().map(|word| word.count_ones()).sum()).collect();
        // Below the first rule's range, in each, behind the last one's, and NULL.
        assert_eq!(held, [vec![0], vec![1; 100], vec![0, 0]].concat());
    }

    #[test]
    fn values_are_divided_at_so_many_places_only() {
        let program = program((0..2000).map(|at| both(&compare("ge", "a", at), &compare("le", "a", at + 1))));
        let table = &sieve(&program).unwrap().tables[0];
        assert!(table.cuts.len() <= CUTS_MAX);
        let words = 2000_usize.div_ceil(64);
        let held = table.rows.chunks(words).map(|row| row.iter().map(|word| word.count_ones()).sum::<u32>());
        assert!(held.max().unwrap() <= 12);
    }

    #[test]
    fn rules_that_it_does_not_speak_of_stay_together_behind_it() {
        let unlike = |at: usize| both(&either(at), &compare("ne", "a", at));
        let program = program((0..80).map(|at| if at % 2 == 0 { between(at) } else { unlike(at) }));
        assert_eq!(sieve(&program).unwrap().count, 40);
        let order: Vec<u32> = program.index.rules_of(0).collect();
        assert_eq!(order, (0..80).step_by(2).chain((1..80).step_by(2)).collect::<Vec<u32>>());
    }

    #[test]
    fn few_rules_and_conditions_of_many_fields_make_none() {
        assert!(sieve(&program((0..RULES_MIN - 1).map(between))).is_none());
        assert!(sieve(&program((0..RULES_MIN).map(between))).is_some());
        assert!(sieve(&program((0..100).map(either))).is_none());
    }
}
