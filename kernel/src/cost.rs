//! What conditions are expected to cost, and to keep out.

use crate::index::call_arguments;
use crate::link::{Linker, Node};
use crate::op::Op;

/// Expected cost of a condition for each event that it keeps out: conditions are evaluated in this order.
pub fn rank(linker: &Linker, node: u32) -> f64 {
    let kept = match linker.nodes[node as usize] {
        Node::Call(call) => match call.op {
            Op::Eq => 0.05,
            Op::In => 0.2,
            Op::Like | Op::StartsWith | Op::Contains | Op::RegexpMatches | Op::RegexpFullMatch => 0.15,
            Op::IsNotNull | Op::Ne => 0.8,
            _ => 0.5,
        },
        _ => 0.5,
    };
    cost(linker, node, 0) / (1.0 - kept)
}

fn cost(linker: &Linker, node: u32, depth: usize) -> f64 {
    let Node::Call(call) = linker.nodes[node as usize] else { return 0.1 };
    let own = match call.op {
        Op::RegexpMatches | Op::RegexpFullMatch | Op::RegexpExtract | Op::RegexpReplace => 30.0,
        Op::Md5 | Op::Md5NumberLower | Op::StringSplit | Op::ListContains | Op::ListSlice => 30.0,
        Op::Like | Op::Contains | Op::SplitPart | Op::Cast | Op::TryCast | Op::Replace | Op::StructGet | Op::ListGet => 8.0,
        Op::Lower | Op::Upper | Op::Concat | Op::Substring | Op::Length => 5.0,
        _ => 1.0,
    };
    if depth >= 8 {
        return own;
    }
    own + call_arguments(linker, node).iter().take(8).map(|argument| cost(linker, *argument, depth + 1)).sum::<f64>()
}
