//! What a sink needs of a batch of records: the payloads as lines, and how old the records are.

use std::collections::BTreeMap;

use memchr::memchr;

use crate::record::{RecordError, records};

/// The payloads of a batch, each with a line feed after it, and their number.
///
/// A line feed in a payload can only be white space between JSON tokens, and becomes a space.
pub fn lines(batch: &[u8]) -> Result<(Vec<u8>, u64), RecordError> {
    let mut out = Vec::with_capacity(batch.len());
    let mut count = 0;
    for item in records(batch) {
        let (_, record) = item?;
        let start = out.len();
        out.extend_from_slice(record.payload);
        let mut from = start;
        while let Some(found) = memchr(b'\n', &out[from..]) {
            out[from + found] = b' ';
            from += found + 1;
        }
        out.push(b'\n');
        count += 1;
    }
    Ok((out, count))
}

/// How long ago the records of a batch were received: (ms, number of records), each delay rounded up by at most 1/16.
pub fn delays(batch: &[u8], now: i64) -> Result<Vec<(u64, u64)>, RecordError> {
    let mut counts = BTreeMap::new();
    for item in records(batch) {
        let (_, record) = item?;
        let delay = u64::try_from(now.saturating_sub(record.received_time)).unwrap_or(0);
        *counts.entry(round_up(delay)).or_insert(0) += 1;
    }
    Ok(counts.into_iter().collect())
}

/// Keeps the five highest bits.
fn round_up(delay: u64) -> u64 {
    let shift = (u64::BITS - delay.leading_zeros()).saturating_sub(5);
    let low = (1 << shift) - 1;
    delay.saturating_add(low) & !low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordRef;

    fn record(payload: &[u8], received_time: i64) -> Vec<u8> {
        let mut out = Vec::new();
        RecordRef { payload, received_time, key: "key", event_id: "id", ..RecordRef::default() }.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn payloads_become_lines() {
        let batch = [record(b"{}", 0), record(b"{\"a\":\n\n1}", 0), record(b"{\"b\":2}", 0)].concat();
        assert_eq!(lines(&batch), Ok((b"{}\n{\"a\":  1}\n{\"b\":2}\n".to_vec(), 3)));
        assert_eq!(lines(b""), Ok((vec![], 0)));
    }

    #[test]
    fn what_is_no_record_is_named() {
        let batch = [record(b"{}", 0), record(b"{}", 0)].concat();
        for end in 1..batch.len() {
            assert_eq!(lines(&batch[..end]).is_ok(), end == batch.len() / 2);
        }
        assert!(delays(&batch[..9], 0).is_err());
    }

    #[test]
    fn delays_are_counted_coarsely() {
        let batch = [record(b"{}", 1000), record(b"{}", 1000), record(b"{}", 0), record(b"{}", 5000)].concat();
        assert_eq!(delays(&batch, 1010), Ok(vec![(0, 1), (10, 2), (1024, 1)]));
        for delay in (0..100_000).chain([u64::MAX]) {
            let rounded = round_up(delay);
            assert!(rounded >= delay && rounded - delay <= delay / 16 || delay == u64::MAX, "{delay} {rounded}");
        }
    }
}
