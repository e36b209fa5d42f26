//! Scanning and hashing a build context: files per second.

mod contexts;
mod profiler;

use buildscope_builder::sources::{Context, IgnoreVerdict};
use buildscope_record::Probe;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::path::Path;

fn source(criterion: &mut Criterion) {
    let folder = contexts::context("files");
    let probe = Probe::disabled();
    let open = |cache: Option<&Path>| {
        let none: Option<fn(&Path) -> IgnoreVerdict> = None;
        let context = Context::open(folder.path(), none, cache).expect("a directory");
        context.scan(context.root(), Path::new(""), &probe).expect("readable files");
        context
    };
    let hash = |context: &Context| {
        let root = context.root();
        context.hash_below(root, Path::new(""), &probe).expect("readable files")
    };
    let mut group = criterion.benchmark_group("source");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(20_000));
    group.bench_function("scan 20,000 files", |bench| bench.iter(|| open(None)));
    group.bench_function("scan and hash 20,000 files", |bench| bench.iter(|| hash(&open(None))));
    let memory = tempfile::tempdir().expect("a temporary directory");
    hash(&open(Some(memory.path())));
    group.bench_function("scan 20,000 known files", |bench| bench.iter(|| hash(&open(Some(memory.path())))));
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = source);
criterion_main!(groups);
