//! Drag by replay: how much sooner the build would have ended without each step, with shared slots, locks and processors.

use super::model::Model;
use super::prediction::{MAX_DRIFT, drift, nanos};
use super::replay::replay;
use super::scenario::Scenario;
use crate::index::Indexed;
use buildscope_record::{Nanos, Record, StepId};

/// How many work segments may be replayed for the drags of one build, over all replays.
const BUDGET: usize = 250_000;

/// The replay of a record as it was.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    pub(crate) model: Model,
    /// The wall time of the replay, in nanoseconds.
    pub(crate) wall: f64,
    /// How far that is from the measured wall time, relative to it.
    pub(crate) drift: f64,
}

impl Baseline {
    /// Replays a record.
    pub(crate) fn new(record: &Record, model: Model) -> Self {
        let wall = replay(&model).wall;
        Self { model, wall, drift: drift(record, wall) }
    }

    /// How much sooner the build ends under a scenario. It is the difference of two replays, so that the drift is not counted as a
    /// gain.
    pub(crate) fn gain(&self, record: &Record, scenario: &Scenario) -> Nanos {
        let wall = replay(&scenario.apply(record, &self.model)).wall;
        nanos((self.wall - wall).max(0.0)).min(record.wall)
    }

    /// The wall time that a replay of the changed model predicts: the measured one, and the difference of the two replays.
    pub(crate) fn predicted(&self, record: &Record, changed: f64) -> Nanos {
        nanos((record.wall.0 as f64 + changed - self.wall).max(0.0))
    }

    /// The drag of each step. `network` is the drag in the network of what happened, which shares nothing. It is kept if the replay is
    /// not credible, and, in a large build, for the steps that have the least of it.
    pub(crate) fn drags(&self, record: &Record, network: &Indexed<StepId, Nanos>) -> Indexed<StepId, Nanos> {
        let mut drags = network.clone();
        if self.drift > MAX_DRIFT {
            return drags;
        }
        let length = |step: StepId| self.model.tasks[step].segments.iter().map(|segment| segment.length).sum::<f64>();
        let mut steps: Vec<StepId> = drags.indices().filter(|&step| length(step) > 0.0).collect();
        steps.sort_by(|&one, &other| {
            network[other].cmp(&network[one]).then(length(other).total_cmp(&length(one))).then(one.cmp(&other))
        });
        for &step in steps.iter().take(BUDGET / self.model.segment_count().max(1)) {
            drags[step] = self.gain(record, &Scenario { cached: vec![step], ..Scenario::default() });
        }
        drags
    }
}
