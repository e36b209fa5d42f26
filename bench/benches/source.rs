//! Scanning and hashing a build context: files per second.

mod contexts;
mod profiler;

use buildscope_builder::sources::{Context, ContextNode, IgnoreVerdict, NodeKind};
use buildscope_record::Probe;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::path::{Path, PathBuf};

/// Collects the files below a scanned directory.
fn files<'n>(context: &'n Context, node: &'n ContextNode, path: &Path, found: &mut Vec<(&'n ContextNode, PathBuf)>) {
    for child in context.children(node, path).expect("it was scanned") {
        let path = path.join(child.name());
        match child.kind() {
            NodeKind::Directory => files(context, child, &path, found),
            _ => found.push((child, path)),
        }
    }
}

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
        let mut found = Vec::new();
        files(context, context.root(), Path::new(""), &mut found);
        let found: Vec<_> = found.iter().map(|(node, path)| (*node, path.as_path())).collect();
        let nodes: Vec<&ContextNode> = found.iter().map(|(node, _)| *node).collect();
        context.hash(&nodes, &|number| found[number].1.to_owned(), &probe).expect("readable files");
        found.len()
    };
    let count = hash(&open(None));
    let mut group = criterion.benchmark_group("source");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(count as u64));
    group.bench_function("scan 20,000 files", |bench| bench.iter(|| open(None)));
    group.bench_function("scan and hash 20,000 files", |bench| bench.iter(|| hash(&open(None))));
    let memory = tempfile::tempdir().expect("a temporary directory");
    hash(&open(Some(memory.path())));
    group.bench_function("scan 20,000 known files", |bench| bench.iter(|| hash(&open(Some(memory.path())))));
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = source);
criterion_main!(groups);
