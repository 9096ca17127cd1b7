//! What is counted while events run: by rule, by group of the index, by path.
//!
//! What is counted for every event is added where it happens anyway. How often a rule was looked at is counted by group, and
//! made into figures of rules only when somebody asks. Whether fields have values is counted for some events, times for fewer.

use std::sync::OnceLock;
use std::time::Instant;

use crate::index::Index;

/// The first well-formed event of a batch and each that many after it are looked at for whether fields have values.
pub const SAMPLED_ONE_IN: u64 = 64;
/// One event in so many is timed, by thread.
pub const TIMED_ONE_IN: u64 = 1024;
/// An event whose rules took longer by the clock does not count as timed: the thread was most likely not running.
const TIMED_NS_MAX: u64 = 1_000_000;

/// What one rule counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    pub matched: u64,
    pub where_errors: u64,
    pub failed: u64,
    /// Columns that were left out since they were not finite.
    pub not_finite: u64,
    /// Columns that were left out since they were NULL.
    pub nulls: u64,
    /// Rows that its dataset got, counted there.
    pub emitted: u64,
    /// Of these rows, as its dataset got them.
    pub bytes: u64,
    /// How often it was looked at outside the groups that hold it.
    pub evaluated: u64,
}

/// What one path counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounts {
    pub coerced: u64,
    pub type_errors: u64,
    /// Of the sampled events, how many had a value that is not null.
    pub present: u64,
}

impl RuleCounts {
    pub fn add(&mut self, other: &RuleCounts) {
        self.matched += other.matched;
        self.where_errors += other.where_errors;
        self.failed += other.failed;
        self.not_finite += other.not_finite;
        self.nulls += other.nulls;
        self.emitted += other.emitted;
        self.bytes += other.bytes;
        self.evaluated += other.evaluated;
    }
}

impl FieldCounts {
    pub fn add(&mut self, other: &FieldCounts) {
        self.coerced += other.coerced;
        self.type_errors += other.type_errors;
        self.present += other.present;
    }
}

/// Times of the events that were timed.
#[derive(Clone, Debug, Default)]
pub struct Times {
    pub events: u64,
    /// By group: ns of looking at its rules; a group may stand here several times.
    pub groups: Vec<(u32, u64)>,
    /// By rule: ns of writing its rows; a rule may stand here several times.
    pub rules: Vec<(u32, u64)>,
}

/// What is not 0, by number.
pub type Numbered<T> = Vec<(u32, T)>;

/// Counts by number, and which of them are not 0, so that the others need not be looked at.
#[derive(Debug, Default)]
struct Sparse<T> {
    counts: Vec<T>,
    touched: Vec<u64>,
}

impl<T: Copy + Default> Sparse<T> {
    fn resize(&mut self, size: usize) {
        self.counts.resize(size, T::default());
        self.touched.resize(size.div_ceil(64), 0);
    }

    #[inline(always)]
    fn at(&mut self, number: u32) -> &mut T {
        self.touched[number as usize / 64] |= 1 << (number % 64);
        &mut self.counts[number as usize]
    }

    /// What is not 0, by number; all of it is 0 then.
    fn take(&mut self) -> Numbered<T> {
        let some = self.touched.iter().map(|word| word.count_ones() as usize).sum();
        let mut found = Vec::with_capacity(some);
        for (at, word) in self.touched.iter_mut().enumerate() {
            let mut left = std::mem::take(word);
            while left != 0 {
                let number = at as u32 * 64 + left.trailing_zeros();
                left &= left - 1;
                found.push((number, std::mem::take(&mut self.counts[number as usize])));
            }
        }
        found
    }
}

/// What a batch counts of rules.
#[derive(Debug, Default)]
pub struct Counts {
    rules: Sparse<RuleCounts>,
    groups: Sparse<u32>,
    /// Events of this thread since one was timed.
    since_timed: u64,
}

impl Counts {
    pub fn begin(&mut self, rules: usize, groups: usize) {
        self.rules.resize(rules);
        self.groups.resize(groups);
    }

    #[inline(always)]
    pub fn rule(&mut self, rule: u32) -> &mut RuleCounts {
        self.rules.at(rule)
    }

    /// The rules of a group are looked at.
    #[inline(always)]
    pub fn group(&mut self, group: u32) {
        *self.groups.at(group) += 1;
    }

    /// So many events were run.
    pub fn ran(&mut self, events: u64) {
        self.since_timed += events;
    }

    /// So many more events were run: whether the next one is to be timed.
    pub fn time_next(&mut self, events: u64) -> bool {
        self.ran(events);
        let due = self.since_timed >= TIMED_ONE_IN;
        if due {
            self.since_timed = 0;
        }
        due
    }

    /// By rule and by group; nothing is counted then.
    pub fn take(&mut self) -> (Numbered<RuleCounts>, Numbered<u32>) {
        (self.rules.take(), self.groups.take())
    }
}

/// A clock for what follows each other.
pub struct Watch {
    last: Instant,
    /// ns of reading the clock.
    own: u64,
}

impl Watch {
    pub fn start() -> Watch {
        static OWN: OnceLock<u64> = OnceLock::new();
        let own = *OWN.get_or_init(|| {
            let reading = || Instant::now().elapsed().as_nanos() as u64;
            (0..64).map(|_| reading()).min().unwrap_or(0)
        });
        Watch { last: Instant::now(), own }
    }

    /// ns since it was started or last asked.
    pub fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let ns = now.duration_since(self.last).as_nanos() as u64;
        self.last = now;
        ns.saturating_sub(self.own)
    }
}

impl Times {
    /// How long the lists are.
    pub fn lengths(&self) -> (usize, usize) {
        (self.groups.len(), self.rules.len())
    }

    /// Ends a timed event, of which the lists have grown from these lengths on.
    pub fn end(&mut self, (groups, rules): (usize, usize)) {
        let spent = self.groups[groups..].iter().chain(&self.rules[rules..]).map(|(_, ns)| ns).sum::<u64>();
        if spent > TIMED_NS_MAX {
            self.groups.truncate(groups);
            self.rules.truncate(rules);
        } else {
            self.events += 1;
        }
    }
}

/// Sums over batches of one program.
#[derive(Debug)]
pub struct RuleTotals {
    pub rules: Vec<RuleCounts>,
    groups: Vec<u64>,
    group_ns: Vec<u64>,
    rule_ns: Vec<u64>,
    pub timed: u64,
}

impl RuleTotals {
    pub fn new(rules: usize, index: &Index) -> RuleTotals {
        let groups = index.groups.len();
        RuleTotals {
            rules: vec![RuleCounts::default(); rules],
            groups: vec![0; groups],
            group_ns: vec![0; groups],
            rule_ns: vec![0; rules],
            timed: 0,
        }
    }

    pub fn add(&mut self, rules: &[(u32, RuleCounts)], groups: &[(u32, u32)], times: &Times) {
        for (rule, counts) in rules {
            self.rules[*rule as usize].add(counts);
        }
        for (group, runs) in groups {
            self.groups[*group as usize] += *runs as u64;
        }
        for (group, ns) in &times.groups {
            self.group_ns[*group as usize] += ns;
        }
        for (rule, ns) in &times.rules {
            self.rule_ns[*rule as usize] += ns;
        }
        self.timed += times.events;
    }

    /// By rule: how often its conditions were looked at.
    pub fn evaluated(&self, index: &Index) -> Vec<u64> {
        let mut found: Vec<u64> = self.rules.iter().map(|counts| counts.evaluated).collect();
        for (group, runs) in self.groups.iter().enumerate().filter(|(_, runs)| **runs > 0) {
            index.rules_of(group).for_each(|rule| found[rule as usize] += runs);
        }
        found
    }

    /// By rule: ns of the events that were timed. What it takes to look at a group is shared out evenly among its rules.
    pub fn ns(&self, index: &Index) -> Vec<f64> {
        let mut found: Vec<f64> = self.rule_ns.iter().map(|ns| *ns as f64).collect();
        for (group, ns) in self.group_ns.iter().enumerate().filter(|(_, ns)| **ns > 0) {
            let share = *ns as f64 / index.rules_of(group).count().max(1) as f64;
            index.rules_of(group).for_each(|rule| found[rule as usize] += share);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_in_order_and_then_zero() {
        let mut counts = Counts::default();
        counts.begin(200, 70);
        for rule in [130, 3, 130, 64] {
            counts.rule(rule).matched += 1;
        }
        counts.group(69);
        let (rules, groups) = counts.take();
        assert_eq!(rules.iter().map(|(rule, of)| (*rule, of.matched)).collect::<Vec<_>>(), [(3, 1), (64, 1), (130, 2)]);
        assert_eq!(groups, [(69, 1)]);
        assert_eq!(counts.take(), (vec![], vec![]));
    }

    #[test]
    fn one_event_in_many_is_timed() {
        let mut counts = Counts::default();
        let timed = (0..TIMED_ONE_IN * 10 / SAMPLED_ONE_IN).filter(|_| counts.time_next(SAMPLED_ONE_IN)).count();
        assert_eq!(timed, 10);
    }

    #[test]
    fn an_event_that_took_too_long_is_left_out() {
        let mut times = Times { events: 1, groups: vec![(0, 5)], rules: vec![(1, 7)] };
        times.groups.push((2, 1));
        times.rules.push((3, TIMED_NS_MAX));
        times.end((1, 1));
        assert_eq!((times.events, &times.groups, &times.rules), (1, &vec![(0, 5)], &vec![(1, 7)]));
        times.rules.push((3, 9));
        times.end((1, 1));
        assert_eq!((times.events, times.rules.len()), (2, 2));
    }
}
