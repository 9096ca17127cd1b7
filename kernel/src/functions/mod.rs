//! What the operations compute, without NULL and without events: one file per noun.

pub mod case_table;
pub mod hash;
pub mod like;
pub mod number;
pub mod period;
pub mod regexp;
pub mod regexp_syntax;
pub mod rounding;
pub mod text;
pub mod time_format;
pub mod timestamp;
