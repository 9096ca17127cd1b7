//! The kernel of Headwater: what runs per event or per byte. It knows nothing of files, networks or policy.
//!
//! Batches in, batches out. `python` is its only front; every other module is plain Rust and is tested without Python.

pub mod arrow;
pub mod block;
pub mod chunk;
pub mod classes;
pub mod condition;
mod cost;
pub mod counts;
pub mod deduplicate;
pub mod eval;
pub mod explain;
pub mod frame;
pub mod functions;
pub mod index;
pub mod intake;
pub mod json;
mod json_text;
pub mod keys;
mod layout;
pub mod link;
pub mod lists;
mod lower;
mod matching;
pub mod op;
mod operations;
mod output;
pub mod outputs;
pub mod pack;
pub mod panics;
mod patterns;
pub mod payload;
mod pen;
pub mod physical;
pub mod plan;
pub mod project;
pub mod protobuf;
pub mod read;
pub mod record;
pub mod row;
pub mod run;
pub mod scan;
mod sieve;
pub mod slots;
pub mod star;
pub mod structure;
mod tape;
mod times;
pub mod trie;
pub mod types;
pub mod udf;
pub mod value;

#[cfg(feature = "python")]
mod python;

#[cfg(all(feature = "python", not(panic = "unwind")))]
compile_error!("a panic must not end Python: the profile has to leave `panic` at \"unwind\"");
