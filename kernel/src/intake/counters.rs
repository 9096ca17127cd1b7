//! What is counted, per body and summed up. The number of event types and of violations counted apart is bounded.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::intake::Verdict;
use crate::json::write_string;

/// (app, event type) pairs and (app, event type, violation) triples that are counted apart; further ones count as `other`.
pub const COUNTED_MAX: usize = 10_000;
const OTHER: &str = "other";

/// One body's counts, or one event type's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub dead: BTreeMap<&'static str, u64>,
    pub dropped: BTreeMap<&'static str, u64>,
    pub events: HashMap<String, EventTally>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTally {
    pub accepted: u64,
    /// Of the accepted ones, those with at least one flag.
    pub flagged: u64,
    pub dead: u64,
    pub violations: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one verdict; `event` is the event type where it is known.
    pub fn add(&mut self, verdict: &Verdict, event: Option<&str>) {
        match verdict {
            Verdict::Dead(dead) => *self.dead.entry(dead.reason).or_default() += 1,
            Verdict::Dropped(reason) => *self.dropped.entry(reason).or_default() += 1,
            Verdict::Accepted { .. } => {}
        }
        let Some(event) = event else { return };
        if !self.events.contains_key(event) {
            self.events.insert(event.to_string(), EventTally::default());
        }
        let Some(tally) = self.events.get_mut(event) else { return };
        match verdict {
            Verdict::Accepted { flags, .. } => {
                tally.accepted += 1;
                tally.flagged += u64::from(!flags.is_empty());
                for flag in flags {
                    match tally.violations.get_mut(flag) {
                        Some(count) => *count += 1,
                        None => drop(tally.violations.insert(flag.clone(), 1)),
                    }
                }
            }
            Verdict::Dead(_) => tally.dead += 1,
            Verdict::Dropped(_) => {}
        }
    }
}

/// Tallies of many bodies.
#[derive(Default)]
pub struct Counters {
    pub accepted: u64,
    pub dead: BTreeMap<&'static str, u64>,
    pub dropped: BTreeMap<&'static str, u64>,
    /// By (app, event type): accepted, flagged, dead.
    pub events: HashMap<(String, String), [u64; 3]>,
    /// By (app, event type, violation).
    pub violations: HashMap<(String, String, String), u64>,
}

impl Counters {
    /// Adds the tally of a body of `app` that gave `accepted` events.
    pub fn add(&mut self, app: &str, accepted: u64, tally: &Tally) {
        self.accepted += accepted;
        for (reason, count) in &tally.dead {
            *self.dead.entry(reason).or_default() += count;
        }
        for (reason, count) in &tally.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (event, of) in &tally.events {
            let mut key = (app.to_string(), event.clone());
            if self.events.len() >= COUNTED_MAX && !self.events.contains_key(&key) {
                key.1 = OTHER.to_string();
            }
            for (sum, count) in self.events.entry(key).or_default().iter_mut().zip([of.accepted, of.flagged, of.dead]) {
                *sum += count;
            }
            for (violation, count) in &of.violations {
                let mut key = (app.to_string(), event.clone(), violation.clone());
                if self.violations.len() >= COUNTED_MAX && !self.violations.contains_key(&key) {
                    key.1 = OTHER.to_string();
                    key.2 = OTHER.to_string();
                }
                *self.violations.entry(key).or_default() += count;
            }
        }
    }
}

/// A verdict as a client sees it.
pub fn write_verdict(verdict: &Verdict, out: &mut Vec<u8>) {
    match verdict {
        Verdict::Accepted { event_id, flags } => {
            out.extend_from_slice(b"{\"verdict\":\"accepted\",\"event_id\":");
            write_string(event_id.as_bytes(), out);
            if !flags.is_empty() {
                out.extend_from_slice(b",\"violations\":[");
                for (index, flag) in flags.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(flag.as_bytes(), out);
                }
                out.push(b']');
            }
        }
        Verdict::Dead(dead) => {
            out.extend_from_slice(b"{\"verdict\":\"dead\",\"reason\":");
            write_string(dead.reason.as_bytes(), out);
            out.extend_from_slice(b",\"detail\":");
            write_string(dead.detail.as_bytes(), out);
        }
        Verdict::Dropped(reason) => {
            out.extend_from_slice(b"{\"verdict\":\"dropped\",\"reason\":");
            write_string(reason.as_bytes(), out);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_apart_is_bounded() {
        let mut counters = Counters::default();
        for number in 0..COUNTED_MAX + 50 {
            let mut tally = Tally::default();
            let flags = vec!["unregistered_event".to_string()];
            tally.add(&Verdict::Accepted { event_id: String::new(), flags }, Some(&format!("e{number}")));
            counters.add("a", 1, &tally);
        }
        assert_eq!(counters.accepted, COUNTED_MAX as u64 + 50);
        assert_eq!(counters.events.len(), COUNTED_MAX + 1);
        assert_eq!(counters.events[&("a".to_string(), OTHER.to_string())], [50, 50, 0]);
        assert_eq!(counters.violations.values().sum::<u64>(), COUNTED_MAX as u64 + 50);
        assert_eq!(counters.violations.len(), COUNTED_MAX + 1);
    }
}
