//! The graph run with nodes that do nothing: what a node costs the scheduler, under each policy.

mod profiler;

use buildscope_builder::schedule::{Dag, Limit, Policy, run};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use petgraph::graph::DiGraph;

/// Groups of four nodes in a row; each group's last needs the last of two groups before it.
fn graph(groups: u32) -> DiGraph<u32, ()> {
    let mut graph = DiGraph::new();
    for group in 0..groups {
        for _ in 0..4 {
            graph.add_node(group);
        }
    }
    let last = |group: u32| group * 4 + 3;
    for group in 0..groups {
        graph.extend_with_edges((0..3).map(|n| (group * 4 + n, group * 4 + n + 1)));
        for needed in [group / 2, group / 3].into_iter().filter(|&needed| needed < group) {
            graph.update_edge(last(needed).into(), last(group).into(), ());
        }
    }
    graph
}

fn schedule(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("schedule");
    for groups in [10, 1000, 10_000] {
        let graph = graph(groups);
        group.throughput(Throughput::Elements(graph.node_count() as u64));
        if groups > 100 {
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
        }
        for policy in Policy::ALL {
            let id = BenchmarkId::new(policy.name(), groups);
            group.bench_with_input(id, &graph, |bench, graph| {
                bench.to_async(&runtime).iter(|| async {
                    let edges = policy.edges(graph, |node| graph[node]).expect("the graph has no cycle");
                    let dag = Dag::with_edges(graph, edges).expect("nor with the policy's edges");
                    run(&dag, Limit::of(8), &(), |turn| async move { Ok::<_, ()>(turn.node) })
                        .await
                        .expect("no node fails")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(name = groups; config = profiler::criterion(); targets = schedule);
criterion_main!(groups);
