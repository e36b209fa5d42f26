//! A directed graph without cycles, in the form in which it is run.

use buildscope_record::topological;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::fmt;

/// A directed acyclic graph: for each node its successors, the number of its predecessors, and the
/// length of the longest chain that starts at it.
#[derive(Clone, Debug)]
pub struct Dag {
    pub(super) successors: Vec<Vec<NodeIndex>>,
    pub(super) predecessors: Vec<usize>,
    /// The number of nodes on the longest path from each node to a sink, the node itself included.
    pub(super) height: Vec<u32>,
    order: Vec<NodeIndex>,
}

/// The error of a graph that cannot be run because it has a cycle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the graph has a cycle: {}", Path(.path))]
pub struct Cycle {
    /// The nodes along the cycle. The first node is repeated at the end.
    pub path: Vec<NodeIndex>,
}

struct Path<'a>(&'a [NodeIndex]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { " -> " }, node.index())?;
        }
        Ok(())
    }
}

impl Dag {
    /// Makes the graph runnable. Parallel edges count once.
    ///
    /// # Errors
    /// [`Cycle`], with the nodes of one cycle in the order of its edges.
    pub fn new<N, E>(graph: &DiGraph<N, E>) -> Result<Self, Cycle> {
        Self::with_edges(graph, [])
    }

    /// Makes the graph runnable with further edges, such as the [`order_edges`](super::order_edges) of a policy.
    ///
    /// # Errors
    /// Returns the same errors as [`new`](Self::new).
    pub fn with_edges<N, E>(
        graph: &DiGraph<N, E>,
        further: impl IntoIterator<Item = (NodeIndex, NodeIndex)>,
    ) -> Result<Self, Cycle> {
        let mut successors = vec![Vec::new(); graph.node_count()];
        let edges = graph.edge_references().map(|edge| (edge.source(), edge.target()));
        for (from, to) in edges.chain(further) {
            successors[from.index()].push(to);
        }
        let mut predecessors = vec![0; successors.len()];
        for targets in &mut successors {
            targets.sort_unstable();
            targets.dedup();
            for to in targets {
                predecessors[to.index()] += 1;
            }
        }
        let following = |node: usize| successors[node].iter().map(|to| to.index());
        let order: Vec<_> = topological(successors.len(), following).into_iter().map(NodeIndex::new).collect();
        if order.len() < successors.len() {
            return Err(Cycle { path: find_cycle(&successors, &order) });
        }
        let mut height = vec![1; successors.len()];
        for &node in order.iter().rev() {
            let tallest = successors[node.index()].iter().map(|to| height[to.index()]).max();
            height[node.index()] = 1 + tallest.unwrap_or(0);
        }
        Ok(Self { successors, predecessors, height, order })
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.successors.len()
    }

    /// Returns whether the graph has no nodes.
    pub fn is_empty(&self) -> bool {
        self.successors.is_empty()
    }

    /// All nodes in topological order: each after its predecessors. Of two ready nodes, the smaller index comes first.
    pub fn order(&self) -> &[NodeIndex] {
        &self.order
    }
}

/// Finds a cycle among the nodes that are missing from the order.
///
/// Every missing node has a missing predecessor, but not always a missing successor. So the search walks backward
/// until a node repeats, and then reverses the path.
fn find_cycle(successors: &[Vec<NodeIndex>], order: &[NodeIndex]) -> Vec<NodeIndex> {
    let mut placed = vec![false; successors.len()];
    for node in order {
        placed[node.index()] = true;
    }
    let mut predecessor = vec![None; successors.len()];
    for (from, targets) in successors.iter().enumerate().rev() {
        for to in targets {
            if !placed[from] && !placed[to.index()] {
                predecessor[to.index()] = Some(NodeIndex::new(from));
            }
        }
    }
    let mut seen_at = vec![None; successors.len()];
    let mut walk = Vec::new();
    let mut at = (0..successors.len()).find(|&node| !placed[node]).map(NodeIndex::new);
    while let Some(node) = at {
        if let Some(first) = seen_at[node.index()] {
            let mut path = walk.split_off(first);
            path.push(node);
            path.reverse();
            return path;
        }
        seen_at[node.index()] = Some(walk.len());
        walk.push(node);
        at = predecessor[node.index()];
    }
    walk
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(nodes: usize, edges: &[(u32, u32)]) -> DiGraph<(), ()> {
        let mut graph = DiGraph::new();
        (0..nodes).for_each(|_| {
            graph.add_node(());
        });
        graph.extend_with_edges(edges);
        graph
    }

    fn indices(path: &[NodeIndex]) -> Vec<usize> {
        path.iter().map(|node| node.index()).collect()
    }

    #[test]
    fn unrelated_nodes_keep_index_order() {
        let dag = Dag::new(&graph(5, &[(3, 1), (0, 4)])).unwrap();
        assert_eq!(indices(dag.order()), [0, 2, 3, 1, 4]);
        assert_eq!(dag.height, [2, 1, 1, 2, 1]);
    }

    #[test]
    fn a_cycle_is_reported_with_its_path() {
        // The cycle is 1 -> 2 -> 3 -> 1. Node 0 leads to it, and node 4 depends on it.
        let cycle = Dag::new(&graph(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)])).unwrap_err();
        let path = indices(&cycle.path);
        assert_eq!((path.len(), path.first()), (4, path.last()));
        for pair in path.windows(2) {
            assert!([(1, 2), (2, 3), (3, 1)].contains(&(pair[0], pair[1])), "{path:?}");
        }
        assert_eq!(Dag::new(&graph(1, &[(0, 0)])).unwrap_err().to_string(), "the graph has a cycle: 0 -> 0");
    }

    proptest! {
        #[test]
        fn every_graph_has_an_order_or_a_cycle(edges in prop::collection::vec((0u32..12, 0u32..12), 0..30)) {
            let graph = graph(12, &edges);
            match Dag::new(&graph) {
                Ok(dag) => {
                    let mut position = [0; 12];
                    dag.order().iter().enumerate().for_each(|(i, node)| position[node.index()] = i);
                    prop_assert!(edges.iter().all(|&(from, to)| position[from as usize] < position[to as usize]));
                }
                Err(Cycle { path }) => {
                    prop_assert!(path.len() >= 2 && path.first() == path.last());
                    prop_assert!(path.windows(2).all(|pair| graph.contains_edge(pair[0], pair[1])));
                    prop_assert!(petgraph::algo::is_cyclic_directed(&graph));
                }
            }
        }
    }
}
