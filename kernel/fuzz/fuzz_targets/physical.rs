//! Any bytes as physical rules and events: an error or a program, and every program runs. An input is rules, one a line, then an
//! empty line, then events.

#![no_main]

use headwater_kernel::link::Program;
use headwater_kernel::run::Pool;
use headwater_kernel_fuzz::{mutate, ran};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const RULES_MAX: usize = 32;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate::json(data, size, max_size, seed) });

fuzz_target!(|data: &[u8]| {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let rules: Vec<Vec<u8>> = data[..end].split(|byte| *byte == b'\n').take(RULES_MAX).map(<[u8]>::to_vec).collect();
    match Program::link(&rules) {
        Ok(program) => drop(ran::one_after_the_other(&program, &Pool::default(), data.get(end + 2..).unwrap_or_default())),
        Err(said) => assert!(!said.is_empty() && !said.contains("unexpectedly"), "{said}"),
    }
});
