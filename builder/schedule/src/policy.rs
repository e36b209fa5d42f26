//! The one point at which serial, stages and instructions differ: the edges that they add.

use super::dag::{Cycle, Dag};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, str::FromStr};

/// How fine the parallelism is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Policy {
    /// One node after the other, in the order of the file: the classic builder.
    Serial,
    /// Whole groups (stages) in parallel: a group begins when all it needs have ended, and runs its
    /// nodes one after the other. The proposal of 2017.
    Stages,
    /// Every node as soon as what it needs itself is there: the finer graph.
    #[default]
    Instructions,
}

/// A name that is no policy's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy: it takes serial, stages or instructions")]
pub struct UnknownPolicy(pub String);

impl Policy {
    /// All three, coarse to fine.
    pub const ALL: [Self; 3] = [Self::Serial, Self::Stages, Self::Instructions];

    /// The name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Stages => "stages",
            Self::Instructions => "instructions",
        }
    }

    /// The edges that this policy adds to the graph's own. `group` tells a node's group.
    ///
    /// # Errors
    /// [`Cycle`] where the graph itself has one. (Under [`Stages`](Self::Stages), groups that need
    /// each other's parts make a cycle only with these edges: [`Dag::with_edges`] finds it.)
    pub fn edges<N, E>(
        self,
        graph: &DiGraph<N, E>,
        group: impl Fn(NodeIndex) -> u32,
    ) -> Result<Vec<(NodeIndex, NodeIndex)>, Cycle> {
        let order = match self {
            Self::Instructions => return Ok(Vec::new()),
            Self::Serial | Self::Stages => Dag::new(graph)?.order().to_vec(),
        };
        let mut added = BTreeSet::new();
        match self {
            Self::Instructions => {}
            Self::Serial => added.extend(order.windows(2).map(|pair| (pair[0], pair[1]))),
            Self::Stages => {
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
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;
    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.name() == name).ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups, 0 (nodes 0, 1) and 1 (nodes 2, 3); 3 copies from 0's first node.
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
        let edges = policy.edges(&graph, |node| graph[node]).unwrap();
        edges.into_iter().map(|(from, to)| (from.index(), to.index())).collect()
    }

    #[test]
    fn serial_is_one_chain() {
        assert_eq!(added(Policy::Serial), [(1, 2)]);
    }

    #[test]
    fn stages_wait_for_the_end_of_what_they_need() {
        assert_eq!(added(Policy::Stages), [(1, 2)]);
    }

    #[test]
    fn instructions_add_nothing() {
        assert_eq!(added(Policy::Instructions), []);
    }

    #[test]
    fn stages_chain_what_is_independent_inside() {
        let graph = grouped(&[0, 0, 0], &[]);
        let edges = Policy::Stages.edges(&graph, |node| graph[node]).unwrap();
        assert_eq!(edges, [(0.into(), 1.into()), (1.into(), 2.into())]);
    }

    #[test]
    fn groups_that_need_each_other_are_a_cycle() {
        let graph = grouped(&[0, 1, 0, 1], &[(0, 3), (1, 2)]);
        let edges = Policy::Stages.edges(&graph, |node| graph[node]).unwrap();
        assert!(Dag::with_edges(&graph, edges).is_err());
    }
}
