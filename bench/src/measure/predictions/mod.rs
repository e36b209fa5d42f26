//! Checks predictions against builds: a phase or a class of steps takes longer, the export is omitted, the policy
//! changes, the number of slots or processors changes.
//!
//! The builds of one setting are replayed as if they were of another. Interleaved builds of that other setting show
//! how long it really takes. The medians are compared.

mod builds;
mod table;
mod trial;

pub use table::{CheckedPrediction, prediction_table, write_predictions};

use crate::run::RunError;
use crate::stats::{paired_ratio, quantile};
use builds::Builds;
use buildscope_record::Nanos;
use buildscope_reports::whatif::whatif;
use buildscope_workloads::Workload;
use std::fs;
use std::path::PathBuf;
use trial::{Trial, trials};

/// Describes the predictions to check.
#[derive(Debug)]
pub struct PredictionPlan {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The number of builds per setting.
    pub runs: u32,
    /// The buildscope binary.
    pub binary: PathBuf,
    /// A folder for contexts and stores, removed at the end.
    pub scratch: PathBuf,
    /// A folder of OCI layouts by name.
    pub bases: Option<PathBuf>,
    /// A folder in which the records of the builds are saved, one subfolder per workload.
    pub keep: Option<PathBuf>,
    /// A folder of saved records. If present, nothing is built.
    pub kept: Option<PathBuf>,
}

/// Builds and predicts. Progress is reported per workload. A workload is skipped if it cannot be built on this
/// machine or was not saved.
///
/// # Errors
/// Fails if nothing can be built, or if records cannot be written or read.
pub fn check_predictions(
    plan: &PredictionPlan,
    mut on_progress: impl FnMut(String),
) -> Result<Vec<CheckedPrediction>, RunError> {
    let mut predictions = Vec::new();
    for workload in &plan.workloads {
        let name = &workload.name;
        let builds = match &plan.kept {
            Some(kept) if kept.join(name).is_dir() => Builds::read(&kept.join(name)),
            Some(_) => continue,
            None => {
                on_progress(format!("checking predictions for {name}"));
                let builds = Builds::make(plan, workload);
                // The records are already read. Failing to remove a folder that the user chose is harmless.
                let _ = fs::remove_dir_all(&plan.scratch);
                builds
            }
        };
        let builds = match builds {
            Ok(builds) => builds,
            Err(RunError::Prepare { .. }) => {
                on_progress(format!("{name} is skipped: it cannot be built on this machine"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(keep) = &plan.keep {
            builds.keep(&keep.join(name))?;
        }
        let (_, trials) = trials(&builds.first);
        predictions.extend(trials.into_iter().filter_map(|trial| check(name, &builds, trial)));
    }
    Ok(predictions)
}

/// The result of a prediction; `None` if the records do not support it, or if there are none.
fn check(workload: &str, builds: &Builds, trial: Trial) -> Option<CheckedPrediction> {
    let walls = |setting: usize| builds.of[setting].iter().map(|record| seconds(record.wall)).collect::<Vec<_>>();
    let (from, to) = (walls(trial.from), walls(trial.to));
    let predicted = builds.of[trial.from].iter().map(|record| whatif(record, &trial.scenario).ok());
    let predicted: Vec<f64> = predicted.map(|on_progress| Some(seconds(on_progress?.wall))).collect::<Option<_>>()?;
    // Each prediction from a round is paired with the build of the same round.
    let ratio = paired_ratio(&to, &predicted)?;
    let [from, to, predicted] = [from, to, predicted].map(sorted);
    Some(CheckedPrediction {
        workload: workload.to_owned(),
        change: trial.change,
        kind: trial.kind.into(),
        from: quantile(&from, 0.5),
        predicted: quantile(&predicted, 0.5),
        measured: quantile(&to, 0.5),
        spread: [&from, &to, &predicted].into_iter().map(|walls| spread(walls)).fold(0.0, f64::max),
        ratio: [ratio.low, ratio.high],
    })
}

fn sorted(mut walls: Vec<f64>) -> Vec<f64> {
    walls.sort_by(f64::total_cmp);
    walls
}

/// The interquartile range, relative to the median.
fn spread(sorted: &[f64]) -> f64 {
    (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / quantile(sorted, 0.5)
}

fn seconds(wall: Nanos) -> f64 {
    wall.0 as f64 / 1e9
}
