//! The kernel of Headwater: what runs per event or per byte. It knows nothing of files, networks or policy.
//!
//! Batches in, batches out. `python` is its only front; every other module is plain Rust and is tested without Python.

pub mod block;
pub mod deduplicate;
pub mod intake;
pub mod json;
pub mod payload;
pub mod plan;
pub mod record;

#[cfg(feature = "python")]
mod python;
