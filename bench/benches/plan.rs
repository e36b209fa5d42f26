//! Lowering and keys: steps per second.

mod graph;
mod profiler;
mod samples;
mod step_keys;

use buildscope_builder::plan::{LowerRequest, lower};
use buildscope_dockerfile as dockerfile;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use graph::{AnyImage, plan};
use std::fmt::Write as _;
use std::hint::black_box;
use step_keys::keys;

fn lowering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for stages in [1, 10, 1000] {
        let text = samples::dockerfile(stages);
        let (file, plan) = plan(&text);
        group.throughput(Throughput::Elements(plan.graph.node_count() as u64));
        if stages == 1000 {
            // Criterion's linear sampling would take minutes.
            group.sampling_mode(criterion::SamplingMode::Flat).sample_size(20);
        }
        group.bench_with_input(BenchmarkId::new("lower", stages), &file, |bench, file| {
            bench.iter(|| {
                lower(black_box(file), &LowerRequest::default(), &AnyImage).expect("the sample can be lowered")
            });
        });
        group.bench_with_input(BenchmarkId::new("keys", stages), &plan, |bench, plan| {
            bench.iter(|| keys(black_box(plan)))
        });
    }
    group.finish();
}

/// A Dockerfile with this many instructions, each of which affects the later ones.
fn instructions_of_every_kind(instructions: usize) -> String {
    let mut text = "FROM debian:12 AS s0\n".to_owned();
    for n in 0..instructions / 8 {
        let _ = write!(
            text,
            "ENV E{n}=value-{n}\nARG A{n}=$E{n}\nRUN echo $A{n} {n}\nLABEL l{n}=${{E{n}:-none}}\nCOPY src/{n} /dst/{n}\n\
             RUN [\"true\", \"{n}\"]\nFROM s{n} AS s{}\nWORKDIR /w/{n}\n",
            n + 1
        );
    }
    text
}

/// Parsed, expanded and lowered: must stay under a second for 100,000 instructions.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole");
    for instructions in [10_000, 100_000] {
        let text = instructions_of_every_kind(instructions);
        group.throughput(Throughput::Elements(instructions as u64));
        group.sampling_mode(criterion::SamplingMode::Flat).sample_size(10);
        group.bench_with_input(BenchmarkId::new("instructions", instructions), &text, |bench, text| {
            bench.iter(|| {
                let file = dockerfile::parse(black_box(text)).expect("the sample is valid");
                lower(&file, &LowerRequest::default(), &AnyImage).expect("the sample can be lowered")
            });
        });
    }
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = lowering, whole);
criterion_main!(groups);
