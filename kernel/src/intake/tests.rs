//! The intake as a whole, on plans and mappings of its own.

use super::*;
use crate::json;
use crate::record;

const PLAN: &str = r#"{"snapshot":7,"base":{"struct":[["user_id","VARCHAR"],["context",{"struct":[["network","VARCHAR"]]}]]},"apps":[
    {"name":"shop","enforce":false,"event_types":[{"name":"buy","tier":1,"fields":[{"path":["properties","price"],"type":"BIGINT","required":true}]}]},
    {"name":"strict","enforce":true,"event_types":[{"name":"buy","tier":0,"fields":[]}]}]}"#;
const MAPPINGS: &str = r#"{"segment":{"list":"batch","discriminator":"type","dropped":["writeKey"],"envelope_sent":["sentAt"],
    "fields":{"event_id":[["messageId"]],"event_time":[["originalTimestamp"],["timestamp"]],"sent_time":[["sentAt"]],"user_id":[["userId"]],
        "device_id":[["anonymousId"],["context","device","id"]]},
    "variants":{"track":{"event_from":["event"],"properties":["properties"]},
        "page":{"event":"page","properties":["properties"],"into_properties":[[["name"],"name"],[["category"],"category"]]}},
    "rename":{"userAgent":"user_agent","device":{"advertisingId":"advertising_id"}},"lift":[[["app","version"],"app_version"]]},
  "own":{"list":"events","discriminator":null,"dropped":[],"envelope_sent":[],
    "fields":{"event_id":[["event_id"]],"event_time":[["event_time"]],"sent_time":[["sent_time"]],"user_id":[["user_id"]],"device_id":[["device_id"]]},
    "variants":{"":{"event_from":["event"],"properties":["properties"]}},"rename":{},"lift":[]}}"#;
const LIMITS: Limits = Limits { event_bytes_max: 10_000, id_bytes_max: 64, events_max: 1000, output_bytes_max: 1_000_000 };

fn request<'a>(protocol: &'a str, shape: &'a str) -> Request<'a> {
    Request {
        protocol,
        shape,
        variant: "",
        app: "shop",
        received_time: 1_000_000,
        seed: 16,
        ip: "192.0.2.1",
        user_agent: "tests",
        client_side: false,
        write_key: "wk_secret",
    }
}

fn run(body: &[u8], request: &Request) -> Output {
    let intake = Intake::link(PLAN.as_bytes(), MAPPINGS.as_bytes(), LIMITS).unwrap();
    let output = intake.run(body, request).unwrap();
    assert_eq!(payloads(&output.records).len(), output.accepted);
    assert_eq!(payloads(&output.dead_records).len(), output.dead);
    json::check(&output.verdicts_json()).unwrap();
    output
}

fn payloads(batch: &[u8]) -> Vec<String> {
    let text = |payload: &[u8]| {
        json::check(payload).unwrap();
        assert!(!payload.contains(&b'\n'));
        String::from_utf8(payload.to_vec()).unwrap()
    };
    record::records(batch).map(|item| text(item.unwrap().1.payload)).collect()
}

fn one(body: &str, request: &Request) -> String {
    let output = run(body.as_bytes(), request);
    assert_eq!(output.accepted, 1, "{:?}", output.verdicts);
    payloads(&output.records).remove(0)
}

#[test]
fn a_segment_track_becomes_the_canonical_event() {
    let body = r#"{"sentAt":"1970-01-01T00:16:41Z","context":{"locale":"de","network":"wifi"},"writeKey":"wk_secret","batch":[
        {"type":"track","event":"buy","messageId":"m1","userId":7,"anonymousId":null,"timestamp":"1970-01-01T00:16:40.500Z","integrations":{},
         "context":{"userAgent":"UA","app":{"version":"1.2"},"locale":"fr","device":{"id":"d1","advertisingId":"a"}},
         "properties":{"price" : 3, "x":1, "x":2},"writeKey":"wk_secret","hw":{},"event_id":"mine"}]}"#;
    let expected = concat!(
        r#"{"event":"buy","app":"shop","event_id":"m1","event_time":999500,"sent_time":1001000,"received_time":1000000,"#,
        r#""user_id":"7","device_id":"d1","context":{"user_agent":"UA","app":{"version":"1.2"},"locale":"fr","#,
        r#""device":{"id":"d1","advertising_id":"a"},"network":"wifi","app_version":"1.2"},"properties":{"price":3,"x":2},"#,
        r#""integrations":{},"hw":{"tier":1,"plan":7,"sample_rate":1,"original_time":1000500,"flags":["ignored:hw","ignored:event_id"]}}"#
    );
    assert_eq!(one(body, &request("segment", "envelope")), expected);
    let output = run(body.as_bytes(), &request("segment", "envelope"));
    let header = record::records(&output.records).next().unwrap().unwrap().1;
    assert_eq!((header.key, header.event_id, header.tier, header.event_time), ("d1", "m1", 1, Some(999_500)));
    assert_eq!((header.received_time, header.snapshot), (1_000_000, 7));
}

#[test]
fn variants_constants_and_fills() {
    let page = request("segment", "one");
    let page = Request { variant: "page", client_side: true, ..page };
    let event = one(r#"{"name":"Home","category":null,"properties":{"url":"/"}}"#, &page);
    assert!(event.starts_with(
        r#"{"event":"page","app":"shop","event_id":"00000000000000000000000000000010","event_time":1000000,"received"#
    ));
    assert!(
        event.contains(r#""context":{"ip":"192.0.2.1","user_agent":"tests"},"properties":{"url":"/","name":"Home"},"hw""#),
        "{event}"
    );
    let event = one(
        r#"{"name":"Home","properties":{"name":"own"},"context":{"ip":"1","direct":true}}"#,
        &Request { client_side: false, ..page },
    );
    assert!(
        event.contains(
            r#""context":{"ip":"1","direct":true,"user_agent":"tests"},"properties":{"name":"own"},"name":"Home","hw""#
        ),
        "{event}"
    );
}

#[test]
fn what_a_client_may_not_say_is_ignored_and_flagged() {
    let event = one(
        r#"{"event":"buy","app":"other","hw":{"tier":0},"received_time":1,"properties":{"price":1},"own":[1]}"#,
        &request("own", "events"),
    );
    assert!(event.contains(r#""app":"shop""#) && event.contains(r#""received_time":1000000"#) && event.contains(r#""own":[1]"#));
    assert!(event.contains(r#""flags":["ignored:app","ignored:hw","ignored:received_time"]"#), "{event}");
}

#[test]
fn violations_are_flags() {
    for (body, flags) in [
        (r#"{"event":"buy","properties":{"price":"x"}}"#, r#"["type:properties.price"]"#),
        (r#"{"event":"buy","user_id":{},"properties":{}}"#, r#"["type:user_id","missing:properties.price"]"#),
        (r#"{"event":"sell"}"#, r#"["unregistered_event"]"#),
        (
            r#"{"event":"buy","properties":[],"event_time":"noon"}"#,
            r#"["type:event_time","type:properties","missing:properties.price"]"#,
        ),
        (r#"{"event":"buy","properties":{"price":1},"event_id":[],"context":3}"#, r#"["type:event_id","type:context"]"#),
    ] {
        let event = one(body, &request("own", "one"));
        assert!(event.contains(&format!("\"flags\":{flags}")), "{event}");
    }
    let many: Vec<String> =
        (0..30).map(|n| format!("{{\"path\":[\"properties\",\"{n}\"],\"type\":\"BIGINT\",\"required\":true}}")).collect();
    let plan = PLAN.replace("\"fields\":[]", &format!("\"fields\":[{}]", many.join(",")));
    let intake = Intake::link(plan.as_bytes(), MAPPINGS.as_bytes(), LIMITS).unwrap();
    let output = intake.run(br#"{"event":"buy"}"#, &Request { app: "strict", ..request("own", "one") }).unwrap();
    assert!(payloads(&output.records)[0].ends_with(r#""missing:properties.14","more"]}}"#));
}

#[test]
fn refusals_are_dead_letters_and_spare_their_neighbours() {
    let long = "x".repeat(65);
    let bad = [
        (r#"{"event":"buy","a":NaN}"#.to_string(), "unexpected_byte"),
        (r#"{"event":""}"#.to_string(), "event_missing"),
        (r#"{"event":null}"#.to_string(), "event_missing"),
        (r#"{"event":7}"#.to_string(), "event_not_text"),
        (r#"{"event":"\ud800"}"#.to_string(), "event_not_text"),
        (format!(r#"{{"event":"{long}"}}"#), "id_too_long"),
        (format!(r#"{{"event":"buy","user_id":"{long}"}}"#), "id_too_long"),
        ("7".to_string(), "not_an_object"),
        (r#"{"event":"rent","wk":"wk_secret"}"#.to_string(), "unregistered_event"),
        (format!(r#"{{"event":"buy","a":"{}"}}"#, "x".repeat(10_000)), "oversize"),
    ];
    for (item, reason) in &bad {
        let body = format!(r#"[{{"event":"buy"}},{item},{{"event":"buy"}}]"#);
        let output = run(body.as_bytes(), &Request { app: "strict", ..request("own", "events") });
        assert_eq!(output.accepted, 2, "{item}");
        match &output.verdicts[1] {
            Verdict::Dead(dead) => {
                assert_eq!(dead.reason, *reason, "{item}");
                let letter = payloads(&output.dead_records).remove(0);
                assert!(letter.starts_with(&format!(r#"{{"reason":"{reason}","hop":"collect","app":"strict""#)), "{letter}");
                assert!(!letter.contains("wk_secret"));
                let raw = json::check(letter.as_bytes())
                    .map(|span| canonical::at_path(letter.as_bytes(), span, &[b"raw".to_vec()]))
                    .unwrap();
                let raw = reading::text(letter.as_bytes(), raw.unwrap()).unwrap();
                assert_eq!(String::from_utf8(raw).unwrap(), item.replace("wk_secret", "<write key>"));
            }
            verdict => assert_eq!(verdict, &Verdict::Dropped(reason), "{item}"),
        }
    }
    let output = run(b"[{\"event\":\"buy\",\"a\":\"\xff\"}]", &request("own", "events"));
    assert!(payloads(&output.dead_records)[0].contains(r#""raw_base64":"eyJl"#));
}

#[test]
fn a_type_that_is_not_known_is_a_dead_letter() {
    let output = run(br#"{"batch":[{"type":"purchase","event":"buy"},{"event":"buy"}]}"#, &request("segment", "envelope"));
    let details: Vec<_> = output.verdicts.iter().map(|verdict| format!("{verdict:?}")).collect();
    assert!(details[0].contains(r#"type is \"purchase\"; valid are page, track"#), "{}", details[0]);
    assert_eq!((output.accepted, output.dead, output.broken), (0, 2, None));
}

#[test]
fn renamed_keys_that_meet_leave_the_last() {
    let track = r#"{"type":"track","event":"buy","properties":{"price":1},"context":{"userAgent":"a","user_agent":"b"}}"#;
    assert!(one(track, &request("segment", "one")).contains(r#""context":{"user_agent":"b"}"#));
    let track = track.replace(r#""userAgent":"a","user_agent":"b""#, r#""user_agent":"b","userAgent":"a""#);
    assert!(one(&track, &request("segment", "one")).contains(r#""context":{"user_agent":"a"}"#));
}

#[test]
fn too_much_is_refused_whole() {
    let intake = Intake::link(PLAN.as_bytes(), MAPPINGS.as_bytes(), LIMITS).unwrap();
    let many = "{}\n".repeat(1001);
    assert!(matches!(intake.run(many.as_bytes(), &request("own", "events")), Err(Ok(TooLarge::Events(1000)))));
    let context: Vec<String> = (0..400).map(|n| format!("\"key_{n:08}\":1")).collect();
    let items = vec![r#"{"type":"track","event":"buy"}"#; 500].join(",");
    let body = format!("{{\"context\":{{{}}},\"batch\":[{items}]}}", context.join(","));
    assert!(matches!(intake.run(body.as_bytes(), &request("segment", "envelope")), Err(Ok(TooLarge::Bytes(_)))));
    assert!(matches!(intake.run(b"{}", &request("other", "one")), Err(Err(_))));
}

#[test]
fn a_write_key_is_found_in_the_body() {
    let paths =
        [&["writeKey"][..], &["properties", "token"]].map(|path| path.iter().map(|step| step.to_string()).collect::<Vec<_>>());
    for (body, expected) in [
        (r#"{"batch":[{"writeKey":"inner"},NaN],"writeKey":"wk"}"#, Some("wk")),
        (r#"{"event":"x","write\u004bey":"wk"}"#, Some("wk")),
        (r#"{"writeKey":7}"#, None),
        (r#"{"batch":[{"writeKey":"inner"}]}"#, Some("inner")),
        (r#"[{"properties":{"token":"wk"}}]"#, Some("wk")),
        ("[", None),
    ] {
        assert_eq!(text_at(body.as_bytes(), &paths, "batch").as_deref(), expected, "{body}");
    }
}

const GROWN: &str = r#"{"grown":{"list":"events","discriminator":"e","unpack":["ue_px","cx"],"any_unit":true,
    "fields":{"event_id":[["eid"]],"event_time":[["dtm"]],"user_id":[["^","user","id"],["uid"]],"device_id":[["duid"]]},
    "variants":{"ue":{"event_from":["ue_px","data","schema"],"event_part":["/",1],"properties":["ue_px","data","data"]},
        "se":{"event":"structured","into_properties":[[["se_ca"],"category"],[["se_va"],"value"]]}},
    "context":["^","header"],"into_context":[[["p"],"platform_code"],[["cx","data"],"contexts"]],
    "property_rename":{"token":null,"old":"new"},"rename":{"secret":null},"dropped":["aid","cx"],"rest":"properties"}}"#;

fn grown(body: &str, shape: &str) -> Vec<String> {
    let intake = Intake::link(PLAN.as_bytes(), GROWN.as_bytes(), LIMITS).unwrap();
    let output = intake.run(body.as_bytes(), &request("grown", shape)).unwrap();
    assert_eq!(output.dead, 0, "{:?}", output.verdicts);
    payloads(&output.records)
}

#[test]
fn what_grew_out_of_query_strings_is_unpacked_and_put_in_its_place() {
    // {"data":{"schema":"iglu:com.acme/buy/jsonschema/1-0-0","data":{"old":1,"token":"t","x":2}}} in base64.
    let packed = "eyJkYXRhIjp7InNjaGVtYSI6ImlnbHU6Y29tLmFjbWUvYnV5L2pzb25zY2hlbWEvMS0wLTAiLCJkYXRhIjp7Im9sZCI6MSwidG9rZW4iOiJ0IiwieCI6Mn19fQ";
    let body = format!(
        r#"[{{"user":{{"id":"u"}},"header":{{"os":"x","secret":1}},"events":[
            {{"e":"ue","ue_px":"{packed}","cx":"{{\"data\":[1]}}","eid":"1","dtm":"0.25","aid":"a","p":"web","more":true}}]}},
          {{"events":[{{"e":"se","se_ca":"c","se_va":"7","eid":"2","uid":"v","dtm":2}},{{"e":"se","eid":"3"}}]}}]"#
    );
    let found = grown(&body, "envelopes");
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[0],
        concat!(
            r#"{"event":"buy","app":"shop","event_id":"1","event_time":250,"received_time":1000000,"user_id":"u","#,
            r#""context":{"os":"x","platform_code":"web","contexts":[1]},"properties":{"new":1,"x":2,"more":true},"#,
            r#""hw":{"tier":1,"plan":7,"sample_rate":1,"flags":["missing:properties.price"]}}"#
        )
    );
    assert!(found[1].contains(r#""event":"structured""#) && found[1].contains(r#""event_time":2000"#), "{}", found[1]);
    assert!(found[1].contains(r#""user_id":"v","properties":{"category":"c","value":"7"}"#), "{}", found[1]);
    assert!(found[2].contains(r#""event_id":"3","event_time":1000000,"received_time":1000000,"hw""#), "{}", found[2]);
}

#[test]
fn properties_are_the_first_candidate_that_is_there() {
    let mapping =
        r#"{"two":{"list":"x","fields":{},"variants":{"":{"event":"buy","properties":[["traits"],["context","traits"]]}}}}"#;
    let intake = Intake::link(PLAN.as_bytes(), mapping.as_bytes(), LIMITS).unwrap();
    for (body, expected) in [
        (r#"{"traits":{"a":1},"context":{"traits":{"a":2}}}"#, r#""context":{"traits":{"a":2}},"properties":{"a":1}"#),
        (r#"{"traits":null,"context":{"traits":{"a":2}}}"#, r#""context":{"traits":{"a":2}},"properties":{"a":2}"#),
    ] {
        let output = intake.run(body.as_bytes(), &request("two", "one")).unwrap();
        assert!(payloads(&output.records)[0].contains(expected), "{:?}", payloads(&output.records));
    }
}

#[test]
fn auto_takes_a_list_an_envelope_or_one() {
    for (body, ids) in [
        (r#"{"events":[{"e":"se","eid":"1"},{"e":"se","eid":"2"}]}"#, &["1", "2"][..]),
        (r#"[{"e":"se","eid":"1"},{"e":"se","eid":"2"}]"#, &["1", "2"]),
        (r#"{"e":"se","eid":"1"}"#, &["1"]),
        ("{\"e\":\"se\",\"eid\":\"1\"}\n{\"e\":\"se\",\"eid\":\"2\"}", &["1", "2"]),
    ] {
        let found = grown(body, "auto");
        assert_eq!(found.len(), ids.len(), "{body}");
        for (event, id) in found.iter().zip(ids) {
            assert!(event.contains(&format!("\"event_id\":\"{id}\"")), "{event}");
        }
    }
}

#[test]
fn a_broken_envelope_costs_only_itself() {
    let intake = Intake::link(PLAN.as_bytes(), GROWN.as_bytes(), LIMITS).unwrap();
    let body = r#"[{"events":[{"e":"se","eid":"1"},{"e":NaN}]},7,{"x":1},{"events":[{"e":"se","eid":"2"}]}]"#;
    let output = intake.run(body.as_bytes(), &request("grown", "envelopes")).unwrap();
    assert_eq!((output.accepted, output.dead), (2, 3), "{:?}", output.verdicts);
}

const NESTED: &str = r#"{"nested":{"list":"events","discriminator":"v","unpack":[["px","ue"],["pr","ue"]],
    "fields":{"event_id":[["id"]],"event_time":[["made"]],"sent_time":[["sent"]]},"true_time":[["true"]],"id_scope":["source"],
    "required":[["id"],["source"]],
    "variants":{"1":{"event_from":[["name"],["attributes","name"]],"event":"other"},"2":{"event_from":["ue","name"],"properties":["ue","data"]}},
    "into_context":[[["url"],"page.url"],[["lang"],"locale"],[["title"],"page.title"],[["ip"],"ip"]],"rest":"context"}}"#;

fn nested(item: &str) -> Output {
    let intake = Intake::link(PLAN.as_bytes(), NESTED.as_bytes(), LIMITS).unwrap();
    intake.run(item.as_bytes(), &request("nested", "one")).unwrap()
}

#[test]
fn objects_of_the_context_are_made_and_names_have_candidates() {
    for (item, expected) in [
        (
            r#"{"v":1,"id":"a","source":"s","url":"u","lang":"de","title":"t","page.x":1,"wk":"wk_secret","w":"wk\u005fsecret"}"#,
            &[
                r#""event":"other""#,
                r#""event_id":"s#a""#,
                r#""context":{"locale":"de","source":"s","page.x":1,"page":{"url":"u","title":"t"}},"hw""#,
            ][..],
        ),
        (r#"{"v":1,"id":7,"source":"s","name":"","attributes":{"name":"n"}}"#, &[r#""event":"n""#, r#""event_id":"s#7""#]),
        (
            r#"{"v":2,"id":"a","source":"s","pr":"{\"name\":\"n\",\"data\":{\"x\":1}}","px":"none"}"#,
            &[r#""event":"n""#, r#""context":{"source":"s","px":"none"},"properties":{"x":1},"hw""#],
        ),
        (
            r#"{"v":1,"id":"a","source":"s","made":10,"sent":2000000,"true":5}"#,
            &[r#""event_time":5,"sent_time":2000000,"received_time":1000000,"context":{"source":"s","made":10},"hw""#],
        ),
        (r#"{"v":1,"id":"a","source":"s","made":10,"sent":20}"#, &[r#""event_time":999990,"#, r#""original_time":10"#]),
    ] {
        let output = nested(item);
        assert_eq!(output.accepted, 1, "{:?}", output.verdicts);
        let event = payloads(&output.records).remove(0);
        assert!(expected.iter().all(|part| event.contains(part)) && !event.contains("secret"), "{event}");
    }
}

#[test]
fn what_lacks_a_required_text_is_a_dead_letter() {
    for (item, detail) in [
        (r#"{"v":1,"source":"s"}"#, "the event has no `id`"),
        (r#"{"v":1,"id":"","source":"s"}"#, "the event has no `id`"),
        (r#"{"v":1,"id":"a","source":{}}"#, "`source` of the event is no text"),
    ] {
        let expected = Dead { reason: "field_missing", detail: detail.to_string(), event: Some("other".to_string()) };
        assert_eq!(nested(item).verdicts, [Verdict::Dead(expected)]);
    }
    let long = format!(r#"{{"v":1,"id":"{}","source":"{}"}}"#, "x".repeat(40), "y".repeat(40));
    assert!(matches!(&nested(&long).verdicts[0], Verdict::Dead(dead) if dead.reason == "id_too_long"));
}
