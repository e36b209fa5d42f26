//! Drag by replay: the time by which the build would have ended earlier without each step, with shared slots, locks and processors.

use super::baseline::{Baseline, MAX_DRIFT};
use super::order::Order;
use super::replay::walls_without_each;
use crate::index::Indexed;
use buildscope_record::{Nanos, Record, StepId};

/// The most work segments that may be replayed for the drags of one build, over all replays.
const BUDGET: usize = 250_000;

impl Baseline {
    /// The time by which the build would have ended earlier if all of these steps were cached, by replay; zero if the replay is not
    /// credible.
    pub(crate) fn drag_together(&self, record: &Record, steps: &[StepId]) -> Nanos {
        let idle = |step: &StepId| self.model.tasks[*step].segments.is_empty();
        if self.drift > MAX_DRIFT || steps.iter().all(idle) {
            return Nanos::ZERO;
        }
        let mut model = self.model.clone();
        for &step in steps {
            model.tasks[step] = model.tasks[step].cached();
        }
        self.gain_of(record, &model)
    }

    /// The drag of each step. `network` is the drag in the observed network, which does not share processors. It is kept if the replay is
    /// not credible, and, in a large build, for the steps that have the least of it.
    pub(crate) fn drags(&self, record: &Record, network: &Indexed<StepId, Nanos>) -> Indexed<StepId, Nanos> {
        let mut drags = network.clone();
        if self.drift > MAX_DRIFT {
            return drags;
        }
        let model = self.model.merged();
        let length = |step: StepId| model.tasks[step].segments.iter().map(|segment| segment.length).sum::<f64>();
        let mut steps: Vec<StepId> = drags.indices().filter(|&step| length(step) > 0.0).collect();
        steps.sort_by(|&one, &other| {
            network[other].cmp(&network[one]).then(length(other).total_cmp(&length(one))).then(one.cmp(&other))
        });
        steps.truncate(BUDGET / model.segment_count().max(1));
        let walls = walls_without_each(&model, &Order::new(&model), &steps);
        steps.iter().zip(walls).for_each(|(&step, wall)| drags[step] = self.gain_to(record, wall));
        drags
    }
}
