//! Any text: no panic, spans within the text, what is printed reads back as the same, and what parses lowers or says why not.
#![no_main]

use buildscope_dockerfile::{self as dockerfile, lint};
use buildscope_builder::plan::{self, AssumeImages, LowerRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = match dockerfile::parse(text) {
        Ok(file) => file,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults.iter().filter_map(|fault| fault.span) {
                assert!(fault.start <= fault.end && fault.range().end <= text.len());
            }
            return;
        }
    };
    let mut end = 0;
    for instruction in &file.instructions {
        let place = instruction.span.range();
        assert!(end <= place.start && place.end <= text.len());
        end = place.end;
    }
    let printed = dockerfile::print(&file);
    let again = dockerfile::parse(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
    assert_eq!(printed, dockerfile::print(&again));
    let _ = lint::run(&file, &lint::Context::default());
    if let Ok(plan) = plan::lower(&file, &LowerRequest::default(), &AssumeImages) {
        let _ = plan.step(plan.target).config.image();
        for step in plan.steps() {
            let _ = step.history.to_string();
        }
    }
});
