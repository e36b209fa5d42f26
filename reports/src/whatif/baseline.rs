//! The replay of an unchanged record, with which the replay of a change is compared.

use super::model::Model;
use super::replay::replay;
use super::scenario::Scenario;
use buildscope_record::{Nanos, Record};

/// The largest drift of the unchanged replay at which a prediction is credible. A model that cannot reproduce the build
/// cannot predict another one.
pub const MAX_DRIFT: f64 = 0.05;

/// The replay of a record as it was.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    pub(crate) model: Model,
    /// The wall time of the replay, in nanoseconds.
    pub(crate) wall: f64,
    /// The difference to the measured wall time, as a share of the measured one.
    pub(crate) drift: f64,
}

impl Baseline {
    /// Replays a record.
    pub(crate) fn new(record: &Record, model: Model) -> Self {
        let wall = replay(&model).wall;
        Self { model, wall, drift: drift(record, wall) }
    }

    /// The time by which the build ends earlier under a scenario. It is the difference of two replays, so that the drift is not counted as
    /// a gain.
    pub(crate) fn gain(&self, record: &Record, scenario: &Scenario) -> Nanos {
        self.gain_of(record, &scenario.apply(record, &self.model))
    }

    /// The gain of a changed model; see [`Self::gain`].
    pub(super) fn gain_of(&self, record: &Record, changed: &Model) -> Nanos {
        self.gain_to(record, replay(changed).wall)
    }

    /// The gain of a change whose replay takes `changed` nanoseconds.
    pub(super) fn gain_to(&self, record: &Record, changed: f64) -> Nanos {
        nanos((self.wall - changed).max(0.0)).min(record.wall)
    }

    /// The wall time that a replay of the changed model predicts: the measured one, and the difference of the two replays.
    pub(crate) fn predicted(&self, record: &Record, changed: f64) -> Nanos {
        nanos((record.wall.0 as f64 + changed - self.wall).max(0.0))
    }
}

/// Converts nanoseconds; negative values become zero.
pub(super) fn nanos(value: f64) -> Nanos {
    // A float-to-integer `as` saturates.
    Nanos(value.round() as u64)
}

/// The relative error of a replayed wall time: `|replayed - measured| / measured`.
fn drift(record: &Record, replayed: f64) -> f64 {
    let measured = record.wall.0 as f64;
    if measured == 0.0 { 0.0 } else { (replayed - measured).abs() / measured }
}
