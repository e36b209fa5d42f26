//! The few changes that would save most over all builds.

use super::report::Saving;
use super::{Fleet, StepName, most};
use crate::advise::{Advice, advise};
use crate::analysis::Analysis;
use crate::whatif::rank;
use buildscope_commands::rules::Nothing;
use buildscope_record::{Nanos, Record};

/// The number of changes of one Dockerfile that are considered.
const CHANGES: usize = 3;

/// The advice for the last build of each Dockerfile, multiplied by the number of runs of its step. All processors compute it.
pub(super) fn savings(fleet: &Fleet, days: f64) -> Vec<Saving> {
    let builds: Vec<(&str, &Record)> =
        fleet.dockerfiles.iter().filter_map(|(name, of)| Some((name.as_str(), of.last.as_ref()?))).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = |builds: &[(&str, &Record)]| -> Vec<Saving> {
        builds.iter().flat_map(|(name, record)| of_build(fleet, name, record, days)).collect()
    };
    let found: Vec<Saving> = std::thread::scope(|scope| {
        let chunks = builds.chunks(builds.len().div_ceil(threads).max(1));
        let running: Vec<_> = chunks.map(|chunk| scope.spawn(move || part(chunk))).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    most(found.into_iter(), |saving| saving.total, |saving| (saving.dockerfile.clone(), saving.what.clone()))
}

fn of_build(fleet: &Fleet, name: &str, record: &Record, days: f64) -> Vec<Saving> {
    let analysis = Analysis::new(record);
    let advice = advise(&analysis, &rank(&analysis), &[], &Nothing);
    let gaining = advice.iter().filter(|advice| advice.gain > Nanos::ZERO).take(CHANGES);
    let saving = |advice: &Advice| {
        let step = advice.step.map(|id| &analysis.steps[id.index()]);
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
