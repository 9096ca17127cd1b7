//! Any bytes as the body of a request to the collector: every piece of it is an event, a dead letter or a counted drop, what is
//! written are records of well-formed JSON, and the write key is in none of the dead letters.

#![no_main]

use std::sync::LazyLock;

use headwater_kernel::intake::{Intake, Limits, Output, Request, Verdict, text_at};
use headwater_kernel::json::{self, Kind};
use headwater_kernel::record;
use headwater_kernel_fuzz::{mutate, reference};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const PLAN: &str = include_str!("../seeds/plan.json");
const MAPPINGS: &str = include_str!("../seeds/mappings.json");
const LIMITS: Limits = Limits { event_bytes_max: 2000, id_bytes_max: 64, events_max: 100, output_bytes_max: 100_000 };
const WRITE_KEY: &str = "wk_secret";

static INTAKE: LazyLock<Intake> = LazyLock::new(|| Intake::link(PLAN.as_bytes(), MAPPINGS.as_bytes(), LIMITS).unwrap());

const SHAPES: [(&str, &str, &str); 6] = [
    ("segment", "envelope", ""),
    ("segment", "one", "track"),
    ("segment", "one", ""),
    ("own", "events", ""),
    ("own", "one", ""),
    ("own", "envelope", ""),
];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate::json(data, size, max_size, seed) });

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let first = *first as usize;
    let (protocol, shape, variant) = SHAPES[first % SHAPES.len()];
    let request = Request {
        protocol,
        shape,
        variant,
        app: if first & 64 == 0 { "shop" } else { "strict" },
        received_time: 1_767_322_445_000,
        seed: u128::MAX,
        ip: "192.0.2.1",
        user_agent: "an \"agent\"",
        client_side: first & 128 == 0,
        write_key: WRITE_KEY,
    };
    if let Some(text) = text_at(body, &[vec!["writeKey".to_string()]], "batch") {
        assert!(text.len() <= body.len());
    }
    let Ok(output) = INTAKE.run(body, &request).map_err(|refused| assert!(refused.is_ok(), "{refused:?}")) else { return };
    check(&output, request.app);
});

fn check(output: &Output, app: &str) {
    let count = |which: fn(&Verdict) -> bool| output.verdicts.iter().filter(|verdict| which(verdict)).count();
    assert_eq!(count(|verdict| matches!(verdict, Verdict::Accepted { .. })), output.accepted);
    assert_eq!(count(|verdict| matches!(verdict, Verdict::Dead(_))), output.dead);
    json::check(&output.verdicts_json()).unwrap();
    let events = payloads(&output.records);
    assert_eq!(events.len(), output.accepted);
    for event in &events {
        assert!(event.len() <= LIMITS.event_bytes_max);
        let span = json::check(event).unwrap();
        assert!(!reference::repeats_keys(event, span), "{}", String::from_utf8_lossy(event));
        // Nobody chooses the app but the write key.
        if let Some(built) = reference::built(event) {
            assert_eq!((&built["app"], built["hw"].is_object()), (&app.into(), true));
        }
    }
    let dead = payloads(&output.dead_records);
    assert_eq!(dead.len(), output.dead);
    for letter in &dead {
        let built = reference::built(letter).unwrap();
        let raw = built["raw"].as_str().unwrap_or_default();
        assert!(!raw.contains(WRITE_KEY), "{raw}");
    }
}

fn payloads(batch: &[u8]) -> Vec<&[u8]> {
    record::records(batch)
        .map(|record| {
            let payload = record.unwrap().1.payload;
            assert!(json::check(payload).is_ok_and(|span| span.kind == Kind::Object), "{}", String::from_utf8_lossy(payload));
            assert!(!payload.contains(&b'\n'));
            payload
        })
        .collect()
}
