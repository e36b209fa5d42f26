//! Finds the running step on the critical path.
//!
//! The length of a running step is unknown, so the steps that must follow it decide: the step with the longest chain of dependents, and of
//! several such steps the one that started first.

use buildscope_builder::plan::Plan;
use buildscope_record::StepId;
use petgraph::Direction::Outgoing;

/// The steps that run, with the chains behind them.
#[derive(Debug, Default)]
pub(super) struct Critical {
    /// The number of steps on the longest chain from each step to the end, by [`StepId`].
    behind: Vec<usize>,
    /// The running steps in the order of their starts.
    running: Vec<StepId>,
}

impl Critical {
    pub(super) fn of(plan: &Plan) -> Self {
        let order = petgraph::algo::toposort(&plan.graph, None).unwrap_or_default();
        let mut behind = vec![0; plan.graph.node_count()];
        for node in order.into_iter().rev() {
            let next = plan.graph.neighbors_directed(node, Outgoing).filter(|next| plan.graph[*next].live);
            behind[node.index()] = next.map(|next| behind[next.index()] + 1).max().unwrap_or(0);
        }
        Self { behind, running: Vec::new() }
    }

    pub(super) fn start(&mut self, step: StepId) {
        self.running.push(step);
    }

    pub(super) fn end(&mut self, step: StepId) {
        self.running.retain(|running| *running != step);
    }

    /// The step that the end waits for; `None` if at most one step runs, because then nothing needs a mark.
    pub(super) fn step(&self) -> Option<StepId> {
        if self.running.len() < 2 {
            return None;
        }
        let behind = |step: &StepId| self.behind.get(step.index()).copied().unwrap_or(0);
        // The first of several with the same length.
        self.running.iter().rev().max_by_key(|step| behind(step)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_builder::plan::{AssumeImages, LowerRequest, lower};

    #[test]
    fn the_step_with_the_longest_chain_behind_it_is_marked() {
        let text = "FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nRUN 3\nRUN 4\nFROM two\nCOPY --from=one /x /x\n";
        let file = buildscope_dockerfile::parse(text).unwrap();
        let plan = lower(&file, &LowerRequest::default(), &AssumeImages).unwrap();
        let id = |text: &str| plan.steps().find(|step| step.text == text).unwrap().id;
        let mut critical = Critical::of(&plan);
        critical.start(id("RUN 1"));
        assert_eq!(critical.step(), None, "it runs alone");
        // After RUN 1 only the COPY follows; after RUN 2 two more, FROM two and the COPY.
        critical.start(id("RUN 2"));
        assert_eq!(critical.step(), Some(id("RUN 2")));
        critical.end(id("RUN 2"));
        assert_eq!(critical.step(), None);
    }
}
