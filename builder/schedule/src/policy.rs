//! The order edges that a policy adds to a graph. The rule itself is [`Policy::order_edges`].

use super::dag::{Cycle, Dag};
use buildscope_record::Policy;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// Returns the edges that a policy adds to those of the graph. `group` returns the group (the stage) of a node.
///
/// # Errors
/// [`Cycle`] if the graph itself has a cycle. Under [`Policy::Stages`], groups that need each other's nodes form a
/// cycle only together with the added edges; [`Dag::with_edges`] reports that one.
pub fn order_edges<N, E>(
    policy: Policy,
    graph: &DiGraph<N, E>,
    group: impl Fn(NodeIndex) -> u32,
) -> Result<Vec<(NodeIndex, NodeIndex)>, Cycle> {
    let dag = Dag::new(graph)?;
    let edges = graph.edge_references().map(|edge| (edge.source(), edge.target()));
    let added = policy.order_edges(dag.order(), edges, group);
    Ok(added.into_iter().filter(|&(from, to)| !graph.contains_edge(from, to)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Group 0 has the nodes 0 and 1, group 1 the nodes 2 and 3. Node 3 needs the first node of group 0.
    fn late_copy() -> DiGraph<u32, ()> {
        grouped(&[0, 0, 1, 1], &[(0, 1), (2, 3), (0, 3)])
    }

    fn grouped(groups: &[u32], edges: &[(u32, u32)]) -> DiGraph<u32, ()> {
        let mut graph = DiGraph::new();
        for &group in groups {
            graph.add_node(group);
        }
        graph.extend_with_edges(edges);
        graph
    }

    fn added(policy: Policy) -> Vec<(usize, usize)> {
        let graph = late_copy();
        let edges = order_edges(policy, &graph, |node| graph[node]).unwrap();
        edges.into_iter().map(|(from, to)| (from.index(), to.index())).collect()
    }

    #[test]
    fn edges_of_the_graph_are_not_added_again() {
        assert_eq!(added(Policy::Serial), [(1, 2)]);
        assert_eq!(added(Policy::Stages), [(1, 2)]);
        assert_eq!(added(Policy::Instructions), []);
    }

    #[test]
    fn groups_that_need_each_other_form_a_cycle() {
        let graph = grouped(&[0, 1, 0, 1], &[(0, 3), (1, 2)]);
        let edges = order_edges(Policy::Stages, &graph, |node| graph[node]).unwrap();
        assert!(Dag::with_edges(&graph, edges).is_err());
    }
}
