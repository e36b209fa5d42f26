//! The policies, and the order edges that each adds to a graph of steps. They differ in nothing else: the scheduler and the
//! replay of a record both take the edges from here.

use crate::names::{UnknownName, closed_set};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::str::FromStr;

closed_set! {
    /// The granularity of a build's parallelism.
    #[derive(Default)]
    Policy, "policy":
    /// One step after the other, in the order of the file: the classic builder.
    Serial = "serial",
    /// Whole stages in parallel: a stage starts when every stage that it needs has ended, and runs its steps one after
    /// the other. The proposal of 2017.
    Stages = "stages",
    /// Each step starts when the results that it needs itself exist: the finer graph.
    #[default]
    Instructions = "instructions",
}

impl Policy {
    /// The edges that the policy adds to a graph.
    ///
    /// `order` has the nodes in topological order, `edges` the edges of the graph, and `stage` returns the stage of a node.
    /// If stages need each other's nodes, the added edges close a cycle together with the graph's own.
    pub fn order_edges<N: Copy + Ord, S: Ord>(
        self,
        order: &[N],
        edges: impl IntoIterator<Item = (N, N)>,
        stage: impl Fn(N) -> S,
    ) -> BTreeSet<(N, N)> {
        let mut added = BTreeSet::new();
        match self {
            Self::Instructions => {}
            Self::Serial => added.extend(order.windows(2).map(|pair| (pair[0], pair[1]))),
            Self::Stages => {
                let mut members = BTreeMap::<S, Vec<N>>::new();
                for &node in order {
                    members.entry(stage(node)).or_default().push(node);
                }
                for nodes in members.values() {
                    added.extend(nodes.windows(2).map(|pair| (pair[0], pair[1])));
                }
                let across =
                    edges.into_iter().map(|(from, to)| (stage(from), stage(to))).filter(|(from, to)| from != to);
                added.extend(
                    across.filter_map(|(from, to)| Some((*members.get(&from)?.last()?, *members.get(&to)?.first()?))),
                );
            }
        }
        added
    }
}

/// The indices below `count` in topological order: each after those that lead to it, and otherwise by size. Indices on a
/// cycle, and those that depend on one, are left out.
///
/// Kahn's algorithm (1962), with a heap of the indices that are ready.
pub fn topological<S: IntoIterator<Item = usize>>(count: usize, successors: impl Fn(usize) -> S) -> Vec<usize> {
    let mut waiting = vec![0_usize; count];
    for from in 0..count {
        successors(from).into_iter().for_each(|to| waiting[to] += 1);
    }
    let mut ready: BinaryHeap<_> = (0..count).filter(|&index| waiting[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for to in successors(index) {
            waiting[to] -= 1;
            if waiting[to] == 0 {
                ready.push(Reverse(to));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stage 0 has the nodes 0 and 1, stage 1 the nodes 2 and 3. Node 3 needs the first node of stage 0.
    fn added(policy: Policy) -> Vec<(usize, usize)> {
        policy.order_edges(&[0, 1, 2, 3], [(0, 1), (2, 3), (0, 3)], |node| node / 2).into_iter().collect()
    }

    #[test]
    fn serial_is_one_chain() {
        assert_eq!(added(Policy::Serial), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn a_stage_starts_after_the_stages_it_needs() {
        assert_eq!(added(Policy::Stages), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn independent_nodes_of_a_stage_form_a_chain() {
        let edges = Policy::Stages.order_edges(&[0, 1, 2], [], |_| 0);
        assert_eq!(Vec::from_iter(edges), [(0, 1), (1, 2)]);
    }

    #[test]
    fn instructions_add_no_edges() {
        assert_eq!(added(Policy::Instructions), []);
    }

    #[test]
    fn the_order_is_by_index_where_edges_allow_it() {
        let successors: [&[usize]; 4] = [&[], &[0], &[1], &[]];
        assert_eq!(topological(4, |index| successors[index].iter().copied()), [2, 1, 0, 3]);
    }

    #[test]
    fn a_cycle_and_what_depends_on_it_are_left_out() {
        let successors: [&[usize]; 4] = [&[1], &[0, 2], &[], &[2]];
        assert_eq!(topological(4, |index| successors[index].iter().copied()), [3]);
    }
}
