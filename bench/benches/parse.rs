//! Text to instructions: bytes a second.

mod profiler;
mod samples;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for stages in [1, 10, 1000] {
        let text = samples::dockerfile(stages);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("stages", stages), &text, |bench, text| {
            bench.iter(|| buildscope_builder::dockerfile::parse(black_box(text)).expect("the sample is valid"));
        });
    }
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = parse);
criterion_main!(groups);
