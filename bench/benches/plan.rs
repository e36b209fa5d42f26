//! Instructions to graph, and the graph's keys: steps a second.

mod profiler;
mod samples;

use buildscope_builder::dockerfile;
use buildscope_builder::image::{ImageConfig, Platform};
use buildscope_builder::plan::keys::definition_key;
use buildscope_builder::plan::{ImageResolver, LowerRequest, Plan, ResolveError, ResolvedBase, lower};
use buildscope_record::{Digest, StepId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

/// Every name is the same empty image.
struct AnyImage;

impl ImageResolver for AnyImage {
    fn resolve(&self, _: &str, _: &Platform) -> Result<ResolvedBase, ResolveError> {
        Ok(ResolvedBase { manifest: Digest::of("any"), config: Arc::new(ImageConfig::default()) })
    }
}

fn plan(stages: usize) -> (dockerfile::Dockerfile, Plan) {
    let file = dockerfile::parse(&samples::dockerfile(stages)).expect("the sample is valid");
    let plan = lower(&file, &LowerRequest::default(), &AnyImage).expect("the sample can be lowered");
    (file, plan)
}

fn lowering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for stages in [1, 10, 1000] {
        let (file, plan) = plan(stages);
        group.throughput(Throughput::Elements(plan.graph.node_count() as u64));
        if stages == 1000 {
            // Criterion's linear sampling would take minutes.
            group.sampling_mode(criterion::SamplingMode::Flat).sample_size(20);
        }
        group.bench_with_input(BenchmarkId::new("lower", stages), &file, |bench, file| {
            bench.iter(|| lower(black_box(file), &LowerRequest::default(), &AnyImage).expect("it did before"));
        });
        group.bench_with_input(BenchmarkId::new("keys", stages), &plan, |bench, plan| {
            bench.iter(|| keys(black_box(plan)))
        });
    }
    group.finish();
}

/// Every step's key, in the order of the file, as a build makes them.
fn keys(plan: &Plan) -> Vec<Digest> {
    let mut keys: Vec<Digest> = Vec::with_capacity(plan.graph.node_count());
    for step in plan.graph.node_weights() {
        let key_of = |id: StepId| keys[id.index()];
        let parent = (step.id.0 > 0).then(|| StepId(step.id.0 - 1));
        let key = definition_key(step, parent, &key_of, Some(Digest::of("content")));
        keys.push(key.digest);
    }
    keys
}

criterion_group!(name = groups; config = profiler::criterion(); targets = lowering);
criterion_main!(groups);
