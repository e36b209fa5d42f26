//! Processor instructions for parsing, planning and keys, counted by valgrind: reproducible even on a loaded machine.
//! `scripts/instructions` runs it. Valgrind does not support SHA instructions, so hashing is counted in its portable
//! form.

#![expect(missing_docs, reason = "gungraun's macros generate modules and constants")]

mod graph;
mod samples;
mod step_keys;

use buildscope_builder::plan::{LowerRequest, Plan, lower};
use buildscope_dockerfile::{self as dockerfile, Dockerfile};
use buildscope_record::StepKey;
use graph::AnyImage;
use gungraun::{library_benchmark, library_benchmark_group, main};
use std::hint::black_box;

/// The set-up of lowering and keys is not counted.
fn parsed(stages: usize) -> Dockerfile<'static> {
    let text: &'static str = samples::dockerfile(stages).leak();
    dockerfile::parse(text).expect("the sample is valid")
}

fn planned(stages: usize) -> Plan {
    graph::plan(&samples::dockerfile(stages)).1
}

#[library_benchmark]
#[benches::stages(args = [1, 10, 1000], setup = samples::dockerfile)]
fn parse(text: String) -> usize {
    let parsed = dockerfile::parse(black_box(&text)).expect("the sample is valid");
    black_box(parsed.instructions.len())
}

#[library_benchmark]
#[benches::stages(args = [1, 10, 1000], setup = parsed)]
fn plan(file: Dockerfile<'static>) -> Plan {
    lower(black_box(&file), &LowerRequest::default(), &AnyImage).expect("the sample can be lowered")
}

#[library_benchmark]
#[benches::stages(args = [1, 10, 1000], setup = planned)]
fn keys(plan: Plan) -> Vec<StepKey> {
    step_keys::keys(black_box(&plan))
}

library_benchmark_group!(name = instructions; benchmarks = parse, plan, keys);
main!(library_benchmark_groups = instructions);
