//! Reports: steps per second that are explained, replayed, rendered, and imported from another builder's log.

mod profiler;

use buildscope_record::Policy;
use buildscope_reports::whatif::{Scenario, whatif};
use buildscope_reports::{explain, import, render, synthetic};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;

/// A log of the classic builder with one line per second. Each step runs a process.
fn log(steps: u32) -> String {
    let mut text = String::new();
    let mut second = 0;
    let mut line = |said: &str| {
        let _ = writeln!(text, "2026-01-01T{:02}:{:02}:{:02}Z {said}", second / 3600, second / 60 % 60, second % 60);
        second += 1;
    };
    for step in 1..=steps {
        let instruction = if step == 1 { "FROM busybox" } else { "RUN make" };
        line(&format!("Step {step}/{steps} : {instruction}"));
        if step > 1 {
            line(&format!(" ---> Running in {step:012x}"));
        }
        line(&format!(" ---> {step:012x}"));
    }
    line(&format!("Successfully built {steps:012x}"));
    text
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("explain");
    for (stages, steps) in [(4, 10), (250, 40)] {
        let record = synthetic::chains(stages, steps);
        let explanation = explain(&record);
        let count = record.steps.len();
        group.throughput(Throughput::Elements(count as u64));
        if count > 1000 {
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
        }
        let id = |name: &str| BenchmarkId::new(name, count);
        group.bench_function(id("explain"), |bench| bench.iter(|| explain(black_box(&record))));
        group.bench_function(id("what-if"), |bench| {
            let serial = Scenario { policy: Some(Policy::Serial), ..Scenario::default() };
            bench.iter(|| whatif(black_box(&record), &serial).expect("a scenario without names is valid"));
        });
        group.bench_function(id("html"), |bench| bench.iter(|| render::html(black_box(&record), &explanation)));
        group.bench_function(id("timeline"), |bench| {
            bench.iter(|| render::timeline(black_box(&[(&record, &explanation)])));
        });
        let log = log(count as u32);
        group.bench_function(id("import"), |bench| {
            bench.iter(|| import::import(black_box(log.as_bytes())).expect("a valid log"));
        });
    }
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = answers);
criterion_main!(groups);
