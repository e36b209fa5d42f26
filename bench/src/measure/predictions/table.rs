//! The results of predictions, as a table and as JSON.

use crate::run::RunError;
use crate::stats::quantile;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A prediction is meaningful for the model only if builds of one setting vary less than this.
const STEADY: f64 = 0.1;

/// One prediction and its result. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckedPrediction {
    /// The workload.
    pub workload: String,
    /// The change, for readers.
    pub change: String,
    /// The kind of change: `delay`, `stub`, `policy`, `slots` or `processors`.
    pub kind: String,
    /// The median of the builds that were replayed.
    pub from: f64,
    /// The median of the predictions.
    pub predicted: f64,
    /// The median of the builds with the change.
    pub measured: f64,
    /// The largest interquartile range, relative to the median, of the replayed builds, the builds with the change,
    /// and the predictions. A prediction cannot be more precise than this.
    #[serde(default)]
    pub spread: f64,
    /// The 95 % confidence interval of the ratio of predicted to measured, from pairs of one round.
    #[serde(default)]
    pub ratio: [f64; 2],
}

impl CheckedPrediction {
    /// The error of the prediction, relative to the measured time.
    pub fn error(&self) -> f64 {
        (self.predicted - self.measured).abs() / self.measured
    }

    /// The smallest error that is compatible with the noise of the builds. The model is responsible for at least this
    /// much.
    pub fn sure(&self) -> f64 {
        let [low, high] = self.ratio;
        (low - 1.0).max(1.0 - high).max(0.0)
    }

    /// Whether the builds vary so little that they can check a prediction.
    pub(crate) fn steady(&self) -> bool {
        self.spread <= STEADY
    }
}

/// Formats the results as a table, followed by the median and 95th percentile of the errors, by kind and in total.
pub fn prediction_table(predictions: &[CheckedPrediction]) -> String {
    let mut text = format!(
        "{:<20} {:<24} {:>9} {:>10} {:>9} {:>7} {:>8} {:>8}\n",
        "workload", "change", "from", "predicted", "measured", "error", "surely", "spread"
    );
    for prediction in predictions {
        let CheckedPrediction { workload, change, from, predicted, measured, .. } = prediction;
        let [error, sure, spread] = [prediction.error(), prediction.sure(), prediction.spread].map(|part| part * 100.0);
        text += &format!(
            "{workload:<20} {change:<24} {from:>7.3} s {predicted:>8.3} s {measured:>7.3} s {error:>5.1} % {sure:>6.1} % {spread:>6.1} %\n"
        );
    }
    text.push('\n');
    let mut row =
        |name: &str, error: fn(&CheckedPrediction) -> f64, of: &mut dyn Iterator<Item = &CheckedPrediction>| {
            let mut errors: Vec<f64> = of.map(error).collect();
            errors.sort_by(f64::total_cmp);
            if !errors.is_empty() {
                let [median, high] = [0.5, 0.95].map(|q| quantile(&errors, q) * 100.0);
                text += &format!(
                    "{name:<12} {:>4} predictions: median error {median:.1} %, 95th percentile {high:.1} %\n",
                    errors.len()
                );
            }
        };
    for kind in ["policy", "slots", "delay", "stub", "processors"] {
        row(kind, CheckedPrediction::error, &mut predictions.iter().filter(|prediction| prediction.kind == kind));
    }
    row("all", CheckedPrediction::error, &mut predictions.iter());
    row("surely", CheckedPrediction::sure, &mut predictions.iter());
    row("steady", CheckedPrediction::error, &mut predictions.iter().filter(|prediction| prediction.steady()));
    text += "surely: the least error that the builds allow (95 % interval of predicted to measured, by pairs of one round)\n";
    text += &format!("steady: builds of one setting lay within {:.0} % of each other (spread)\n", STEADY * 100.0);
    text
}

/// Writes the results as JSON.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_predictions(predictions: &[CheckedPrediction], path: &Path) -> Result<(), RunError> {
    let text = serde_json::to_vec_pretty(predictions).expect("numbers and strings");
    fs::write(path, text).map_err(RunError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_measured_times() {
        let prediction = |kind: &str, predicted| CheckedPrediction {
            workload: "w".into(),
            change: "c".into(),
            kind: kind.into(),
            from: 1.0,
            predicted,
            measured: 2.0,
            spread: if kind == "delay" { 0.125 } else { 0.05 },
            ratio: [predicted / 2.0 - 0.02, predicted / 2.0 + 0.02],
        };
        let table = prediction_table(&[prediction("delay", 2.1), prediction("delay", 1.8), prediction("policy", 2.0)]);
        assert!(table.contains("5.0 %    3.0 %   12.5 %"), "{table}");
        assert!(table.contains("policy          1 predictions: median error 0.0 %, 95th percentile 0.0 %"), "{table}");
        assert!(table.contains("delay           2 predictions: median error 7.5 %"), "{table}");
        assert!(table.contains("all             3 predictions: median error 5.0 %"), "{table}");
        // The ratio of the first is at least 1.03, of the second at most 0.92; the last may be exact.
        assert!(table.contains("surely          3 predictions: median error 3.0 %"), "{table}");
        assert!(table.contains("steady          1 predictions: median error 0.0 %"), "{table}");
    }
}
