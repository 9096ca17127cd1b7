//! Rules of any operations on any types, made from the bytes, and events for them: together they give what each gives alone.
//! Together they share an index, expressions and rows; alone there is nothing to share.

#![no_main]

use headwater_kernel::link::Program;
use headwater_kernel::run::Pool;
use headwater_kernel_fuzz::choice::Choices;
use headwater_kernel_fuzz::{made, ran};
use libfuzzer_sys::fuzz_target;

const RULES_MAX: usize = 12;
const EVENTS_MAX: usize = 6;

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let events: Vec<String> = (0..1 + choices.below(EVENTS_MAX)).map(|_| made::event(&mut choices)).collect();
    let batch = events.join("\n");
    let mut rules = Vec::new();
    let mut alone = Vec::new();
    while !choices.is_over() && rules.len() < RULES_MAX {
        let rule = made::rule(&mut choices, rules.len());
        // What asks for literals is refused with others.
        match Program::link(std::slice::from_ref(&rule)) {
            Ok(program) => {
                alone.push(ran::one_after_the_other(&program, &Pool::default(), batch.as_bytes()));
                rules.push(rule);
            }
            Err(said) => assert!(!said.contains("unexpectedly"), "{said}"),
        }
    }
    if rules.is_empty() {
        return;
    }
    let program = Program::link(&rules).unwrap();
    let together = ran::one_after_the_other(&program, &Pool::default(), batch.as_bytes());
    for (number, alone) in alone.iter().enumerate() {
        let number = number as u32;
        let dataset = program.rules[number as usize].dataset;
        assert_eq!(together.outputs.get(&dataset), alone.outputs.get(&0), "{}", program.rules[number as usize].name);
        assert_eq!(together.rules.get(&number), alone.rules.get(&0), "{}", program.rules[number as usize].name);
    }
});
