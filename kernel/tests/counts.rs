//! What programs count of their rules, and that one pool serves several programs.

use headwater_kernel::counts::RuleTotals;
use headwater_kernel::explain::{Condition, explain};
use headwater_kernel::link::Program;
use headwater_kernel::run::{self, Batch, Pool};

fn field(name: &str, kind: &str) -> String {
    format!(r#"["field",["{name}"],"{kind}"]"#)
}

fn is(name: &str, value: &str) -> String {
    format!(r#"["call","eq","BOOLEAN",[{},["literal","VARCHAR","{value}"]]]"#, field(name, "VARCHAR"))
}

fn above(name: &str, value: i64) -> String {
    format!(r#"["call","gt","BOOLEAN",[{},["literal","BIGINT",{value}]]]"#, field(name, "BIGINT"))
}

fn all(conditions: &[String]) -> String {
    format!(r#"["call","and","BOOLEAN",[{}]]"#, conditions.join(","))
}

fn rule(number: usize, filter: &str, column: &str) -> Vec<u8> {
    let head = format!(r#"{{"format":1,"name":"r{number}","from":"e","into":"o{}""#, number % 2);
    let shared = field("id", "VARCHAR");
    format!(r#"{head},"where":{filter},"select":[["id",{shared}],["x",{column}]]}}"#).into_bytes()
}

fn outputs(batch: &Batch, lines: &[u8]) -> Vec<(u32, u64, Vec<u8>)> {
    batch.outputs.collect(lines)
}

#[test]
fn programs_of_the_same_size_share_a_pool() {
    // What an expression needs for matching is kept by its number: it must not be used for another one.
    let matches = |pattern: &str| {
        let text = |value: &str| format!(r#"["literal","VARCHAR","{value}"]"#);
        format!(r#"["call","regexp_matches","BOOLEAN",[{},{},{}]]"#, field("id", "VARCHAR"), text(pattern), text(""))
    };
    let of = |name: &str, pattern: &str| {
        Program::link(&[rule(0, &all(&[above(name, 1), matches(pattern)]), &field(name, "BIGINT"))]).unwrap()
    };
    let (one, other) = (of("a", "^[a-p]*p$"), of("b", "(q|xyz|(ab)+|[0-9]{3,5}){1,9}|(?:long|longer|longest)+$"));
    assert_eq!((one.nodes.len(), one.readings.len()), (other.nodes.len(), other.readings.len()));
    let lines = b"{\"a\":5,\"b\":0,\"id\":\"p\"}\n{\"b\":7,\"a\":0,\"id\":\"q\"}\n";
    let pool = Pool::default();
    for _ in 0..3 {
        for (program, expected) in [(&one, "{\"id\":\"p\",\"x\":5}\n"), (&other, "{\"id\":\"q\",\"x\":7}\n")] {
            let batch = run::run_lines(program, &pool, lines);
            assert_eq!(outputs(&batch, lines), [(0, 1, expected.as_bytes().to_vec())]);
            assert_eq!(batch.rules.iter().map(|(_, of)| of.matched).sum::<u64>(), 1);
            pool.give_outputs(batch.outputs);
        }
    }
}

#[test]
fn rows_bytes_and_nulls_are_counted_by_rule() {
    // The leading part is shared: what is NULL in it counts for both rules.
    let rules = [rule(0, &above("a", 0), &field("b", "BIGINT")), rule(2, &above("a", 1), &field("c", "BIGINT"))];
    let program = Program::link(&rules).unwrap();
    let lines = b"{\"a\":2,\"b\":1}\n{\"a\":1,\"id\":\"p\"}\n{\"a\":0}\n";
    let batch = run::run_lines(&program, &Pool::default(), lines);
    let found: Vec<_> = batch.rules.iter().map(|(rule, of)| (*rule, of.matched, of.emitted, of.nulls, of.bytes)).collect();
    let bytes = |rows: &[&str]| rows.iter().map(|row| row.len() as u64 + 1).sum::<u64>();
    assert_eq!(found, [(0, 2, 2, 2, bytes(&[r#"{"x":1}"#, r#"{"id":"p"}"#])), (1, 1, 1, 2, bytes(&["{}"]))]);
    let (_, rows, written) = &outputs(&batch, lines)[0];
    assert_eq!((*rows, written.len() as u64), (3, found.iter().map(|rule| rule.4).sum()));
}

#[test]
fn what_is_sampled_is_the_first_of_a_batch_and_each_64th_after() {
    let program = Program::link(&[rule(0, &above("a", 0), &field("b", "BIGINT"))]).unwrap();
    let line = |n: usize| format!("{{\"a\":1{}}}\n", if n == 64 { ",\"b\":null,\"id\":\"p\"" } else { ",\"b\":2" });
    let lines: String = (0..130).map(line).collect();
    let batch = run::run_lines(&program, &Pool::default(), lines.as_bytes());
    assert_eq!(batch.sampled, 3);
    let present: Vec<_> = batch.fields.iter().map(|(path, of)| (program.paths[*path as usize].as_str(), of.present)).collect();
    assert_eq!(present, [("a", 3), ("b", 2), ("id", 1)]);
}

/// 60 rules by event, of which 30 for one event by app as well; a third of them share a condition.
fn many() -> Program {
    let conditions = |n: usize| {
        let event = if n < 30 { "busy".to_owned() } else { format!("e{n}") };
        all(&[is("event", &event), is("app", &format!("a{n}")), above("n", (n % 3) as i64)])
    };
    let rules: Vec<_> = (0..60).map(|n| rule(n, &conditions(n), &field("b", "BIGINT"))).collect();
    Program::link(&rules).unwrap()
}

#[test]
fn rules_that_the_index_rules_out_are_not_evaluated() {
    let program = many();
    let lines: String = (0..90).map(|n| format!("{{\"event\":\"busy\",\"app\":\"a{}\",\"n\":{}}}\n", n % 30, n % 2)).collect();
    for ran in [run::run_lines, run::profile_lines] {
        let batch = ran(&program, &Pool::default(), lines.as_bytes());
        let mut totals = RuleTotals::new(program.rules.len(), &program.index);
        totals.add(&batch.rules, &batch.groups, &batch.times);
        let evaluated = totals.evaluated(&program.index);
        let ns = totals.ns(&program.index);
        for (number, (counts, evaluated)) in totals.rules.iter().zip(evaluated).enumerate() {
            assert!(counts.matched <= evaluated, "rule {number}");
            assert!(evaluated <= if number < 30 { 3 } else { 0 }, "rule {number}: {evaluated}");
            assert!(totals.timed == 90 || ns[number] == 0.0);
        }
        assert!(totals.rules.iter().map(|counts| counts.matched).sum::<u64>() > 0);
    }
}

#[test]
fn explaining_says_what_finds_a_rule_and_what_is_shared() {
    let found = explain(&many());
    let place = |at: usize| found.iter().map(|rule| rule.conditions[at]).collect::<Vec<_>>();
    for rule in &found {
        assert_eq!((rule.conditions.len(), rule.groups, rule.can_fail), (3, 1, false));
    }
    let once = Condition { level: 0, found_in: 1, masked_in: 0, alone_in: 0, shared_with: 0 };
    // Each rule has its own app, which tells more rules apart than the event does.
    assert_eq!(place(1), vec![Condition { level: 1, ..once }; 60]);
    assert_eq!(place(0)[0], Condition { level: 0, found_in: 0, masked_in: 1, shared_with: 29, ..once });
    assert_eq!(place(2)[0], Condition { level: 0, found_in: 0, masked_in: 1, shared_with: 19, ..once });
    assert!(found.iter().all(|rule| rule.beside == 0));
}

#[test]
fn explaining_two_levels_failing_and_contradictory_rules() {
    let cast = format!(r#"["call","cast","BIGINT",[{}]]"#, field("text", "VARCHAR"));
    let fallible = format!(r#"["call","eq","BOOLEAN",[{cast},["literal","BIGINT",1]]]"#);
    let filter = |n: usize| match n {
        0 => all(&[is("event", "x0"), is("event", "x1")]),
        1 => all(&[is("event", "x1"), fallible.clone()]),
        _ => all(&[is("event", &format!("x{}", n % 10)), is("app", &format!("a{}", n % 7)), above("n", n as i64)]),
    };
    let rules: Vec<_> = (0..100).map(|n| rule(n, &filter(n), &field("b", "BIGINT"))).collect();
    let found = explain(&Program::link(&rules).unwrap());
    assert_eq!(found[0].groups, 0);
    assert_eq!(found[0].conditions.iter().map(|each| each.found_in).sum::<u32>(), 0);
    assert!(found[1].can_fail);
    assert_eq!((found[1].conditions[0].level, found[1].conditions[1].alone_in), (1, 1));
    let levels: Vec<_> = found[2..].iter().map(|rule| (rule.conditions[0].level, rule.conditions[1].level)).collect();
    assert!(levels.iter().all(|levels| *levels == (1, 2)), "{levels:?}");
}
