//! How a protocol's items become canonical events: declared in Python, one mapping a protocol, and linked here.

use std::collections::HashMap;

use serde_json::Value;

use crate::plan::text;

/// Keys from the item down; a first one of `ENVELOPE` leads into what the item came in.
pub type Path = Vec<Vec<u8>>;
pub const ENVELOPE: &[u8] = b"^";
/// Stands in a name of `into_context` for the point between two keys; no byte of UTF-8 is like it.
pub const BELOW: u8 = 0xFE;

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

/// A key, and the name that stands in its place.
pub type NewName = (Vec<u8>, Vec<u8>);

/// A protocol's mapping.
pub struct Mapping {
    /// Candidate source paths of each of `FIELDS`, the first that is there wins.
    pub sources: [Vec<Path>; FIELDS.len()],
    /// The top-level key whose text names the variant; none where there is one variant only.
    pub discriminator: Option<Vec<u8>>,
    pub variants: HashMap<Vec<u8>, Variant>,
    /// Top-level keys whose text is JSON, or base64 of JSON, and the names under which what it holds stands in its place.
    pub unpack: Vec<NewName>,
    /// Paths without which an item is no event.
    pub required: Vec<Path>,
    /// Sources of the event's time that no clock is to put right; they go before those of `sources`.
    pub true_time: Vec<Path>,
    /// Ids are unique only together with the text there, which then goes before them and a `#`.
    pub id_scope: Option<Path>,
    /// Whether numbers as times are s, ms, µs or ns, by how large they are; else they are ms.
    pub any_unit: bool,
    /// What becomes the context.
    pub context: Path,
    /// Values that go into the context under a name, where that is not there; one with `BELOW` in it into an object there.
    pub into_context: Vec<(Path, Vec<u8>)>,
    pub rename: Rename,
    /// As `rename`, for properties.
    pub property_rename: Rename,
    /// Where top-level keys go that nothing names.
    pub rest: Rest,
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
    /// Candidates for what becomes `properties`, the first that is there wins.
    pub properties: Vec<Path>,
    /// Values that go into `properties` under a name, where that is not there.
    pub into_properties: Vec<(Path, Vec<u8>)>,
}

/// The first text that is there, or the part of it with this number between separators; else the constant.
pub struct EventName {
    pub from: Vec<Path>,
    pub part: Option<(String, usize)>,
    pub constant: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Top,
    Context,
    Properties,
}

/// New names for keys of an object, and for keys below them; a key without a new name is left out.
#[derive(Default)]
pub struct Rename {
    pub keys: HashMap<Vec<u8>, (Option<Vec<u8>>, Rename)>,
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
        Ok(Mapping {
            sources,
            discriminator: stored["discriminator"].as_str().map(|key| key.as_bytes().to_vec()),
            variants,
            unpack: unpacked_names(stored)?,
            required: paths(&stored["required"])?,
            true_time: paths(&stored["true_time"])?,
            id_scope: if stored["id_scope"].is_null() { None } else { Some(path_of(&stored["id_scope"])?) },
            any_unit: stored["any_unit"].as_bool().unwrap_or_default(),
            context: if stored["context"].is_null() { vec![b"context".to_vec()] } else { path_of(&stored["context"])? },
            into_context: pairs(stored, "into_context")?.into_iter().map(|(path, name)| (path, nested(name))).collect(),
            rename: Rename::link(&stored["rename"])?,
            property_rename: Rename::link(&stored["property_rename"])?,
            rest: match stored["rest"].as_str() {
                None | Some("top") => Rest::Top,
                Some("context") => Rest::Context,
                Some("properties") => Rest::Properties,
                Some(other) => {
                    return Err(format!("the rest of an item cannot go to {other:?}; valid are top, context, properties"));
                }
            },
            lift: pairs(stored, "lift")?,
            dropped: names(stored, "dropped")?,
            envelope_sent: names(stored, "envelope_sent")?,
        })
    }
}

impl Variant {
    fn link(stored: &Value) -> Result<Variant, String> {
        let part = match (stored["event_part"][0].as_str(), stored["event_part"][1].as_u64()) {
            (Some(separator), Some(number)) => Some((separator.to_string(), number as usize)),
            _ => None,
        };
        let from = paths(&stored["event_from"])?;
        let constant = if from.is_empty() { Some(text(stored, "event")?) } else { stored["event"].as_str() };
        let event = EventName { from, part, constant: constant.map(str::to_string) };
        Ok(Variant { event, properties: paths(&stored["properties"])?, into_properties: pairs(stored, "into_properties")? })
    }
}

impl Rename {
    /// `{"old": "new"}`, `{"old": null}` for one that is left out, or `{"old": {"inner": …}}` for keys below one that keeps its name.
    fn link(stored: &Value) -> Result<Rename, String> {
        let mut rename = Rename::default();
        for (key, to) in stored.as_object().into_iter().flatten() {
            let (name, below) = match to {
                Value::Object(_) => (Some(key.as_bytes().to_vec()), Rename::link(to)?),
                Value::Null => (None, Rename::default()),
                _ => (Some(name_of(to).map_err(|_| format!("{key:?} is renamed to {to}"))?), Rename::default()),
            };
            rename.keys.insert(key.as_bytes().to_vec(), (name, below));
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

fn names(stored: &Value, name: &str) -> Result<Vec<Vec<u8>>, String> {
    stored[name].as_array().into_iter().flatten().map(name_of).collect()
}

/// `[[path, name], …]`
fn pairs(stored: &Value, name: &str) -> Result<Vec<(Path, Vec<u8>)>, String> {
    stored[name].as_array().into_iter().flatten().map(|pair| Ok((path_of(&pair[0])?, name_of(&pair[1])?))).collect()
}

/// A path, or a list of paths.
fn paths(stored: &Value) -> Result<Vec<Path>, String> {
    if stored[0].is_string() {
        return Ok(vec![path_of(stored)?]);
    }
    stored.as_array().into_iter().flatten().map(path_of).collect()
}

/// `["key", ["key", "name"], …]`
fn unpacked_names(stored: &Value) -> Result<Vec<NewName>, String> {
    let one = |entry: &Value| match entry {
        Value::Array(_) => Ok((name_of(&entry[0])?, name_of(&entry[1])?)),
        _ => Ok((name_of(entry)?, name_of(entry)?)),
    };
    stored["unpack"].as_array().into_iter().flatten().map(one).collect()
}

fn nested(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(point) = name.iter().position(|byte| *byte == b'.') {
        name[point] = BELOW;
    }
    name
}

fn path_of(stored: &Value) -> Result<Path, String> {
    let steps = stored.as_array().filter(|steps| !steps.is_empty()).ok_or_else(|| format!("not a path: {stored}"))?;
    steps.iter().map(name_of).collect()
}
