//! The memory for a large Dockerfile is proportional to its length, even if every line adds to the environment of the
//! lines after it.

use buildscope_builder::plan::{self, AssumeImages, LowerRequest, Plan};
use buildscope_dockerfile as dockerfile;
use std::fmt::Write as _;

/// A Dockerfile with every kind of instruction that affects later ones, in stages that are based on each other.
fn text(instructions: usize) -> String {
    let mut text = "FROM base AS s0\n".to_owned();
    for n in (0..instructions).step_by(8) {
        let _ = write!(
            text,
            "ENV E{n}=value-{n}\nARG A{n}=$E{n}\nRUN echo $A{n} {n}\nLABEL l{n}=$E{n}\nCOPY src/{n} /dst/{n}\n\
             EXPOSE 80\nFROM s{} AS s{}\nWORKDIR /w/{n}\n",
            n / 8,
            n / 8 + 1
        );
    }
    text
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The plan of such a Dockerfile, and the memory in bytes that the plan and the parsed file keep.
fn measured(instructions: usize) -> (Plan, usize) {
    let text = text(instructions);
    let before = resident();
    let file = dockerfile::parse(&text).unwrap();
    let plan = plan::lower(&file, &LowerRequest::default(), &AssumeImages).unwrap();
    let bytes = resident().saturating_sub(before);
    drop(file);
    (plan, bytes)
}

#[test]
fn memory_is_proportional_to_the_length() {
    // The first measurement warms up the allocator. Each plan is kept, so that the next one needs new memory.
    let warm = measured(4_000);
    let (small, small_bytes) = measured(8_000);
    let (large, large_bytes) = measured(40_000);
    eprintln!("8,000 instructions: {small_bytes} bytes, 40,000: {large_bytes}");
    assert!(large_bytes < small_bytes * 8, "quadratic growth would be 25 times as much");
    // The configuration of the last step is complete.
    let config = large.step(large.target).config.image().config;
    assert_eq!(config.env.len(), 5_000 + 1, "PATH and one variable for each round");
    assert_eq!(config.labels.len(), 5_000);
    drop((warm, small));
}
