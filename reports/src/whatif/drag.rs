//! Drag by replay: the time by which the build would have ended earlier without each step, with shared slots, locks and processors.

use super::baseline::{Baseline, MAX_DRIFT};
use super::model::WorkSegment;
use super::order::Order;
use super::replay::walls_without_each;
use super::scenario::{time_of, without};
use crate::index::Indexed;
use crate::steps::StepExplanation;
use buildscope_record::{Nanos, Phase, Record, StepId};

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

    /// Limits the drags of the commands in these steps to those of a replay, in which other steps get the processors that a command leaves. The
    /// commands of a large build, and those with little drag, keep theirs.
    pub(crate) fn limit_command_drags(&self, record: &Record, steps: &mut [StepExplanation]) {
        if self.drift > MAX_DRIFT {
            return;
        }
        let mut replays = BUDGET / self.model.segment_count().max(1);
        let least = Nanos(record.wall.0 / 100);
        for step in steps {
            let id = step.id;
            let Some(inside) = step.inside.as_mut() else { continue };
            let Some(process) = time_of(&self.model.tasks[id].segments, is_process) else { continue };
            inside.limit_drags(least, process, |cuts| {
                replays = replays.checked_sub(1)?;
                let mut model = self.model.clone();
                model.tasks[id].segments = without(&model.tasks[id].segments, is_process, cuts, model.cpus);
                Some(self.gain_of(record, &model))
            });
        }
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

fn is_process(segment: &WorkSegment) -> bool {
    segment.phase == Some(Phase::Process)
}
