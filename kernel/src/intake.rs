//! What the collector does with the body of a request: cut it into items, map each to the canonical event, check it against the
//! plan, and write records. Nothing of a body goes missing: every piece is an event, a dead letter, or a counted drop.

pub mod canonical;
pub mod counters;
mod dead;
mod event;
pub mod mapping;
pub mod otlp;
pub mod reading;
pub mod split;
mod unpack;

use std::collections::HashMap;

use serde_json::Value;

use crate::json::{Kind, Malformed, Span};
use crate::plan::{self, Plan};
use canonical::Copier;
use counters::Tally;
use event::{Builder, Refused};
use mapping::Mapping;
use split::{Fault, Piece, Shape, Split};

/// Bounds of one request; `core/limits.py` has the numbers and their reasons.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub event_bytes_max: usize,
    pub id_bytes_max: usize,
    pub events_max: usize,
    pub output_bytes_max: usize,
}

/// A plan and the protocols' mappings, linked. Immutable; any number of threads may run it.
pub struct Intake {
    plan: Plan,
    protocols: HashMap<String, Protocol>,
    limits: Limits,
}

struct Protocol {
    list: Vec<u8>,
    mapping: Mapping,
}

/// One request, apart from its body.
pub struct Request<'a> {
    pub protocol: &'a str,
    /// `envelope`, `one` or `events`.
    pub shape: &'a str,
    /// Which kind of item it is, where the endpoint says so; else empty, and each item says it.
    pub variant: &'a str,
    pub app: &'a str,
    pub received_time: i64,
    /// Ids of events that came without one are this number and their place in the request.
    pub seed: u128,
    pub ip: &'a str,
    pub user_agent: &'a str,
    /// The request comes from the user's own device: `ip` and `user_agent` say something of the user.
    pub client_side: bool,
    /// Never written into a dead letter.
    pub write_key: &'a str,
}

/// A dead letter's reason. `event` is the event type where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub reason: &'static str,
    pub detail: String,
    pub event: Option<String>,
}

/// What became of a piece of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted { event_id: String, flags: Vec<String> },
    Dead(Dead),
    Dropped(&'static str),
}

/// What one body gave.
#[derive(Default)]
pub struct Output {
    /// Records of the events, `accepted` of them.
    pub records: Vec<u8>,
    pub accepted: usize,
    /// Records of the dead letters, `dead` of them.
    pub dead_records: Vec<u8>,
    pub dead: usize,
    /// One for each piece, in order.
    pub verdicts: Vec<Verdict>,
    /// What is wrong with the body as a whole, where its structure is broken; the pieces before that went on.
    pub broken: Option<String>,
    pub tally: Tally,
}

/// The request as a whole is refused: nothing of it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    Events(usize),
    Bytes(usize),
}

impl Intake {
    /// Links a plan (see `Plan::link`) and mappings (`{protocol: mapping}`). The error names what is not understood.
    pub fn link(plan: &[u8], mappings: &[u8], limits: Limits) -> Result<Intake, String> {
        let stored: Value = serde_json::from_slice(mappings).map_err(|error| format!("the mappings are not JSON: {error}"))?;
        let mut protocols = HashMap::new();
        for (name, stored) in stored.as_object().ok_or("the mappings are no object")? {
            let mapping = Mapping::link(stored).map_err(|error| format!("protocol {name}: {error}"))?;
            let list = plan::text(stored, "list")?.as_bytes().to_vec();
            protocols.insert(name.clone(), Protocol { list, mapping });
        }
        Ok(Intake { plan: Plan::link(plan)?, protocols, limits })
    }

    /// Runs one body. `Err(Err(_))` where protocol, shape or app are not known.
    pub fn run(&self, body: &[u8], request: &Request) -> Result<Output, Result<TooLarge, String>> {
        let protocol = self.protocols.get(request.protocol);
        let protocol = protocol.ok_or_else(|| Err(format!("no protocol {:?} is linked", request.protocol)))?;
        let app = self.plan.app(request.app).ok_or_else(|| Err(format!("no app {:?} is linked", request.app)))?;
        let shape = match request.shape {
            "envelope" => Shape::Envelope(protocol.list.clone()),
            "one" => Shape::One,
            "events" => Shape::Events,
            "auto" => Shape::Auto(protocol.list.clone()),
            "envelopes" => Shape::Envelopes(protocol.list.clone()),
            other => return Err(Err(format!("no shape {other:?}; valid are envelope, one, events, auto, envelopes"))),
        };
        let split = split::split(body, &shape, self.limits.events_max);
        let mut split = split.map_err(|_| Ok(TooLarge::Events(self.limits.events_max)))?;
        let mapping = &protocol.mapping;
        let body = unpack::unpacked(body, &mut split.pieces, &mapping.unpack);
        let mut builder = Builder {
            body: &body,
            request,
            plan: &self.plan,
            app,
            mapping,
            limits: self.limits,
            envelope: &[],
            shared_context: Vec::new(),
            copier: Copier::default(),
        };
        self.pieces(&split, &mut builder).map_err(Ok)
    }

    fn pieces<'a>(&self, split: &'a Split, builder: &mut Builder<'a>) -> Result<Output, TooLarge> {
        let mut output = Output::default();
        let mut envelope = usize::MAX;
        for (index, piece) in split.pieces.iter().enumerate() {
            if piece.envelope != envelope {
                envelope = piece.envelope;
                builder.enter(&split.envelopes[envelope]);
            }
            let verdict = self.piece(piece, index, builder, &mut output);
            output.tally.add(&verdict.1, verdict.0.as_deref());
            output.verdicts.push(verdict.1);
            if output.records.len() + output.dead_records.len() > self.limits.output_bytes_max {
                return Err(TooLarge::Bytes(self.limits.output_bytes_max));
            }
        }
        if split.broken {
            output.broken = split.pieces.last().and_then(|piece| piece.fault).map(|fault| {
                let (reason, detail) = describe(fault, "the rest of the body");
                format!("{reason}: {detail}")
            });
        }
        Ok(output)
    }

    /// What becomes of a piece, and the event type where it is known.
    fn piece(&self, piece: &Piece, index: usize, builder: &mut Builder, output: &mut Output) -> (Option<String>, Verdict) {
        if piece.end - piece.start > self.limits.event_bytes_max {
            return (None, Verdict::Dropped("oversize"));
        }
        let dead = match piece.fault {
            None => {
                let span = Span { start: piece.start, end: piece.end, kind: Kind::Object };
                match builder.build(span, index, &mut output.records) {
                    Ok(built) => {
                        output.accepted += 1;
                        return (Some(built.event), Verdict::Accepted { event_id: built.event_id, flags: built.flags });
                    }
                    Err(Refused::Oversize) => return (None, Verdict::Dropped("oversize")),
                    Err(Refused::Dead(dead)) => dead,
                }
            }
            Some(fault) => {
                let (reason, detail) = describe(fault, "this piece");
                Dead { reason, detail, event: None }
            }
        };
        let raw = &builder.body[piece.start..piece.end];
        dead::write(&dead, raw, builder.request, builder.plan.snapshot, &mut output.dead_records);
        output.dead += 1;
        (dead.event.clone(), Verdict::Dead(dead))
    }
}

/// The reason as it stands in dead letters everywhere, and where; `of` is what the offset counts from.
fn describe(fault: Fault, of: &str) -> (&'static str, String) {
    match fault {
        Fault::NotAnObject => ("not_an_object", "an event is a JSON object".to_string()),
        Fault::NoList => ("no_list", "the list of events is missing or no list".to_string()),
        Fault::Malformed(Malformed { reason, at }) => (reason.name(), format!("at byte {at} of {of}")),
    }
}

/// The text at the first of the paths where there is one, below the envelope or else the first item: a write key is looked for so.
pub fn text_at(body: &[u8], paths: &[Vec<String>], list: &str) -> Option<String> {
    let split = split::split(body, &Shape::Auto(list.as_bytes().to_vec()), usize::MAX).ok()?;
    let item = split.pieces.iter().find(|piece| piece.fault.is_none());
    let item = item.map(|piece| Span { start: piece.start, end: piece.end, kind: Kind::Object });
    let text = |span: Span| matches!(span.kind, Kind::Text | Kind::EscapedText).then(|| reading::text(body, span)).flatten();
    paths.iter().find_map(|path| {
        let path: Vec<Vec<u8>> = path.iter().map(|step| step.as_bytes().to_vec()).collect();
        let (first, below) = path.split_first()?;
        let shared = split.envelopes[0].iter().rev().find(|(key, _)| key == first);
        let shared = shared.and_then(|(_, span)| canonical::at_path(body, *span, below));
        let own = || item.and_then(|item| canonical::at_path(body, item, &path));
        String::from_utf8(shared.and_then(text).or_else(|| own().and_then(text))?).ok()
    })
}

impl Output {
    /// The verdicts as a JSON list, in the order of the pieces.
    pub fn verdicts_json(&self) -> Vec<u8> {
        let mut out = b"[".to_vec();
        for verdict in &self.verdicts {
            if out.len() > 1 {
                out.push(b',');
            }
            counters::write_verdict(verdict, &mut out);
        }
        out.push(b']');
        out
    }
}

#[cfg(test)]
#[path = "intake/tests.rs"]
mod tests;
