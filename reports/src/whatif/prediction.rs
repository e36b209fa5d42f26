//! Predictions: the wall time of a build under a scenario.

use super::baseline::{Baseline, MAX_DRIFT, nanos};
use super::machines::{OnMachines, on_machines};
use super::model::Model;
use super::replay::replay;
use super::scenario::{Scenario, ScenarioError};
use crate::attribute::Activities;
use buildscope_record::{Nanos, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The prediction of a replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// The wall time under the scenario.
    pub wall: Nanos,
    /// The wall time that was measured.
    pub measured: Nanos,
    /// The wall time of the replay without any change.
    pub replayed: Nanos,
    /// The relative error of the unchanged replay: `|replayed - measured| / measured`.
    pub drift: f64,
    /// The start and end of each step in the replay; `None` for a step that does not run.
    pub steps: Vec<Option<(Nanos, Nanos)>>,
    /// The assumptions of the prediction.
    pub caveats: Vec<String>,
    /// The use of each machine; `None` if the scenario has no machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<OnMachines>,
}

impl Prediction {
    /// Whether the drift is small enough for the prediction to be credible: at most [`MAX_DRIFT`].
    pub fn credible(&self) -> bool {
        self.drift <= MAX_DRIFT
    }

    /// The measured wall time divided by the predicted one.
    pub fn speedup(&self) -> f64 {
        self.measured.0 as f64 / self.wall.0.max(1) as f64
    }
}

/// Replays a record under a scenario.
///
/// # Errors
/// [`ScenarioError`] if the scenario names something that is not in the record.
pub fn whatif(record: &Record, scenario: &Scenario) -> Result<Prediction, ScenarioError> {
    scenario.check(record)?;
    let activities = Activities::new(record);
    let base = Baseline::new(record, Model::new(&activities));
    let model = scenario.apply(record, &base.model);
    let changed = replay(&model);
    let machines = on_machines(record, &base, scenario, (&model, &changed));
    let mut caveats = scenario.caveats(record);
    caveats.extend(model.cluster.iter().flat_map(|cluster| cluster.caveats(&model)));
    // Moved commands come after the steps of the record.
    let steps = changed.steps.iter().take(record.steps.len());
    let steps = steps.map(|times| times.map(|times| (nanos(times.start), nanos(times.end)))).collect();
    Ok(Prediction {
        wall: base.predicted(record, changed.wall),
        measured: record.wall,
        replayed: nanos(base.wall),
        drift: base.drift,
        steps,
        caveats,
        machines,
    })
}
