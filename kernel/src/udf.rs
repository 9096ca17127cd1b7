//! Python functions in rules.
//!
//! A batch goes through the rules that call functions first, to find out which calls are asked for (`scout`). Each function is
//! then called once with all of them, outside of this crate, and that is repeated while answers lead to further calls. The batch
//! then runs as any other one; a call's value is its answer.

mod ask;
mod link;
mod pack;
mod scout;

pub use ask::Answers;
pub use link::{Calls, Udfs, check_call, check_types, split};
pub use scout::{Request, Scouting, Source};
