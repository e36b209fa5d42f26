//! The scheduler with a simulated executor whose steps end at once: the scheduling cost of a step under each policy.
//! The graphs are those of the corpus; `buildscope bench` runs them with real steps.

mod contexts;
mod graph;
mod profiler;

use buildscope_schedule::{Dag, Limit, Policy, order_edges, run};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use petgraph::graph::DiGraph;

/// The steps of a workload, each with the number of its stage.
fn steps(workload: &str) -> DiGraph<u32, ()> {
    let context = contexts::context(workload);
    let text = std::fs::read_to_string(context.path().join("Dockerfile")).expect("its Dockerfile");
    let (_, plan) = graph::plan(&text);
    plan.graph.map(|_, step| step.stage.0, |_, _| ())
}

fn schedule(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("schedule");
    for workload in ["wide-then-narrow", "stages-1000", "stages-10000"] {
        let graph = steps(workload);
        group.throughput(Throughput::Elements(graph.node_count() as u64));
        if graph.node_count() > 100 {
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
        }
        for &policy in Policy::ALL {
            let id = BenchmarkId::new(policy.name(), workload);
            group.bench_with_input(id, &graph, |bench, graph| {
                bench.to_async(&runtime).iter(|| async {
                    let edges = order_edges(policy, graph, |node| graph[node]).expect("the graph has no cycle");
                    let dag = Dag::with_edges(graph, edges).expect("the policy's edges add no cycle");
                    // The simulated executor: a step ends when it starts.
                    run(&dag, Limit::of(8), &(), |turn| async move { Ok::<_, ()>(turn.node) })
                        .await
                        .expect("no step fails")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = schedule);
criterion_main!(groups);
