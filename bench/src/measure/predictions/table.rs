//! What came of predictions, as a table and as JSON.

use crate::run::RunError;
use crate::stats::quantile;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A prediction says something of the model where builds of one setting lie nearer together than that.
const STEADY: f64 = 0.1;

/// One prediction and what came of it. Seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The workload.
    pub workload: String,
    /// What was changed, as a reader would say it.
    pub change: String,
    /// What kind of change: `delay`, `stub`, `policy`, `slots` or `processors`.
    pub kind: String,
    /// The builds that were replayed: their median.
    pub from: f64,
    /// What the replays said: their median.
    pub predicted: f64,
    /// What builds of the change took: their median.
    pub measured: f64,
    /// How far the middle half lay apart, as a part of the median: of the builds that were replayed, of those of the
    /// change, or of the predictions, whichever is most. No prediction can be better than that.
    #[serde(default)]
    pub spread: f64,
    /// The interval that holds the true ratio of predicted to measured in 95 of 100 cases, by pairs of one round.
    #[serde(default)]
    pub ratio: [f64; 2],
}

impl Proof {
    /// How far the prediction was off, as a part of what was measured.
    pub fn error(&self) -> f64 {
        (self.predicted - self.measured).abs() / self.measured
    }

    /// The least error that the builds allow: what of it is surely the model's, and not the noise of the builds.
    pub fn sure(&self) -> f64 {
        let [low, high] = self.ratio;
        (low - 1.0).max(1.0 - high).max(0.0)
    }

    /// Whether builds agreed with each other so well that a prediction could.
    pub fn steady(&self) -> bool {
        self.spread <= STEADY
    }
}

/// The proofs as a table, and their errors' median and 95th percentile, by kind and in all.
pub fn proof_table(proofs: &[Proof]) -> String {
    let mut text = format!(
        "{:<20} {:<24} {:>9} {:>10} {:>9} {:>7} {:>8} {:>8}\n",
        "workload", "change", "from", "predicted", "measured", "error", "surely", "spread"
    );
    for proof in proofs {
        let Proof { workload, change, from, predicted, measured, .. } = proof;
        let [error, sure, spread] = [proof.error(), proof.sure(), proof.spread].map(|part| part * 100.0);
        text += &format!(
            "{workload:<20} {change:<24} {from:>7.3} s {predicted:>8.3} s {measured:>7.3} s {error:>5.1} % {sure:>6.1} % {spread:>6.1} %\n"
        );
    }
    text.push('\n');
    let mut row = |name: &str, error: fn(&Proof) -> f64, of: &mut dyn Iterator<Item = &Proof>| {
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
        row(kind, Proof::error, &mut proofs.iter().filter(|proof| proof.kind == kind));
    }
    row("all", Proof::error, &mut proofs.iter());
    row("surely", Proof::sure, &mut proofs.iter());
    row("steady", Proof::error, &mut proofs.iter().filter(|proof| proof.steady()));
    text += "surely: the least error that the builds allow (95 % interval of predicted to measured, by pairs of one round)\n";
    text += &format!("steady: builds of one setting lay within {:.0} % of each other (spread)\n", STEADY * 100.0);
    text
}

/// Writes the proofs as JSON.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_proofs(proofs: &[Proof], path: &Path) -> Result<(), RunError> {
    let text = serde_json::to_vec_pretty(proofs).expect("numbers and strings");
    fs::write(path, text).map_err(RunError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_parts_of_what_was_measured() {
        let proof = |kind: &str, predicted| Proof {
            workload: "w".into(),
            change: "c".into(),
            kind: kind.into(),
            from: 1.0,
            predicted,
            measured: 2.0,
            spread: if kind == "delay" { 0.125 } else { 0.05 },
            ratio: [predicted / 2.0 - 0.02, predicted / 2.0 + 0.02],
        };
        let table = proof_table(&[proof("delay", 2.1), proof("delay", 1.8), proof("policy", 2.0)]);
        assert!(table.contains("5.0 %    3.0 %   12.5 %"), "{table}");
        assert!(table.contains("policy          1 predictions: median error 0.0 %, 95th percentile 0.0 %"), "{table}");
        assert!(table.contains("delay           2 predictions: median error 7.5 %"), "{table}");
        assert!(table.contains("all             3 predictions: median error 5.0 %"), "{table}");
        // 1.03 is the least that the first may be, 0.92 the most of the second; the last may be right.
        assert!(table.contains("surely          3 predictions: median error 3.0 %"), "{table}");
        assert!(table.contains("steady          1 predictions: median error 0.0 %"), "{table}");
    }
}
