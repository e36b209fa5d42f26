//! The steps of a record as a graph that is quick to walk: neighbours by index, and a topological order.

use crate::index::{Grouped, Index, Indexed};
use buildscope_record::{Edge, EdgeKind, Record, StepId};

/// A step that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The step that comes first.
    pub(crate) step: StepId,
    /// The reason of the wait.
    pub(crate) kind: EdgeKind,
}

/// Steps and the edges between them, without cycles.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    before: Grouped<StepId, Need>,
    order: Vec<StepId>,
}

impl Graph {
    /// The graph of a record. Edges to unknown steps and edges that close a cycle are left out. A valid record has none, but
    /// an explanation must not fail on an invalid one.
    pub(crate) fn new(record: &Record) -> Self {
        let steps = record.steps.len();
        let valid = |edge: &&Edge| edge.from != edge.to && edge.from.index() < steps && edge.to.index() < steps;
        let mut edges: Vec<Edge> = record.edges.iter().filter(valid).copied().collect();
        // `Data` sorts before `Order`: of two edges between the same steps, the stronger reason stays.
        edges.sort_unstable_by_key(|edge| (edge.to, edge.from, edge.kind));
        edges.dedup_by_key(|edge| (edge.to, edge.from));
        loop {
            let after = Grouped::new(steps, edges.iter().map(|edge| (edge.from, edge.to)));
            let order = topological(steps, &after);
            if order.len() == steps {
                let need = |edge: &Edge| (edge.to, Need { step: edge.from, kind: edge.kind });
                return Self { before: Grouped::new(steps, edges.iter().map(need)), order };
            }
            let mut sorted = Indexed::filled(false, steps);
            order.iter().for_each(|&step| sorted[step] = true);
            edges.retain(|edge| sorted[edge.from]);
        }
    }

    /// The needs of the step, by [`StepId`].
    pub(crate) fn before(&self, step: StepId) -> &[Need] {
        self.before.of(step)
    }

    /// All steps, each after its needs.
    pub(crate) fn order(&self) -> &[StepId] {
        &self.order
    }

    /// The kind of the edge between two steps; `None` if there is no edge.
    pub(crate) fn kind(&self, from: StepId, to: StepId) -> Option<EdgeKind> {
        let before = self.before(to);
        before.binary_search_by_key(&from, |need| need.step).ok().map(|index| before[index].kind)
    }

    /// Whether `to` needs the result of `from`, directly or through other steps.
    pub(crate) fn needs(&self, to: StepId, from: StepId) -> bool {
        let mut seen = Indexed::filled(false, self.order.len());
        let mut open = vec![to];
        while let Some(step) = open.pop() {
            if step == from {
                return true;
            }
            for need in self.before(step) {
                if need.kind == EdgeKind::Data && !std::mem::replace(&mut seen[need.step], true) {
                    open.push(need.step);
                }
            }
        }
        false
    }
}

/// The indices below `count` in topological order. Shorter than `count` if there is a cycle.
pub(crate) fn topological<I: Index>(count: usize, after: &Grouped<I, I>) -> Vec<I> {
    let following = |from: usize| after.of(I::from_index(from)).iter().map(|to| to.index());
    buildscope_record::topological(count, following).into_iter().map(I::from_index).collect()
}
