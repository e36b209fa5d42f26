//! The steps of a plan that run.

use crate::plan::Plan;
use buildscope_record::StepId;
use buildscope_schedule::{self as schedule, Dag};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;

/// The live part of the plan, as the scheduler sees it.
pub(super) struct Live {
    pub(super) ids: Vec<StepId>,
    pub(super) dag: Dag,
}

impl Live {
    /// The live steps under a policy, and the order edges that the policy adds, as nodes of the plan.
    pub(super) fn new(
        plan: &Plan,
        policy: schedule::Policy,
    ) -> Result<(Self, Vec<(NodeIndex, NodeIndex)>), schedule::Cycle> {
        let nodes: Vec<_> = plan.graph.node_indices().filter(|&node| plan.graph[node].live).collect();
        let live: BTreeMap<_, _> = nodes.iter().enumerate().map(|(i, &node)| (node, NodeIndex::new(i))).collect();
        let mut graph = DiGraph::<StepId, ()>::new();
        for &node in &nodes {
            graph.add_node(plan.graph[node].id);
        }
        for edge in plan.graph.edge_references() {
            if let (Some(&from), Some(&to)) = (live.get(&edge.source()), live.get(&edge.target())) {
                graph.add_edge(from, to, ());
            }
        }
        let order = schedule::order_edges(policy, &graph, |node| plan.graph[nodes[node.index()]].stage.0)?;
        let dag = Dag::with_edges(&graph, order.iter().copied())?;
        let order = order.into_iter().map(|(from, to)| (nodes[from.index()], nodes[to.index()])).collect();
        Ok((Self { ids: graph.node_weights().copied().collect(), dag }, order))
    }
}
