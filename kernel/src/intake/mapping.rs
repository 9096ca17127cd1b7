//! How a protocol's items become canonical events: declared in Python, one mapping a protocol, and linked here.

use std::collections::HashMap;

use serde_json::Value;

use crate::plan::{list, text};

pub type Path = Vec<Vec<u8>>;

/// The fields that are text or times of the event itself, in canonical order; `event` comes from the variant.
pub const FIELDS: [&str; 7] = ["event_id", "event_time", "sent_time", "user_id", "device_id", "session_id", "platform"];
pub const EVENT_ID: usize = 0;
pub const EVENT_TIME: usize = 1;
pub const SENT_TIME: usize = 2;
pub const USER_ID: usize = 3;
pub const DEVICE_ID: usize = 4;

/// Canonical names that an item may not bring along under another meaning: dropped and flagged unless they are a source.
pub const RESERVED: [&str; 13] = [
    "event",
    "app",
    "event_id",
    "event_time",
    "sent_time",
    "received_time",
    "user_id",
    "device_id",
    "session_id",
    "platform",
    "context",
    "properties",
    "hw",
];

/// A protocol's mapping.
pub struct Mapping {
    /// Candidate source paths of each of `FIELDS`, the first that is there wins.
    pub sources: [Vec<Path>; FIELDS.len()],
    /// The top-level key whose text names the variant; none where there is one variant only.
    pub discriminator: Option<Vec<u8>>,
    pub variants: HashMap<Vec<u8>, Variant>,
    pub rename: Rename,
    /// Values of the context that are copied to another key of it, where that is not there: source path below context, key.
    pub lift: Vec<(Path, Vec<u8>)>,
    /// Top-level keys that are left out without a flag.
    pub dropped: Vec<Vec<u8>>,
    /// Top-level keys of the envelope that are sources of `sent_time`.
    pub envelope_sent: Vec<Vec<u8>>,
}

/// What one kind of item is mapped to.
pub struct Variant {
    pub event: EventName,
    /// The top-level key that becomes `properties`.
    pub properties: Option<Vec<u8>>,
    /// Top-level keys that go into `properties` under a name, where that is not there.
    pub into_properties: Vec<(Vec<u8>, Vec<u8>)>,
}

pub enum EventName {
    From(Vec<u8>),
    Constant(String),
}

/// New names for keys of the context, and for keys below them.
#[derive(Default)]
pub struct Rename {
    pub keys: HashMap<Vec<u8>, (Vec<u8>, Rename)>,
}

impl Mapping {
    /// Links a mapping from JSON; the error names what is not understood.
    pub fn link(stored: &Value) -> Result<Mapping, String> {
        let mut sources: [Vec<Path>; FIELDS.len()] = Default::default();
        for (field, paths) in object(stored, "fields")? {
            let index = FIELDS.iter().position(|known| known == field);
            let index = index.ok_or_else(|| format!("a mapping has no field {field:?}; valid are {}", FIELDS.join(", ")))?;
            for path in paths.as_array().into_iter().flatten() {
                sources[index].push(path_of(path)?);
            }
        }
        let mut variants = HashMap::new();
        for (name, variant) in object(stored, "variants")? {
            variants.insert(name.as_bytes().to_vec(), Variant::link(variant)?);
        }
        let mut lift = Vec::new();
        for pair in list(stored, "lift")? {
            lift.push((path_of(&pair[0])?, name_of(&pair[1])?));
        }
        Ok(Mapping {
            sources,
            discriminator: stored["discriminator"].as_str().map(|key| key.as_bytes().to_vec()),
            variants,
            rename: Rename::link(&stored["rename"])?,
            lift,
            dropped: list(stored, "dropped")?.iter().map(name_of).collect::<Result<_, _>>()?,
            envelope_sent: list(stored, "envelope_sent")?.iter().map(name_of).collect::<Result<_, _>>()?,
        })
    }
}

impl Variant {
    fn link(stored: &Value) -> Result<Variant, String> {
        let event = match stored["event_from"].as_str() {
            Some(key) => EventName::From(key.as_bytes().to_vec()),
            None => EventName::Constant(text(stored, "event")?.to_string()),
        };
        let mut into_properties = Vec::new();
        for (key, name) in object(stored, "into_properties")? {
            into_properties.push((key.as_bytes().to_vec(), name_of(name)?));
        }
        let properties = stored["properties"].as_str().map(|key| key.as_bytes().to_vec());
        Ok(Variant { event, properties, into_properties })
    }
}

impl Rename {
    /// `{"old": "new"}`, or `{"old": {"inner": …}}` for keys below one that keeps its name.
    fn link(stored: &Value) -> Result<Rename, String> {
        let mut rename = Rename::default();
        for (key, to) in stored.as_object().into_iter().flatten() {
            let (name, below) = match to {
                Value::Object(_) => (key.clone(), Rename::link(to)?),
                _ => (to.as_str().ok_or_else(|| format!("{key:?} is renamed to {to}"))?.to_string(), Rename::default()),
            };
            rename.keys.insert(key.as_bytes().to_vec(), (name.into_bytes(), below));
        }
        Ok(rename)
    }
}

fn object<'a>(stored: &'a Value, name: &str) -> Result<&'a serde_json::Map<String, Value>, String> {
    stored[name].as_object().ok_or_else(|| format!("{name} is missing or no object in a mapping"))
}

fn name_of(stored: &Value) -> Result<Vec<u8>, String> {
    stored.as_str().map(|name| name.as_bytes().to_vec()).ok_or_else(|| format!("not a key: {stored}"))
}

fn path_of(stored: &Value) -> Result<Path, String> {
    let steps = stored.as_array().filter(|steps| !steps.is_empty()).ok_or_else(|| format!("not a path: {stored}"))?;
    steps.iter().map(name_of).collect()
}
