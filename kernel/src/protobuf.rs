//! Protobuf by descriptor: rows of JSON to messages and messages to JSON, without generated code.
//!
//! `docs/formats/descriptor.md` is the descriptor, `docs/protobuf.md` says what JSON a message stands for.

mod copy;
pub mod decode;
pub mod descriptor;
pub mod encode;
pub mod input;
mod instructions;
pub mod link;
pub mod output;
pub mod row;
pub mod run;
mod utf8;
pub mod walk;
mod wire;

pub use descriptor::Descriptor;
