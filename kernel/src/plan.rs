//! The tracking plan as the collector checks it: event types by app, each a tree of registered fields.
//!
//! A check never refuses an event; it names what breaks the plan: `missing:<path>` and `type:<path>`.

use hashbrown::HashMap;
use serde_json::Value;

use crate::intake::reading::{self, Scalar};
use crate::intake::split::plain_key;
use crate::json::{Cursor, Kind, Span};

/// The plan of every app of a snapshot.
pub struct Plan {
    pub snapshot: u32,
    apps: HashMap<String, App>,
}

/// An app's part.
pub struct App {
    /// Unregistered event types are refused.
    pub enforce: bool,
    event_types: HashMap<Vec<u8>, EventType>,
    unregistered: EventType,
}

/// What is checked for one event type.
pub struct EventType {
    pub tier: u8,
    pub registered: bool,
    root: Node,
    required: Vec<String>,
}

#[derive(Clone)]
enum Type {
    Scalar(Scalar),
    List(Box<Node>),
    Struct(HashMap<Vec<u8>, Node>),
}

#[derive(Clone)]
struct Node {
    path: String,
    kind: Type,
    /// Its place among the event type's required fields.
    required: Option<usize>,
}

/// The tier of an event whose type nobody registered: the lowest.
const TIER_UNREGISTERED: u8 = 3;

impl Plan {
    /// Links the plan from JSON: `{"snapshot": n, "base": type, "apps": [{"name", "enforce", "event_types": [{"name", "tier",
    /// "fields": [{"path", "type", "required"}]}]}]}`. The error names what is not understood.
    pub fn link(stored: &[u8]) -> Result<Plan, String> {
        let stored: Value = serde_json::from_slice(stored).map_err(|error| format!("the plan is not JSON: {error}"))?;
        let snapshot = stored["snapshot"].as_u64().and_then(|number| u32::try_from(number).ok());
        let base = node("", &stored["base"])?;
        let mut plan = Plan { snapshot: snapshot.ok_or("the plan has no snapshot number")?, apps: HashMap::new() };
        for app in list(&stored, "apps")? {
            let mut event_types = HashMap::new();
            for kind in list(app, "event_types")? {
                event_types.insert(text(kind, "name")?.as_bytes().to_vec(), EventType::link(kind, &base)?);
            }
            let unregistered = EventType { tier: TIER_UNREGISTERED, registered: false, root: base.clone(), required: Vec::new() };
            let enforce = app["enforce"].as_bool().ok_or("an app of the plan lacks enforce")?;
            plan.apps.insert(text(app, "name")?.to_string(), App { enforce, event_types, unregistered });
        }
        Ok(plan)
    }

    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.get(name)
    }
}

impl App {
    pub fn event_type(&self, name: &[u8]) -> &EventType {
        self.event_types.get(name).unwrap_or(&self.unregistered)
    }
}

impl EventType {
    fn link(stored: &Value, base: &Node) -> Result<EventType, String> {
        let tier = stored["tier"].as_u64().filter(|tier| *tier < 4).ok_or("an event type's tier is 0 to 3")? as u8;
        let mut kind = EventType { tier, registered: true, root: base.clone(), required: Vec::new() };
        for field in list(stored, "fields")? {
            let path: Vec<&str> = list(field, "path")?.iter().filter_map(Value::as_str).collect();
            let here = kind.root.at(&path, &field["type"])?;
            if field["required"].as_bool() == Some(true) && here.required.is_none() {
                here.required = Some(kind.required.len());
                kind.required.push(path.join("."));
            }
        }
        Ok(kind)
    }

    /// Checks the event at `span` (of duplicate keys only one may be left). Violations go to `found` as they are met, missing
    /// fields last.
    pub fn check(&self, bytes: &[u8], span: Span, found: &mut Vec<String>) {
        let mut seen = vec![false; self.required.len()];
        self.root.check(bytes, span, &mut seen, found);
        for (path, _) in self.required.iter().zip(&seen).filter(|(_, seen)| !**seen) {
            found.push(format!("missing:{path}"));
        }
    }
}

impl Node {
    /// The node of a field, made where it is new.
    fn at(&mut self, path: &[&str], kind: &Value) -> Result<&mut Node, String> {
        let Some((step, rest)) = path.split_first() else {
            return Ok(self);
        };
        let path = if self.path.is_empty() { step.to_string() } else { format!("{}.{step}", self.path) };
        let Type::Struct(members) = &mut self.kind else {
            return Err(format!("field {path} lies inside {}, which is no STRUCT", self.path));
        };
        let fresh =
            if rest.is_empty() { node(&path, kind)? } else { Node { path, kind: Type::Struct(HashMap::new()), required: None } };
        members.entry(step.as_bytes().to_vec()).or_insert(fresh).at(rest, kind)
    }

    /// True where the value, and all that is registered inside it, can be read.
    fn check(&self, bytes: &[u8], span: Span, seen: &mut [bool], found: &mut Vec<String>) -> bool {
        if span.kind == Kind::Null {
            return true;
        }
        if let Some(index) = self.required
            && let Some(flag) = seen.get_mut(index)
        {
            *flag = true;
        }
        let fine = match (&self.kind, span.kind) {
            (Type::Scalar(kind), _) => reading::readable(bytes, span, *kind),
            (Type::Struct(members), Kind::Object) => return self.check_members(members, bytes, span, seen, found),
            (Type::List(item), Kind::Array) => check_items(item, bytes, span),
            _ => false,
        };
        if !fine {
            found.push(format!("type:{}", self.path));
        }
        fine
    }

    fn check_members(
        &self,
        members: &HashMap<Vec<u8>, Node>,
        bytes: &[u8],
        span: Span,
        seen: &mut [bool],
        found: &mut Vec<String>,
    ) -> bool {
        let mut fine = true;
        let mut cursor = Cursor::from(bytes, span.start);
        let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
        while more {
            let (Ok(key), Ok(value)) = (cursor.key(), cursor.value()) else { break };
            if let Some(node) = members.get(plain_key(bytes, key).as_ref()) {
                fine &= node.check(bytes, value, seen, found);
            }
            more = cursor.next_member(b'}').unwrap_or(false);
        }
        fine
    }
}

/// Whether every item can be read; what is wrong inside counts for the list.
fn check_items(item: &Node, bytes: &[u8], span: Span) -> bool {
    let mut cursor = Cursor::from(bytes, span.start);
    let mut more = cursor.enter(b'[', b']').unwrap_or(false);
    let mut inside = Vec::new();
    while more {
        let Ok(value) = cursor.value() else { break };
        if !item.check(bytes, value, &mut [], &mut inside) {
            return false;
        }
        more = cursor.next_member(b']').unwrap_or(false);
    }
    true
}

/// A type in its stored form: a name, `{"list": T}` or `{"struct": [[name, T], …]}`.
fn node(path: &str, stored: &Value) -> Result<Node, String> {
    let kind = if let Some(scalar) = stored.as_str().and_then(Scalar::named) {
        Type::Scalar(scalar)
    } else if let Some(item) = stored.get("list") {
        Type::List(Box::new(node(path, item)?))
    } else if let Some(Value::Array(fields)) = stored.get("struct") {
        let mut members = HashMap::new();
        for field in fields {
            let name = field[0].as_str().ok_or_else(|| format!("a field of {path:?} has no name"))?;
            let inner = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            members.insert(name.as_bytes().to_vec(), node(&inner, &field[1])?);
        }
        Type::Struct(members)
    } else {
        return Err(format!("the type of {path:?} is not known: {stored}"));
    };
    Ok(Node { path: path.to_string(), kind, required: None })
}

/// The list under `name`.
pub(crate) fn list<'a>(stored: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    stored[name].as_array().ok_or_else(|| format!("{name} is missing or no list in {stored}"))
}

/// The text under `name`.
pub(crate) fn text<'a>(stored: &'a Value, name: &str) -> Result<&'a str, String> {
    stored[name].as_str().ok_or_else(|| format!("{name} is missing or no text in {stored}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const PLAN: &str = r#"{"snapshot":7,"base":{"struct":[["event","VARCHAR"],["context",{"struct":[["os",{"struct":[["version","VARCHAR"]]}]]}]]},
        "apps":[{"name":"shop","enforce":false,"event_types":[{"name":"buy","tier":1,"fields":[
            {"path":["properties","price"],"type":"BIGINT","required":true},
            {"path":["properties","log"],"type":{"struct":[["rank","BIGINT"]]},"required":false},
            {"path":["properties","log","rank"],"type":"BIGINT","required":true},
            {"path":["properties","tags"],"type":{"list":{"struct":[["id","BIGINT"]]}},"required":false},
            {"path":["user_id"],"type":"VARCHAR","required":true}]}]}]}"#;

    fn violations(event: &str) -> Vec<String> {
        let plan = Plan::link(PLAN.as_bytes()).unwrap();
        let mut found = Vec::new();
        let kind = plan.app("shop").unwrap().event_type(b"buy");
        kind.check(event.as_bytes(), json::check(event.as_bytes()).unwrap(), &mut found);
        found
    }

    #[test]
    fn violations_name_their_path() {
        let good = r#"{"event":"buy","user_id":"u","properties":{"price":"12","log":{"rank":1.0,"x":{}},"tags":[{"id":1},null],"more":[]}}"#;
        assert_eq!(violations(good), [""; 0]);
        let bad = r#"{"event":"buy","user_id":null,"context":{"os":{"version":{}}},"properties":{"\u0070rice":"x","log":7,"tags":[{"id":"x"}]}}"#;
        assert_eq!(
            violations(bad),
            [
                "type:context.os.version",
                "type:properties.price",
                "type:properties.log",
                "type:properties.tags",
                "missing:properties.log.rank",
                "missing:user_id"
            ]
        );
        assert_eq!(
            violations(r#"{"properties":[]}"#),
            ["type:properties", "missing:properties.price", "missing:properties.log.rank", "missing:user_id"]
        );
    }

    #[test]
    fn what_is_not_a_plan_is_refused_by_name() {
        for (plan, part) in [
            ("x", "not JSON"),
            (r#"{"base":"JSON","apps":[]}"#, "snapshot number"),
            (r#"{"snapshot":1,"base":{"struct":[["a","TEXT"]]},"apps":[]}"#, "type of \"a\""),
            (r#"{"snapshot":1,"base":"JSON"}"#, "apps is missing"),
        ] {
            let error = Plan::link(plan.as_bytes()).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }
}
