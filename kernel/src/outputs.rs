//! The outputs of a batch, until they are handed over.
//!
//! What rules write stands in one buffer in the order of the events, whatever its dataset: a list says which piece belongs to
//! which dataset. Events that are passed on whole stay where they are, in the batch. Handing over copies each piece once.

/// Where a piece stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In what was written.
    Written,
    /// In the batch that was run.
    Batch,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    dataset: u32,
    source: Source,
    start: usize,
    bytes: usize,
}

/// The rows of one dataset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    pub rows: u64,
    pub bytes: usize,
}

impl Total {
    pub fn add(&mut self, other: Total) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

#[derive(Debug, Default)]
pub struct Outputs {
    pub written: Vec<u8>,
    pieces: Vec<Piece>,
    /// By dataset.
    totals: Vec<Total>,
}

/// Memory beyond this is not kept for the next batch.
const KEPT_BYTES_MAX: usize = 16 << 20;
const KEPT_PIECES_MAX: usize = KEPT_BYTES_MAX / size_of::<Piece>();

impl Outputs {
    /// Makes ready for a batch.
    pub fn begin(&mut self, datasets: usize) {
        self.written.clear();
        self.written.shrink_to(KEPT_BYTES_MAX);
        self.pieces.clear();
        self.pieces.shrink_to(KEPT_PIECES_MAX);
        self.totals.clear();
        self.totals.resize(datasets, Total::default());
    }

    /// What was written since `start` belongs to a dataset.
    #[inline(always)]
    pub fn add_written(&mut self, dataset: u32, start: usize) {
        self.add(Piece { dataset, source: Source::Written, start, bytes: self.written.len() - start });
    }

    /// A part of the batch belongs to a dataset.
    #[inline(always)]
    pub fn add_of_batch(&mut self, dataset: u32, start: usize, bytes: usize) {
        self.add(Piece { dataset, source: Source::Batch, start, bytes });
    }

    #[inline(always)]
    fn add(&mut self, piece: Piece) {
        self.totals[piece.dataset as usize].bytes += piece.bytes;
        self.pieces.push(piece);
    }

    /// A row of a dataset is whole.
    #[inline(always)]
    pub fn end_row(&mut self, dataset: u32) {
        self.totals[dataset as usize].rows += 1;
    }

    /// What a dataset has so far.
    #[inline(always)]
    pub fn total(&self, dataset: u32) -> Total {
        self.totals[dataset as usize]
    }

    /// The datasets that have rows, in order.
    pub fn totals(&self) -> impl Iterator<Item = (u32, Total)> + '_ {
        (0u32..).zip(&self.totals).filter(|(_, total)| total.rows > 0).map(|(dataset, total)| (dataset, *total))
    }

    /// Copies all pieces to where `ends` says, by dataset; moves these on. `batch` is the one that was run.
    ///
    /// # Safety
    /// `ends[dataset]` must be writable for the bytes of `totals`, for each dataset that has any, and point into neither `self`
    /// nor `batch`.
    pub unsafe fn copy_to(&self, batch: &[u8], ends: &mut [*mut u8]) {
        for piece in &self.pieces {
            let from = match piece.source {
                Source::Written => &self.written,
                Source::Batch => batch,
            };
            let from = &from[piece.start..piece.start + piece.bytes];
            let end = &mut ends[piece.dataset as usize];
            // SAFETY: the pieces of a dataset have as many bytes as its total, for which the caller made room.
            unsafe {
                std::ptr::copy_nonoverlapping(from.as_ptr(), *end, from.len());
                *end = end.add(from.len());
            }
        }
    }

    /// By dataset with rows: rows and their bytes.
    pub fn collect(&self, batch: &[u8]) -> Vec<(u32, u64, Vec<u8>)> {
        let mut found: Vec<_> =
            self.totals().map(|(dataset, total)| (dataset, total.rows, Vec::with_capacity(total.bytes))).collect();
        let mut ends = vec![std::ptr::null_mut(); self.totals.len()];
        for (dataset, _, bytes) in &mut found {
            ends[*dataset as usize] = bytes.as_mut_ptr();
        }
        // SAFETY: each buffer is new and has the capacity of its dataset's total.
        unsafe { self.copy_to(batch, &mut ends) };
        for (dataset, _, bytes) in &mut found {
            // SAFETY: so many bytes were written by `copy_to`.
            unsafe { bytes.set_len(self.totals[*dataset as usize].bytes) };
        }
        found
    }
}
