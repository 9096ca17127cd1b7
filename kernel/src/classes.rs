//! Splits a batch of records by key class, so that one worker gets all records of a key, and with them all repeats of an event.

use xxhash_rust::xxh64::xxh64;

use crate::record::{self, RecordError, RecordRef};

/// The records of one class, in the order of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub class: u32,
    pub count: u64,
    pub records: Vec<u8>,
}

/// The class of a record: xxh64 (seed 0) of its key, or of its event_id where the key is empty, modulo `classes`.
pub fn class_of(record: &RecordRef<'_>, classes: u32) -> u32 {
    let text = if record.key.is_empty() { record.event_id } else { record.key };
    (xxh64(text.as_bytes(), 0) % u64::from(classes.max(1))) as u32
}

/// The classes that have records, sorted.
pub fn split(batch: &[u8], classes: u32) -> Result<Vec<Part>, RecordError> {
    let mut parts: Vec<Part> = Vec::new();
    // Where each class stands in `parts`.
    let mut places = hashbrown::HashMap::new();
    let mut parsed = record::records(batch).peekable();
    while let Some(next) = parsed.next() {
        let (start, record) = next?;
        let end = match parsed.peek() {
            Some(Ok((after, _))) => *after,
            Some(Err(error)) => return Err(*error),
            None => batch.len(),
        };
        let class = class_of(&record, classes);
        let place = *places.entry(class).or_insert_with(|| {
            parts.push(Part { class, count: 0, records: Vec::new() });
            parts.len() - 1
        });
        let part = &mut parts[place];
        part.count += 1;
        part.records.extend_from_slice(&batch[start..end]);
    }
    parts.sort_by_key(|part| part.class);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(keys: &[(&str, &str)]) -> Vec<u8> {
        let mut batch = Vec::new();
        for (key, event_id) in keys {
            RecordRef { key, event_id, payload: b"{}", ..RecordRef::default() }.encode(&mut batch).unwrap();
        }
        batch
    }

    #[test]
    fn the_hash_is_xxh64() {
        let known = [("", 0xef46_db37_51d8_e999_u64), ("a", 0xd24e_c4f1_a98c_6e5b), ("abc", 0x44bc_2cf5_ad77_0999)];
        for (text, hash) in known {
            let record = RecordRef { key: text, ..RecordRef::default() };
            assert_eq!(u64::from(class_of(&record, u32::MAX)), hash % u64::from(u32::MAX));
        }
    }

    #[test]
    fn a_class_has_its_records_in_order_and_all_together_are_the_batch() {
        let keys: Vec<(String, String)> = (0..1000).map(|n| (format!("k{}", n % 37), format!("e{n}"))).collect();
        let borrowed: Vec<(&str, &str)> = keys.iter().map(|(key, id)| (key.as_str(), id.as_str())).collect();
        let whole = batch(&borrowed);
        let parts = split(&whole, 8).unwrap();
        assert!(parts.windows(2).all(|two| two[0].class < two[1].class));
        let mut ids = Vec::new();
        for part in &parts {
            let records: Vec<_> = record::records(&part.records).map(|item| item.unwrap().1).collect();
            assert_eq!(records.len() as u64, part.count);
            assert!(records.iter().all(|record| class_of(record, 8) == part.class));
            let numbers: Vec<u32> = records.iter().map(|record| record.event_id[1..].parse().unwrap()).collect();
            assert!(numbers.is_sorted());
            ids.extend(numbers);
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..1000).collect::<Vec<u32>>());
    }

    #[test]
    fn a_record_without_a_key_goes_by_its_id() {
        let parts = split(&batch(&[("", "abc"), ("abc", "")]), 1 << 20).unwrap();
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].count, 2);
    }

    #[test]
    fn what_is_no_batch_is_an_error() {
        let whole = batch(&[("a", "1"), ("b", "2")]);
        for bytes in 1..whole.len() {
            let cut = split(&whole[..bytes], 4);
            assert_eq!(cut.is_ok(), bytes == whole.len() / 2, "{bytes}");
        }
        assert_eq!(split(&[], 4), Ok(Vec::new()));
    }
}
