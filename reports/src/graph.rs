//! The record's steps as a graph, in a form that is quick to walk: neighbours by index, a topological order.

use buildscope_record::{Edge, EdgeKind, Record, StepId};

/// Lists by key, stored one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grouped<T> {
    offsets: Vec<usize>,
    items: Vec<T>,
}

impl<T: Copy> Grouped<T> {
    /// The items by their key; those of a key from `keys` on are left out. Keeps their order.
    pub(crate) fn new(keys: usize, items: impl Iterator<Item = (usize, T)> + Clone) -> Self {
        let mut offsets = vec![0; keys + 1];
        let known = items.filter(|&(key, _)| key < keys);
        for (key, _) in known.clone() {
            offsets[key + 1] += 1;
        }
        for key in 0..keys {
            offsets[key + 1] += offsets[key];
        }
        let mut next = offsets.clone();
        let mut order = vec![None; offsets[keys]];
        for (key, item) in known {
            order[next[key]] = Some(item);
            next[key] += 1;
        }
        Self { offsets, items: order.into_iter().flatten().collect() }
    }

    /// The items of a key.
    pub(crate) fn of(&self, key: usize) -> &[T] {
        match (self.offsets.get(key), self.offsets.get(key + 1)) {
            (Some(&from), Some(&to)) => &self.items[from..to],
            _ => &[],
        }
    }
}

/// Steps and the edges between them, without cycles.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    before: Grouped<(StepId, EdgeKind)>,
    order: Vec<StepId>,
}

impl Graph {
    /// The graph of a record. Edges that lead nowhere or close a cycle, which a valid record has not, are left out:
    /// an explanation never fails on a bad record.
    pub(crate) fn new(record: &Record) -> Self {
        let steps = record.steps.len();
        let sound = |edge: &&Edge| edge.from != edge.to && edge.from.index() < steps && edge.to.index() < steps;
        let mut edges: Vec<Edge> = record.edges.iter().filter(sound).copied().collect();
        // Data sorts before order: of two edges between the same steps, the stronger reason stays.
        edges.sort_unstable_by_key(|edge| (edge.to, edge.from, edge.kind));
        edges.dedup_by_key(|edge| (edge.to, edge.from));
        loop {
            let after = Grouped::new(steps, edges.iter().map(|edge| (edge.from.index(), (edge.to, edge.kind))));
            let order = topological(steps, |step| after.of(step).iter().map(|&(to, _)| to));
            if order.len() == steps {
                let before = Grouped::new(steps, edges.iter().map(|edge| (edge.to.index(), (edge.from, edge.kind))));
                return Self { before, order };
            }
            let mut done = vec![false; steps];
            order.iter().for_each(|step| done[step.index()] = true);
            edges.retain(|edge| done[edge.from.index()]);
        }
    }

    /// What the step needs, and why.
    pub(crate) fn before(&self, step: StepId) -> &[(StepId, EdgeKind)] {
        self.before.of(step.index())
    }

    /// All steps, each after what it needs.
    pub(crate) fn order(&self) -> &[StepId] {
        &self.order
    }

    /// The edge between two steps, if there is one.
    pub(crate) fn kind(&self, from: StepId, to: StepId) -> Option<EdgeKind> {
        let before = self.before(to);
        before.binary_search_by_key(&from, |&(step, _)| step).ok().map(|place| before[place].1)
    }

    /// Whether `to` needs `from`'s result, directly or through others.
    pub(crate) fn needs(&self, to: StepId, from: StepId) -> bool {
        let mut seen = vec![false; self.order.len()];
        let mut open = vec![to];
        while let Some(step) = open.pop() {
            if step == from {
                return true;
            }
            for &(before, kind) in self.before(step) {
                if kind == EdgeKind::Data && !std::mem::replace(&mut seen[before.index()], true) {
                    open.push(before);
                }
            }
        }
        false
    }
}

/// Kahn's algorithm (1962). Shorter than `steps` where there is a cycle.
pub(crate) fn topological<I: Iterator<Item = StepId>>(steps: usize, after: impl Fn(usize) -> I) -> Vec<StepId> {
    let mut needs = vec![0u32; steps];
    (0..steps).for_each(|step| after(step).for_each(|to| needs[to.index()] += 1));
    let id = |index: usize| StepId(u32::try_from(index).unwrap_or(u32::MAX));
    let mut order: Vec<StepId> = (0..steps).filter(|&step| needs[step] == 0).map(id).collect();
    let mut next = 0;
    while let Some(&step) = order.get(next) {
        next += 1;
        for to in after(step.index()) {
            needs[to.index()] -= 1;
            if needs[to.index()] == 0 {
                order.push(to);
            }
        }
    }
    order
}
