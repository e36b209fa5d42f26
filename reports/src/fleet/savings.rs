//! The few changes that would save most over all builds.

use super::report::Saving;
use super::{Fleet, StepName, most};
use crate::explain;
use buildscope_record::{Nanos, Record};

/// The number of changes of one Dockerfile that are considered.
const CHANGES: usize = 3;

/// The advice for the last build of each Dockerfile, multiplied by the number of runs of its step.
pub(super) fn savings(fleet: &Fleet, days: f64) -> Vec<Saving> {
    let of = |(name, dockerfile): (&String, &super::Dockerfile)| {
        dockerfile.last.as_ref().map(|record| of_build(fleet, name, record, days)).unwrap_or_default()
    };
    most(
        fleet.dockerfiles.iter().flat_map(of),
        |saving| saving.total,
        |saving| (saving.dockerfile.clone(), saving.what.clone()),
    )
}

fn of_build(fleet: &Fleet, name: &str, record: &Record, days: f64) -> Vec<Saving> {
    let explanation = explain(record);
    let gaining = explanation.advice.iter().filter(|advice| advice.gain > Nanos::ZERO).take(CHANGES);
    let saving = |advice: &crate::advise::Advice| {
        let step = advice.step.map(|id| &explanation.steps[id.index()]);
        let key = step.map(|step| StepName {
            dockerfile: name.to_owned(),
            stage: step.stage.clone().unwrap_or_default(),
            text: step.text.clone(),
        });
        let builds = fleet.dockerfiles.get(name).map_or(0, |dockerfile| dockerfile.walls.len() as u64);
        let builds = key.and_then(|key| fleet.steps.get(&key)).map_or(builds, |totals| totals.runs);
        let total = Nanos(advice.gain.0.saturating_mul(builds));
        let hours_per_week = (days >= 1.0).then(|| total.as_secs_f64() / 3_600.0 / days * 7.0);
        Saving {
            dockerfile: name.to_owned(),
            what: advice.text.clone(),
            gain: advice.gain,
            builds,
            total,
            hours_per_week,
        }
    };
    gaining.map(saving).collect()
}
