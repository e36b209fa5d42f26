//! Parsing: bytes per second.

mod profiler;
mod samples;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let stages = [1, 10, 1000].map(|stages| (BenchmarkId::new("stages", stages), samples::dockerfile(stages)));
    let others = [
        (BenchmarkId::from_parameter("corpus"), corpus()),
        (BenchmarkId::new("short_lines", 10_000), short_lines(10_000)),
    ];
    for (id, text) in stages.into_iter().chain(others) {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(id, &text, |bench, text| {
            bench.iter_with_large_drop(|| buildscope_dockerfile::parse(black_box(text)).expect("the sample is valid"));
        });
    }
    group.finish();
}

/// The Dockerfiles of the corpus, concatenated: typical input.
fn corpus() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is next to this crate")
        .filter_map(|entry| Some(entry.ok()?.path().join("Dockerfile")))
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .fold(String::new(), |all, text| all + &text + "\n")
}

/// Only short lines: the worst case for a parser whose cost is per instruction.
fn short_lines(instructions: usize) -> String {
    (0..instructions).fold("FROM debian:12\n".to_owned(), |text, n| text + "RUN echo " + &n.to_string() + "\n")
}

criterion_group!(name = groups; config = profiler::criterion(); targets = parse);
criterion_main!(groups);
