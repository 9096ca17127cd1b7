//! Builds one canonical event from one item: ids, times, context, properties, the rest, and what is ours (`hw`).

use std::borrow::Cow;

use crate::intake::canonical::{self, Copier, Member, write_key};
use crate::intake::mapping::{
    BELOW, DEVICE_ID, ENVELOPE, EVENT_ID, EVENT_TIME, EventName, FIELDS, Mapping, Path, RESERVED, Rename, Rest, SENT_TIME,
    USER_ID, Variant,
};
use crate::intake::reading;
use crate::intake::{Dead, Limits, Request};
use crate::json::{self, Kind, Span};
use crate::plan::{App, Plan};
use crate::record::RecordRef;

/// Flags of one event, and the bytes of one flag.
const FLAGS_MAX: usize = 16;
const FLAG_BYTES_MAX: usize = 128;

/// An event that was appended.
pub struct Built {
    pub event: String,
    pub event_id: String,
    pub flags: Vec<String>,
}

/// Why an item did not become an event.
pub enum Refused {
    Dead(Dead),
    Oversize,
}

fn dead<T>(reason: &'static str, detail: String, event: Option<&str>) -> Result<T, Refused> {
    Err(Refused::Dead(Dead { reason, detail, event: event.map(str::to_string) }))
}

/// What items of one request share.
pub struct Builder<'a> {
    pub body: &'a [u8],
    pub request: &'a Request<'a>,
    pub plan: &'a Plan,
    pub app: &'a App,
    pub mapping: &'a Mapping,
    pub limits: Limits,
    /// Members of what the item came in, and those of its context.
    pub envelope: &'a [(Vec<u8>, Span)],
    pub shared_context: Vec<Member<'a>>,
    pub copier: Copier,
}

/// Values with the names under which they go somewhere.
type Added<'a> = Vec<(Cow<'a, [u8]>, Span)>;

/// One item on its way: its members, and which of them have found a place.
struct Item<'a> {
    members: Vec<Member<'a>>,
    used: Vec<bool>,
    flags: Vec<String>,
}

impl Item<'_> {
    fn find(&self, key: &[u8]) -> Option<usize> {
        self.members.iter().position(|member| member.key.as_ref() == key)
    }

    /// The value under a top-level key, which thereby is used; null is as good as missing.
    fn take(&mut self, key: &[u8]) -> Option<Span> {
        let index = self.find(key)?;
        self.used[index] = true;
        Some(self.members[index].value).filter(|value| value.kind != Kind::Null)
    }
}

/// The texts and times of an event, before it is written.
#[derive(Default)]
struct Head {
    /// Where each of `FIELDS` was found.
    spans: [Option<Span>; FIELDS.len()],
    /// The text of each, where it can be read as such.
    texts: [Option<String>; FIELDS.len()],
    event_time: i64,
    sent_time: Option<i64>,
    original_time: Option<i64>,
}

impl<'a> Builder<'a> {
    /// The next items came in the envelope with these members.
    pub fn enter(&mut self, envelope: &'a [(Vec<u8>, Span)]) {
        let context = envelope.iter().rev().find(|(key, _)| key == b"context").map(|(_, span)| *span);
        self.envelope = envelope;
        self.shared_context = match context {
            Some(span) if span.kind == Kind::Object => canonical::members(self.body, span),
            _ => Vec::new(),
        };
    }

    /// Appends the item at `span` as a record to `out`. Nothing is appended where it is refused.
    pub fn build(&mut self, span: Span, index: usize, out: &mut Vec<u8>) -> Result<Built, Refused> {
        let mut members = canonical::members(self.body, span);
        members.retain(|member| !self.is_write_key(member.value));
        let mut item = Item { used: vec![false; members.len()], members, flags: Vec::new() };
        let mapping = self.mapping;
        let variant = self.variant(&mut item)?;
        let event = self.event_name(&mut item, variant)?;
        self.required(&item, &event)?;
        let kind = self.app.event_type(event.as_bytes());
        if !kind.registered {
            if self.app.enforce {
                let detail = format!("the app {} takes registered event types only", self.request.app);
                return dead("unregistered_event", detail, Some(&event));
            }
            item.flags.push("unregistered_event".to_string());
        }
        let head = self.head(&mut item, &event, &mapping.sources)?;
        let event_id = match &head.texts[EVENT_ID] {
            Some(text) => text.clone(),
            None => format!("{:032x}", self.request.seed.wrapping_add(index as u128)),
        };
        let record = RecordRef {
            tier: kind.tier,
            event_time: Some(head.event_time),
            received_time: self.request.received_time,
            snapshot: self.plan.snapshot,
            key: head.texts[DEVICE_ID].as_deref().or(head.texts[USER_ID].as_deref()).unwrap_or_default(),
            event_id: &event_id,
            ..RecordRef::default()
        };
        let before = out.len();
        let Ok(begun) = record.begin(out) else { return Err(Refused::Oversize) };
        let start = out.len();
        self.write_head(&event, &event_id, &head, out);
        self.write_body(&mut item, &head, variant, out);
        kind.check(&out[start..], Span { start: 0, end: out.len() - start, kind: Kind::Object }, &mut item.flags);
        bound_flags(&mut item.flags);
        self.write_hw(kind.tier, head.original_time, &item.flags, out);
        if out.len() - start > self.limits.event_bytes_max || begun.finish(out).is_err() {
            out.truncate(before);
            return Err(Refused::Oversize);
        }
        Ok(Built { event, event_id, flags: item.flags })
    }

    fn variant(&self, item: &mut Item) -> Result<&'a Variant, Refused> {
        let Some(discriminator) = &self.mapping.discriminator else {
            return self.mapping.variants.get(&b""[..]).map_or_else(|| dead("type_unknown", String::new(), None), Ok);
        };
        let span = item.take(discriminator);
        let name = match self.request.variant {
            "" => span.and_then(|span| self.text(span)).unwrap_or_default(),
            fixed => fixed.to_string(),
        };
        match self.mapping.variants.get(name.as_bytes()) {
            Some(variant) => Ok(variant),
            None => {
                let mut valid: Vec<_> = self.mapping.variants.keys().map(|name| String::from_utf8_lossy(name)).collect();
                valid.sort();
                let key = String::from_utf8_lossy(discriminator);
                dead("type_unknown", format!("{key} is {:?}; valid are {}", shortened(&name), valid.join(", ")), None)
            }
        }
    }

    /// Whether a value is the request's write key, which no event keeps.
    fn is_write_key(&self, span: Span) -> bool {
        let key = self.request.write_key.as_bytes();
        match span.kind {
            Kind::Text if !key.is_empty() => &self.body[span.start + 1..span.end - 1] == key,
            Kind::EscapedText if !key.is_empty() => reading::text(self.body, span).as_deref() == Some(key),
            _ => false,
        }
    }

    fn required(&self, item: &Item, event: &str) -> Result<(), Refused> {
        for path in &self.mapping.required {
            let Some(span) = self.look(item, path).filter(|span| !is_empty(span)) else {
                let detail = format!("the event has no `{}`", shown(path));
                return dead("field_missing", detail, Some(event));
            };
            if self.text(span).is_none() {
                return dead("field_missing", format!("`{}` of the event is no text", shown(path)), Some(event));
            }
        }
        Ok(())
    }

    fn event_name(&self, item: &mut Item, variant: &Variant) -> Result<String, Refused> {
        let EventName { from, part, constant } = &variant.event;
        let Some(span) = self.source(item, from) else {
            let first = || from.first().map(shown).unwrap_or_default();
            let missing = || dead("event_missing", format!("the event has no `{}`, which names its type", first()), None);
            return constant.clone().map_or_else(missing, Ok);
        };
        let text = if matches!(span.kind, Kind::Text | Kind::EscapedText) { self.text(span) } else { None };
        let text = match (text, part) {
            (Some(text), Some((separator, number))) => Some(text.split(separator).nth(*number).unwrap_or_default().to_string()),
            (text, _) => text,
        };
        match text {
            None => dead("event_not_text", "the event's name is no text".to_string(), None),
            Some(name) if name.is_empty() => dead("event_missing", "the event's name is empty".to_string(), None),
            Some(name) if name.len() > self.limits.id_bytes_max => dead("id_too_long", self.too_long("event", name.len()), None),
            Some(name) => Ok(name),
        }
    }

    fn too_long(&self, field: &str, bytes: usize) -> String {
        format!("{field} has {bytes} bytes; valid are at most {}", self.limits.id_bytes_max)
    }

    /// A value as VARCHAR by the reading table.
    fn text(&self, span: Span) -> Option<String> {
        let raw = &self.body[span.start..span.end];
        let text = match span.kind {
            Kind::Text | Kind::EscapedText => reading::text(self.body, span)?,
            Kind::Number | Kind::True | Kind::False => raw.to_vec(),
            _ => return None,
        };
        String::from_utf8(text).ok()
    }

    /// The value at a path, none where it is null. A top-level one is used thereby.
    fn at(&self, item: &mut Item, path: &[Vec<u8>]) -> Option<Span> {
        let found = self.look(item, path);
        if let [only] = path
            && let Some(index) = item.find(only)
        {
            item.used[index] = true;
        }
        found
    }

    fn look(&self, item: &Item, path: &[Vec<u8>]) -> Option<Span> {
        let (first, below) = path.split_first()?;
        let found = if first == ENVELOPE {
            let (key, below) = below.split_first()?;
            let (_, value) = self.envelope.iter().rev().find(|(name, _)| name == key)?;
            canonical::at_path(self.body, *value, below)
        } else {
            let value = item.find(first).map(|index| item.members[index].value);
            value.and_then(|value| canonical::at_path(self.body, value, below))
        };
        found.filter(|span| span.kind != Kind::Null)
    }

    fn source(&self, item: &mut Item, paths: &[Path]) -> Option<Span> {
        paths.iter().find_map(|path| self.at(item, path).filter(|span| !is_empty(span)))
    }

    fn head(&self, item: &mut Item, event: &str, sources: &[Vec<Path>]) -> Result<Head, Refused> {
        let mut head = Head::default();
        let true_time = self.source(item, &self.mapping.true_time);
        for (index, paths) in sources.iter().enumerate() {
            head.spans[index] = match true_time {
                Some(span) if index == EVENT_TIME => Some(span),
                _ => self.source(item, paths),
            };
            let Some(span) = head.spans[index] else { continue };
            if index == EVENT_TIME || index == SENT_TIME {
                continue;
            }
            head.texts[index] = self.text(span);
            if index == EVENT_ID
                && let Some(scope) = self.mapping.id_scope.as_ref().and_then(|path| self.look(item, path))
                && let (Some(scope), Some(id)) = (self.text(scope), &mut head.texts[index])
            {
                *id = format!("{scope}#{id}");
            }
            let bytes = head.texts[index].as_ref().map_or(0, String::len);
            if bytes > self.limits.id_bytes_max {
                return dead("id_too_long", self.too_long(FIELDS[index], bytes), Some(event));
            }
            if index == EVENT_ID && head.texts[index].is_none() {
                item.flags.push("type:event_id".to_string());
            }
        }
        self.times(item, &mut head, true_time.is_some());
        Ok(head)
    }

    /// The client's clock is put right by what it said when it sent: received − (sent − event).
    fn times(&self, item: &mut Item, head: &mut Head, is_true: bool) {
        let received = self.request.received_time;
        let mut read = |index: usize, span: Option<Span>| {
            let ms = span.and_then(|span| reading::time_ms(self.body, span, self.mapping.any_unit));
            if span.is_some() && ms.is_none() {
                item.flags.push(format!("type:{}", FIELDS[index]));
            }
            ms
        };
        let original = read(EVENT_TIME, head.spans[EVENT_TIME]);
        head.sent_time = read(SENT_TIME, head.spans[SENT_TIME].or_else(|| self.envelope_sent()));
        let corrected = match (original, head.sent_time) {
            (Some(original), Some(sent)) if !is_true => Some(received - (sent - original)).filter(|ms| reading::in_range(*ms)),
            _ => None,
        };
        head.event_time = corrected.or(original).unwrap_or(received);
        head.original_time = original.filter(|original| *original != head.event_time);
    }

    fn envelope_sent(&self) -> Option<Span> {
        let member = |name: &Vec<u8>| self.envelope.iter().rev().find(|(key, _)| key == name).map(|(_, span)| *span);
        self.mapping.envelope_sent.iter().find_map(member).filter(|span| span.kind != Kind::Null)
    }

    fn write_head(&self, event: &str, event_id: &str, head: &Head, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"event\":");
        json::write_string(event.as_bytes(), out);
        out.extend_from_slice(b",\"app\":");
        json::write_string(self.request.app.as_bytes(), out);
        out.extend_from_slice(b",\"event_id\":");
        json::write_string(event_id.as_bytes(), out);
        write_integer(b"event_time", head.event_time, out);
        if let Some(sent) = head.sent_time {
            write_integer(b"sent_time", sent, out);
        }
        write_integer(b"received_time", self.request.received_time, out);
    }

    /// Everything between the times and `hw`; the object is closed.
    fn write_body(&mut self, item: &mut Item<'a>, head: &Head, variant: &Variant, out: &mut Vec<u8>) {
        for (index, field) in FIELDS.iter().enumerate().skip(USER_ID) {
            let Some(span) = head.spans[index] else { continue };
            write_key(field.as_bytes(), out);
            match &head.texts[index] {
                Some(text) => json::write_string(text.as_bytes(), out),
                // Not text: it stays as it is, and who reads it gets NULL and a type error.
                None => self.copier.copy(self.body, span, out),
            }
        }
        let properties = variant.properties.iter().find_map(|path| self.whole(item, path));
        let mut into_properties = self.added(item, &variant.into_properties, properties);
        let context = self.whole(item, &self.mapping.context);
        let mut into_context = self.added(item, &self.mapping.into_context, None);
        let mut rest = Vec::new();
        match self.mapping.rest {
            Rest::Top => rest = self.rest(item, None),
            Rest::Context => into_context.extend(self.rest(item, context)),
            Rest::Properties => into_properties.extend(self.rest(item, properties)),
        }
        self.write_context(context, &into_context, out);
        self.write_properties(item, properties, &into_properties, out);
        for (key, value) in rest {
            write_key(&key, out);
            self.copier.copy(self.body, value, out);
        }
        out.push(b'}');
    }

    /// The value at a path; all that lies beside it under the same top-level key is used as well.
    fn whole(&self, item: &mut Item, path: &[Vec<u8>]) -> Option<Span> {
        let found = self.at(item, path);
        if let Some(index) = path.first().and_then(|first| item.find(first)) {
            item.used[index] = true;
        }
        found
    }

    /// Those of the values that are there, but where `own` has one of that name: then both stay, the outer one where it stood.
    fn added<'n>(&self, item: &mut Item, into: &'n [(Path, Vec<u8>)], own: Option<Span>) -> Added<'n> {
        let mut added: Added = Vec::new();
        for (path, name) in into {
            let there = own.and_then(|span| canonical::at_path(self.body, span, std::slice::from_ref(name)));
            if there.is_none()
                && !added.iter().any(|(key, _)| key.as_ref() == name.as_slice())
                && let Some(value) = self.at(item, path)
            {
                added.push((Cow::Borrowed(name), value));
            }
        }
        added
    }

    /// What has found no place. At the top no canonical name may come along; elsewhere none that is there already.
    fn rest(&self, item: &mut Item<'a>, beside: Option<Span>) -> Added<'a> {
        let top = self.mapping.rest == Rest::Top;
        let mut rest = Vec::new();
        for index in 0..item.members.len() {
            let member = &item.members[index];
            if item.used[index] || self.mapping.dropped.iter().any(|key| key == member.key.as_ref()) {
                continue;
            }
            if top && let Some(name) = RESERVED.iter().find(|name| name.as_bytes() == member.key.as_ref()) {
                item.flags.push(format!("ignored:{name}"));
                continue;
            }
            let there = beside.and_then(|span| canonical::at_path(self.body, span, &[member.key.to_vec()]));
            if there.is_none() {
                rest.push((member.key.clone(), member.value));
            }
        }
        rest
    }

    fn write_context(&mut self, own: Option<Span>, into: &Added, out: &mut Vec<u8>) {
        if let Some(span) = own.filter(|span| span.kind != Kind::Object) {
            write_key(b"context", out);
            return self.copier.copy(self.body, span, out);
        }
        let fill = self.request.client_side || own.is_some_and(|span| self.is_direct(span));
        if own.is_none() && self.shared_context.is_empty() && into.is_empty() && !fill {
            return;
        }
        write_key(b"context", out);
        let rename = &self.mapping.rename;
        let mut members = own.map(|span| renamed(canonical::members(self.body, span), rename)).unwrap_or_default();
        if !self.shared_context.is_empty() {
            let known: std::collections::HashSet<Vec<u8>> = members.iter().map(|(key, _, _)| key.to_vec()).collect();
            let shared = renamed(self.shared_context.clone(), rename);
            members.extend(shared.into_iter().filter(|(key, _, _)| !known.contains(key.as_ref())));
        }
        let mut lifted: Added = Vec::new();
        for (path, key) in &self.mapping.lift {
            let from = members.iter().find(|(name, _, _)| name.as_ref() == path[0].as_slice());
            let value = from.and_then(|(_, value, _)| canonical::at_path(self.body, *value, &path[1..]));
            lifted.extend(value.filter(|value| value.kind != Kind::Null).map(|value| (Cow::Borrowed(key.as_slice()), value)));
        }
        let (below, into): (Vec<_>, Vec<_>) = into.iter().partition(|(key, _)| key.contains(&BELOW));
        for (key, value) in lifted.iter().chain(into) {
            if !members.iter().any(|(name, _, _)| name == key) {
                members.push((Cow::Owned(key.to_vec()), *value, None));
            }
        }
        self.write_members(&members, out);
        self.write_below(&below, &members, out);
        if fill {
            for (key, text) in [("ip", self.request.ip), ("user_agent", self.request.user_agent)] {
                if !text.is_empty() && !members.iter().any(|(name, _, _)| name.as_ref() == key.as_bytes()) {
                    write_key(key.as_bytes(), out);
                    json::write_string(text.as_bytes(), out);
                }
            }
        }
        out.push(b'}');
    }

    /// Values that go into objects of the context which nobody sent.
    fn write_below(&mut self, below: &[&(Cow<[u8]>, Span)], members: &[Renamed], out: &mut Vec<u8>) {
        let outer = |key: &[u8]| key.iter().position(|byte| *byte == BELOW).unwrap_or(key.len());
        for (index, (first, _)) in below.iter().enumerate() {
            let name = &first[..outer(first)];
            let is_here = |(key, _): &&&(Cow<[u8]>, Span)| &key[..outer(key)] == name;
            if below[..index].iter().any(|entry| is_here(&entry)) || members.iter().any(|(key, _, _)| key.as_ref() == name) {
                continue;
            }
            write_key(name, out);
            out.push(b'{');
            for (key, value) in below.iter().filter(is_here) {
                write_key(&key[name.len() + 1..], out);
                self.copier.copy(self.body, *value, out);
            }
            out.push(b'}');
        }
    }

    /// `context.direct`: the request comes from the user's own device, says who sent it.
    fn is_direct(&self, context: Span) -> bool {
        canonical::at_path(self.body, context, &[b"direct".to_vec()]).is_some_and(|value| value.kind == Kind::True)
    }

    /// Members with their new names, and those below them; the object is left open.
    fn write_members(&mut self, members: &[Renamed], out: &mut Vec<u8>) {
        out.push(b'{');
        for (key, value, rename) in members {
            write_key(key, out);
            match rename {
                Some(below) if value.kind == Kind::Object => {
                    let inner = renamed(canonical::members(self.body, *value), below);
                    self.write_members(&inner, out);
                    out.push(b'}');
                }
                _ => self.copier.copy(self.body, *value, out),
            }
        }
    }

    fn write_properties(&mut self, item: &mut Item, own: Option<Span>, into: &Added, out: &mut Vec<u8>) {
        if let Some(span) = own.filter(|span| span.kind != Kind::Object) {
            item.flags.push("type:properties".to_string());
            write_key(b"properties", out);
            return self.copier.copy(self.body, span, out);
        }
        if own.is_none() && into.is_empty() {
            return;
        }
        write_key(b"properties", out);
        match own {
            Some(span) if self.mapping.property_rename.keys.is_empty() => {
                self.copier.copy(self.body, span, out);
                out.pop();
            }
            Some(span) => {
                let members = renamed(canonical::members(self.body, span), &self.mapping.property_rename);
                self.write_members(&members, out);
            }
            None => out.push(b'{'),
        }
        for (name, value) in into {
            write_key(name, out);
            self.copier.copy(self.body, *value, out);
        }
        out.push(b'}');
    }

    /// Ours, in place of the object's closing bracket.
    fn write_hw(&self, tier: u8, original_time: Option<i64>, flags: &[String], out: &mut Vec<u8>) {
        out.pop();
        let plan = self.plan.snapshot;
        out.extend_from_slice(format!(",\"hw\":{{\"tier\":{tier},\"plan\":{plan},\"sample_rate\":1").as_bytes());
        if let Some(original) = original_time {
            write_integer(b"original_time", original, out);
        }
        if !flags.is_empty() {
            out.extend_from_slice(b",\"flags\":[");
            for (index, flag) in flags.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_string(flag.as_bytes(), out);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}");
    }
}

/// A member under its new name, with the new names below it.
type Renamed<'a> = (Cow<'a, [u8]>, Span, Option<&'a Rename>);

/// Members under their new names. Where a new name meets a key that is there already, the last of them stays.
fn renamed<'a>(members: Vec<Member<'a>>, rename: &'a Rename) -> Vec<Renamed<'a>> {
    let mut out: Vec<Renamed> = Vec::with_capacity(members.len());
    let mut fresh: Vec<&[u8]> = Vec::new();
    for member in members {
        let to = rename.keys.get(member.key.as_ref());
        let (key, below) = match to {
            Some((None, _)) => continue,
            Some((Some(name), below)) => (Cow::Borrowed(name.as_slice()), Some(below).filter(|below| !below.keys.is_empty())),
            None => (member.key, None),
        };
        // Source keys differ from one another, so that only a new name can meet another key.
        if to.is_some() || fresh.contains(&key.as_ref()) {
            out.retain(|(name, _, _)| *name != key);
        }
        if let Some((Some(name), _)) = to {
            fresh.push(name);
        }
        out.push((key, member.value, below));
    }
    out
}

fn write_integer(key: &[u8], value: i64, out: &mut Vec<u8>) {
    write_key(key, out);
    out.extend_from_slice(value.to_string().as_bytes());
}

/// No flag twice, none too long, not too many.
fn bound_flags(flags: &mut Vec<String>) {
    let mut kept: Vec<String> = Vec::with_capacity(flags.len().min(FLAGS_MAX));
    for mut flag in flags.drain(..) {
        let mut end = flag.len().min(FLAG_BYTES_MAX);
        while !flag.is_char_boundary(end) {
            end -= 1;
        }
        flag.truncate(end);
        if kept.contains(&flag) {
            continue;
        }
        if kept.len() + 1 == FLAGS_MAX {
            kept.push("more".to_string());
            break;
        }
        kept.push(flag);
    }
    *flags = kept;
}

fn is_empty(span: &Span) -> bool {
    span.kind == Kind::Text && span.end - span.start == 2
}

fn shown(path: &Path) -> String {
    String::from_utf8_lossy(&path.join(&b'.')).into_owned()
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
