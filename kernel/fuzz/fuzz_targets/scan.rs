//! Any bytes as events, one a line: every way of finding structure gives what the strict cursor gives, refusals and their offsets
//! included, whatever came before and whatever stands behind; the cursor takes what serde_json takes.

#![no_main]

use headwater_kernel::json::{self, Kind, Parsed, Span};
use headwater_kernel::link::Program;
use headwater_kernel::run::Pool;
use headwater_kernel::scan::{self, Scan, Scanned};
use headwater_kernel::slots::{Slots, Tag};
use headwater_kernel::star::Collapser;
use headwater_kernel::structure::{Dispatch, PADDING, Padded};
use headwater_kernel_fuzz::{made, mutate, ran, reference};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// What scans keep from event to event: they learn the order of keys and the shapes of events.
#[derive(Default)]
struct Kept {
    scan: Scan,
    slots: Slots,
}

/// So often are the events of an input scanned: what was learned in the first round is used in the next.
const ROUNDS: usize = 3;
/// So many lines of an input are scanned by a scan that knows nothing as well, whose memory takes long to make.
const ALONE_MAX: usize = 4;

thread_local! {
    static PROGRAM: Program = Program::link(&made::paths_of_all_kinds()).unwrap();
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate::json(data, size, max_size, seed) });

fuzz_target!(|data: &[u8]| {
    PROGRAM.with(|program| {
        let available = Dispatch::ALL.into_iter().filter(|way| way.available());
        let mut ways: Vec<(Dispatch, Kept)> = available.map(|way| (way, Kept::default())).collect();
        for round in 0..ROUNDS {
            let mut start = 0;
            for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
                // Behind the line stands what follows it in the batch, or zeros.
                let followed = exact(line, &data[start..]);
                start += line.len() + 1;
                let alone = exact(line, line);
                let expected = json::check(line);
                assert_eq!(expected.is_ok(), reference::is_json(line), "{expected:?}");
                for (way, kept) in &mut ways {
                    for behind in [&followed, &alone] {
                        scanned(program, *way, kept, line, behind, &expected);
                        if round == 0 && number < ALONE_MAX {
                            scanned(program, *way, &mut Kept::default(), line, behind, &expected);
                        }
                    }
                }
            }
        }
        let pool = Pool::default();
        for _ in 1..ROUNDS {
            ran::one_after_the_other(program, &pool, data);
        }
    });
});

/// The line with the padding and no byte more, so that reading further is seen.
fn exact(line: &[u8], from: &[u8]) -> Box<[u8]> {
    let mut bytes = vec![0; line.len() + PADDING].into_boxed_slice();
    let known = from.len().min(bytes.len());
    bytes[..known].copy_from_slice(&from[..known]);
    bytes
}

fn scanned(program: &Program, way: Dispatch, kept: &mut Kept, line: &[u8], behind: &[u8], expected: &Parsed<Span>) {
    let text = Padded::within(behind, 0, line.len()).unwrap();
    let Kept { scan, slots } = kept;
    match (scan::scan(&program.trie, text, way, scan, slots), expected) {
        (Err(found), Err(expected)) => assert_eq!(found, *expected, "{way:?}"),
        (Ok(Scanned::Other(found)), Ok(expected)) if expected.kind != Kind::Object => assert_eq!(found, *expected, "{way:?}"),
        (Ok(Scanned::Object(found)), Ok(expected)) => {
            assert_eq!(found, *expected, "{way:?}");
            check_slots(program, slots, line, found);
            let mut collapser = Collapser::default();
            let object = |start, end| Span { start, end, kind: Kind::Object };
            let may_repeat = scan.may_repeat(|start, end| !collapser.cuts(line, object(start, end)).is_empty());
            assert!(may_repeat || !reference::repeats_keys(line, found), "{way:?}: a repeated key is overlooked");
        }
        (_, expected) => panic!("{way:?}: scanned otherwise than {expected:?}"),
    }
}

fn check_slots(program: &Program, slots: &Slots, line: &[u8], object: Span) {
    let trie = &program.trie;
    let places = reference::places(trie, line, object);
    for node in 1..trie.nodes.len() as u32 {
        let slot = slots.get(node);
        assert_eq!(slot.map(|slot| slot.span()), places.get(&node).copied(), "node {node}");
        let Some(slot) = slot else { continue };
        let text = &line[slot.start as usize..slot.end as usize];
        check_tag(slot.tag, text);
        let usual = trie.marks[node as usize].plain & slot.tag.bit() != 0;
        assert!(usual || slots.unusual.contains(&node), "node {node} is to be read at once");
    }
    let Some(whole) = reference::built(&line[object.start..object.end]) else { return };
    check_values(program, slots, line, 0, &whole);
}

/// What a tag promises.
fn check_tag(tag: Tag, text: &[u8]) {
    let number = || std::str::from_utf8(text).unwrap();
    match tag {
        Tag::Integer => assert!(number().parse::<i64>().unwrap().to_string() == number() && text.len() <= 19),
        Tag::Decimal => assert!(number().parse::<f64>().unwrap().is_finite() && !number().contains(['e', 'E'])),
        Tag::EscapedText => assert!(json::unescape(text, &mut Vec::new())),
        _ => {}
    }
}

/// Slots hold what serde_json builds.
fn check_values(program: &Program, slots: &Slots, line: &[u8], node: u32, built: &serde_json::Value) {
    let here = &program.trie.nodes[node as usize];
    for (name, child) in here.keys.names().zip(&here.children) {
        let expected = std::str::from_utf8(name).ok().and_then(|name| built.get(name)).filter(|_| built.is_object());
        let found = slots.get(*child).and_then(|slot| reference::built(&line[slot.start as usize..slot.end as usize]));
        assert_eq!(found.as_ref(), expected);
        if let Some(inner) = expected {
            check_values(program, slots, line, *child, inner);
        }
    }
}
