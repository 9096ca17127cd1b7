//! Drops repeats of an `event_id` within a window of received time.
//!
//! The ids seen last lie in one table; each entry says in which generation its id was seen last. A generation is a stretch of each
//! ingest partition, and an eighth of the window long or a sixteenth of the ids allowed. Since a repeat renews its id, what is
//! remembered depends on the records from the oldest generation on alone, and reading those again gives the same table.
//!
//! An id is kept as 120 bits of its SipHash-1-3-128. With n ids remembered, a new id is taken for a repeat with a probability of
//! n / 2^120: 1.6e-29 an event for twenty million.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::record::{self, RecordRef};

/// Fixed, so that a table read again is the same one. `headwater:event_` `id` in ASCII.
const KEYS: (u64, u64) = (0x6865_6164_7761_7465, 0x723a_6576_656e_7469);
const GENERATIONS_PER_WINDOW: i64 = 8;
const GENERATIONS_PER_TABLE: usize = 16;
/// Generations that lost their ids to later ones can pile up; an entry tells 256 apart. Time adds nine at most.
const GENERATIONS_BY_IDS_MAX: usize = 64;
const STATE_VERSION: u64 = 1;

type Place = (String, u32);

/// 120 bits of the hash, and the low 8 bits of the generation in which the id was seen last.
#[derive(Clone, Copy)]
struct Seen {
    high: u64,
    low_and_generation: u64,
}

impl Seen {
    fn is_same_id(self, other: Seen) -> bool {
        self.high == other.high && (self.low_and_generation ^ other.low_and_generation) >> 8 == 0
    }

    fn generation(self) -> u8 {
        self.low_and_generation as u8
    }
}

struct Generation {
    /// Received time at which it began, and the latest one in it.
    since: i64,
    last: i64,
    ids: usize,
    /// Where it begins in each partition.
    starts: HashMap<Place, u64>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The records kept, each with its origin.
    pub records: Vec<u8>,
    /// For every record of the batch whether it was kept.
    pub kept: Vec<bool>,
    pub duplicates: u32,
}

pub struct Deduplicator {
    window_ms: i64,
    ids_max: usize,
    table: HashTable<Seen>,
    mixer: Mixer,
    /// Received time at most seen so far.
    clock: i64,
    /// Number of the oldest generation.
    first: u64,
    generations: VecDeque<Generation>,
    next: HashMap<Place, u64>,
    forgotten: u64,
}

/// Spreads ids over the table by a secret of the process, so that nobody can choose ids that share a place in it.
struct Mixer(u64, u64);

impl Mixer {
    fn new() -> Mixer {
        let random = RandomState::new();
        Mixer(random.hash_one(1), random.hash_one(2))
    }

    fn hash(&self, seen: &Seen) -> u64 {
        let product = u128::from(seen.high ^ self.0) * u128::from((seen.low_and_generation >> 8) ^ self.1);
        product as u64 ^ (product >> 64) as u64
    }
}

fn seen(event_id: &str) -> Seen {
    let mut hasher = SipHasher13::new_with_keys(KEYS.0, KEYS.1);
    hasher.write(event_id.as_bytes());
    let hash = hasher.finish128();
    Seen { high: hash.h1, low_and_generation: hash.h2 << 8 }
}

impl Deduplicator {
    /// Errs where a limit is not positive.
    pub fn new(window_ms: i64, ids_max: usize) -> Result<Deduplicator, String> {
        if window_ms <= 0 || ids_max == 0 {
            return Err(format!("a window of {window_ms} ms and {ids_max} ids; both must be at least 1"));
        }
        Ok(Deduplicator {
            window_ms,
            ids_max,
            table: HashTable::new(),
            mixer: Mixer::new(),
            clock: i64::MIN,
            first: 0,
            generations: VecDeque::new(),
            next: HashMap::new(),
            forgotten: 0,
        })
    }

    pub fn ids(&self) -> usize {
        self.table.len()
    }

    /// Ids forgotten before their window was over, since there were too many.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Drops repeats from a batch. Errs, and changes nothing, where the batch is not the next one of its partition.
    pub fn run(&mut self, batch: &[u8], topic: &str, partition: u32, first_offset: u64) -> Result<Outcome, String> {
        if topic.is_empty() || topic.len() > usize::from(u16::MAX) {
            return Err(format!("a topic's name has {} bytes; valid are 1 to 65535", topic.len()));
        }
        // All is read before anything is remembered: half a batch would make its second half repeats of themselves.
        let parsed = record::records(batch).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let place = (topic.to_owned(), partition);
        let expected = *self.next.entry(place.clone()).or_insert(first_offset);
        if first_offset != expected {
            return Err(format!("the next offset of {topic}/{partition} is {expected}, not {first_offset}"));
        }
        let Some(next_offset) = first_offset.checked_add(parsed.len() as u64) else {
            return Err(format!("{} records from offset {first_offset} on: offsets end at {}", parsed.len(), u64::MAX));
        };
        for generation in &mut self.generations {
            generation.starts.entry(place.clone()).or_insert(first_offset);
        }
        let mut outcome = Outcome { records: Vec::with_capacity(batch.len() + parsed.len() * topic.len()), ..Outcome::default() };
        for (offset, (_, record)) in (first_offset..).zip(&parsed) {
            let kept = record.event_id.is_empty() || !self.is_repeat(record, &place, offset);
            outcome.kept.push(kept);
            if kept {
                with_origin(record, topic, partition, offset).encode(&mut outcome.records).map_err(|e| e.to_string())?;
            } else {
                outcome.duplicates += 1;
            }
        }
        self.next.insert(place, next_offset);
        Ok(outcome)
    }

    fn is_repeat(&mut self, record: &RecordRef<'_>, place: &Place, offset: u64) -> bool {
        self.tick(record.received_time, place, offset);
        let repeat = self.remember(seen(record.event_id), self.generations.len() - 1);
        while self.table.len() > self.ids_max && self.generations.len() > 1 {
            self.forgotten += self.generations[0].ids as u64;
            self.drop_oldest();
        }
        repeat
    }

    /// Begins a generation where it is time for one, and drops those whose window is over.
    fn tick(&mut self, received_time: i64, place: &Place, offset: u64) {
        self.clock = self.clock.max(received_time);
        let clock = self.clock;
        let length = (self.window_ms / GENERATIONS_PER_WINDOW).max(1);
        let begin = self.generations.back().is_none_or(|current| {
            let full = current.ids > self.ids_max / GENERATIONS_PER_TABLE;
            clock.saturating_sub(current.since) >= length || full && self.generations.len() < GENERATIONS_BY_IDS_MAX
        });
        if begin {
            let mut starts = self.next.clone();
            starts.insert(place.clone(), offset);
            self.generations.push_back(Generation { since: clock, last: clock, ids: 0, starts });
        }
        if let Some(current) = self.generations.back_mut() {
            current.last = clock;
        }
        while clock.saturating_sub(self.generations[0].last) >= self.window_ms {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.first as u8;
        if self.generations[0].ids > 0 {
            self.table.retain(|entry| entry.generation() != oldest);
        }
        self.generations.pop_front();
        self.first += 1;
    }

    /// Notes the id in that generation (by index); true where it was there.
    fn remember(&mut self, mut id: Seen, generation: usize) -> bool {
        let number = (self.first + generation as u64) as u8;
        id.low_and_generation |= u64::from(number);
        let mixer = &self.mixer;
        let slot = self.table.entry(mixer.hash(&id), |entry| entry.is_same_id(id), |entry| mixer.hash(entry));
        match slot {
            Slot::Occupied(mut slot) => {
                let before = usize::from(slot.get().generation().wrapping_sub(self.first as u8));
                if before < generation {
                    self.generations[before].ids -= 1;
                    self.generations[generation].ids += 1;
                    *slot.get_mut() = id;
                }
                true
            }
            Slot::Vacant(slot) => {
                slot.insert(id);
                self.generations[generation].ids += 1;
                false
            }
        }
    }

    /// What `restore` needs beside the records: where generations begin. Small JSON, to be stored with the offsets it belongs to.
    pub fn state(&self) -> Vec<u8> {
        let generations: Vec<Value> =
            self.generations.iter().map(|g| json!({"since": g.since, "last": g.last, "starts": places(&g.starts)})).collect();
        let state = json!({
            "version": STATE_VERSION,
            "clock": self.clock,
            "forgotten": self.forgotten,
            "first": self.first,
            "next": places(&self.next),
            "generations": generations,
        });
        state.to_string().into_bytes()
    }

    /// A filter as `state` left it, but for the ids: `replay` the `replay_ranges` to have them.
    pub fn restore(state: &[u8], window_ms: i64, ids_max: usize) -> Result<Deduplicator, String> {
        let state: Value = serde_json::from_slice(state).map_err(|e| format!("the deduplication state is not JSON: {e}"))?;
        if state["version"].as_u64() != Some(STATE_VERSION) {
            return Err(format!("deduplication state version {} is not known; valid is {STATE_VERSION}", state["version"]));
        }
        let mut restored = Deduplicator::new(window_ms, ids_max)?;
        restored
            .read_state(&state)
            .ok_or_else(|| "the deduplication state lacks a part or has one of another type".to_owned())?;
        Ok(restored)
    }

    fn read_state(&mut self, state: &Value) -> Option<()> {
        self.clock = state["clock"].as_i64()?;
        self.forgotten = state["forgotten"].as_u64()?;
        self.first = state["first"].as_u64().filter(|first| i64::try_from(*first).is_ok())?;
        self.next = read_places(&state["next"])?;
        for generation in state["generations"].as_array()? {
            let (since, last) = (generation["since"].as_i64()?, generation["last"].as_i64()?);
            self.generations.push_back(Generation { since, last, ids: 0, starts: read_places(&generation["starts"])? });
        }
        // More cannot be told apart by 8 bits, and no filter ever has so many.
        (self.generations.len() <= 128).then_some(())
    }

    /// What must be read again after `restore`: (topic, partition, from offset, to offset), in any order.
    pub fn replay_ranges(&self) -> Vec<(String, u32, u64, u64)> {
        let mut ranges = Vec::new();
        if let Some(oldest) = self.generations.front() {
            for (place, &to) in &self.next {
                let from = oldest.starts.get(place).copied().unwrap_or(to);
                if from < to {
                    ranges.push((place.0.clone(), place.1, from, to));
                }
            }
        }
        ranges.sort();
        ranges
    }

    /// Remembers what a batch holds that was run before the state was taken. Records behind that state are passed over.
    pub fn replay(&mut self, batch: &[u8], topic: &str, partition: u32, first_offset: u64) -> Result<(), String> {
        let place = (topic.to_owned(), partition);
        let end = self.next.get(&place).copied().unwrap_or(0);
        let starts: Vec<u64> = self.generations.iter().map(|g| g.starts.get(&place).copied().unwrap_or(u64::MAX)).collect();
        for (offset, item) in (first_offset..end).zip(record::records(batch)) {
            let (_, record) = item.map_err(|e| e.to_string())?;
            let Some(generation) = starts.iter().rposition(|&start| start <= offset) else { continue };
            if !record.event_id.is_empty() {
                self.remember(seen(record.event_id), generation);
            }
        }
        Ok(())
    }
}

fn with_origin<'a>(record: &RecordRef<'a>, topic: &'a str, partition: u32, offset: u64) -> RecordRef<'a> {
    if !record.origin_topic.is_empty() {
        return *record;
    }
    RecordRef { origin_topic: topic, origin_partition: partition, origin_offset: offset, ..*record }
}

fn places(offsets: &HashMap<Place, u64>) -> Value {
    let mut sorted: Vec<_> = offsets.iter().collect();
    sorted.sort();
    sorted.into_iter().map(|((topic, partition), offset)| json!([topic, partition, offset])).collect()
}

fn read_places(value: &Value) -> Option<HashMap<Place, u64>> {
    let place = |entry: &Value| {
        let partition = u32::try_from(entry[1].as_u64()?).ok()?;
        Some(((entry[0].as_str()?.to_owned(), partition), entry[2].as_u64()?))
    };
    value.as_array()?.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[(&str, i64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(event_id, received_time) in ids {
            RecordRef { event_id, received_time, payload: b"{}", ..RecordRef::default() }.encode(&mut out).unwrap();
        }
        out
    }

    fn run(filter: &mut Deduplicator, offset: u64, ids: &[(&str, i64)]) -> Vec<bool> {
        filter.run(&batch(ids), "t", 0, offset).unwrap().kept
    }

    #[test]
    fn a_repeat_within_the_window_is_dropped_and_renews_its_id() {
        let mut filter = Deduplicator::new(800, 100).unwrap();
        assert_eq!(run(&mut filter, 0, &[("a", 0), ("a", 0), ("", 1), ("", 1), ("b", 2)]), [true, false, true, true, true]);
        assert_eq!(run(&mut filter, 5, &[("a", 700), ("c", 1400), ("a", 1450)]), [false, true, false]);
        assert_eq!(run(&mut filter, 8, &[("b", 1500), ("a", 3000)]), [true, true]);
        assert_eq!(filter.forgotten(), 0);
    }

    #[test]
    fn the_kept_records_carry_their_origin() {
        let mut filter = Deduplicator::new(800, 100).unwrap();
        let kept = filter.run(&batch(&[("a", 0), ("a", 0), ("b", 0)]), "t", 3, 40).unwrap();
        let origins: Vec<_> = record::records(&kept.records)
            .map(|item| item.unwrap().1)
            .map(|r| (r.origin_topic.to_owned(), r.origin_partition, r.origin_offset, r.event_id.to_owned()))
            .collect();
        assert_eq!(origins, [("t".into(), 3, 40, "a".into()), ("t".into(), 3, 42, "b".into())]);
        assert_eq!(kept.duplicates, 1);
    }

    #[test]
    fn too_many_ids_forget_the_oldest_and_say_so() {
        let mut filter = Deduplicator::new(800, 32).unwrap();
        let names: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let ids: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        assert!(run(&mut filter, 0, &ids).iter().all(|&kept| kept));
        assert!(filter.ids() <= 32);
        assert_eq!(filter.forgotten() as usize + filter.ids(), 1000);
        assert_eq!(run(&mut filter, 1000, &[("999", 0), ("0", 0)]), [false, true]);
    }

    #[test]
    fn a_batch_that_is_not_the_next_one_changes_nothing() {
        let mut filter = Deduplicator::new(800, 100).unwrap();
        run(&mut filter, 7, &[("a", 0)]);
        assert_eq!(filter.run(&batch(&[("a", 0)]), "t", 0, 7).unwrap_err(), "the next offset of t/0 is 8, not 7");
        let mut torn = batch(&[("b", 0), ("c", 0)]);
        torn.pop();
        assert!(filter.run(&torn, "t", 0, 8).is_err());
        assert_eq!(run(&mut filter, 8, &[("b", 0)]), [true]);
    }

    #[test]
    fn times_and_offsets_at_their_ends_are_no_fault() {
        let mut filter = Deduplicator::new(800, 100).unwrap();
        assert_eq!(
            run(&mut filter, 0, &[("a", i64::MIN), ("a", i64::MAX), ("a", i64::MAX), ("b", 0)]),
            [true, true, false, true]
        );
        let error = filter.run(&batch(&[("c", 0), ("d", 0)]), "t", 1, u64::MAX - 1).unwrap_err();
        assert_eq!(error, "2 records from offset 18446744073709551614 on: offsets end at 18446744073709551615");
        let state = format!(r#"{{"version":1,"clock":0,"forgotten":0,"first":{},"next":[],"generations":[]}}"#, u64::MAX);
        assert!(Deduplicator::restore(state.as_bytes(), 800, 100).is_err());
    }

    #[test]
    fn a_state_that_is_not_one_is_refused() {
        for state in ["", "{}", "{\"version\":2}", "{\"version\":1}"] {
            assert!(Deduplicator::restore(state.as_bytes(), 800, 100).is_err(), "{state}");
        }
        assert!(Deduplicator::new(0, 1).is_err() && Deduplicator::new(1, 0).is_err());
    }
}
