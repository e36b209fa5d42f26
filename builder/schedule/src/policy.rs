//! The order edges that the policies `serial` and `stages` add to a graph. The policies differ in nothing else.

use super::dag::{Cycle, Dag};
use buildscope_record::Policy;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};

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
    let order = match policy {
        Policy::Instructions => return Ok(Vec::new()),
        Policy::Serial | Policy::Stages => Dag::new(graph)?.order().to_vec(),
    };
    let mut added = BTreeSet::new();
    match policy {
        Policy::Instructions => {}
        Policy::Serial => added.extend(order.windows(2).map(|pair| (pair[0], pair[1]))),
        Policy::Stages => {
            let mut members = BTreeMap::<_, Vec<_>>::new();
            for &node in &order {
                members.entry(group(node)).or_default().push(node);
            }
            for nodes in members.values() {
                added.extend(nodes.windows(2).map(|pair| (pair[0], pair[1])));
            }
            for edge in graph.edge_references() {
                let (from, to) = (group(edge.source()), group(edge.target()));
                if from != to
                    && let (Some(&last), Some(&first)) = (members[&from].last(), members[&to].first())
                {
                    added.insert((last, first));
                }
            }
        }
    }
    added.retain(|&(from, to)| !graph.contains_edge(from, to));
    Ok(added.into_iter().collect())
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
    fn serial_is_one_chain() {
        assert_eq!(added(Policy::Serial), [(1, 2)]);
    }

    #[test]
    fn a_stage_starts_after_the_stages_it_needs() {
        assert_eq!(added(Policy::Stages), [(1, 2)]);
    }

    #[test]
    fn instructions_add_no_edges() {
        assert_eq!(added(Policy::Instructions), []);
    }

    #[test]
    fn independent_nodes_of_a_stage_form_a_chain() {
        let graph = grouped(&[0, 0, 0], &[]);
        let edges = order_edges(Policy::Stages, &graph, |node| graph[node]).unwrap();
        assert_eq!(edges, [(0.into(), 1.into()), (1.into(), 2.into())]);
    }

    #[test]
    fn groups_that_need_each_other_form_a_cycle() {
        let graph = grouped(&[0, 1, 0, 1], &[(0, 3), (1, 2)]);
        let edges = order_edges(Policy::Stages, &graph, |node| graph[node]).unwrap();
        assert!(Dag::with_edges(&graph, edges).is_err());
    }
}
