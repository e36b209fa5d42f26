//! The noise threshold of a case, from its own history.

use super::quantile;

/// The smallest threshold. No history is quiet enough to justify a smaller one.
const FLOOR: f64 = 0.02;
/// The number of past values from which noise is computed.
const LAST: usize = 30;

/// The relative change that a case must exceed to be flagged: Q3 + 3 IQR of the absolute relative changes between
/// neighbours in its history (oldest first), as rustc's performance tracking judges its benchmarks. It is at least 2
/// %, and 10 % if the history is too short.
pub fn threshold(history: &[f64]) -> f64 {
    const UNKNOWN: f64 = 0.10;
    let last = &history[history.len().saturating_sub(LAST + 1)..];
    let mut changes: Vec<f64> = last.windows(2).map(|pair| (pair[1] / pair[0] - 1.0).abs()).collect();
    if changes.len() < 5 {
        return UNKNOWN;
    }
    changes.sort_by(f64::total_cmp);
    let (q1, q3) = (quantile(&changes, 0.25), quantile(&changes, 0.75));
    (q3 + 3.0 * (q3 - q1)).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_the_history_sets_the_bar() {
        assert_eq!(threshold(&[1.0, 1.0, 1.0]), 0.10);
        assert_eq!(threshold(&[1.0; 20]), FLOOR);
        // Changes of 10 %, 20 %, 10 %, 20 %, ... up and down: Q1 and Q3 by hand.
        let noisy =
            [1.0, 1.1, 1.32, 1.32 * 1.1, 1.32 * 1.1 * 1.2, 1.32 * 1.1 * 1.2 * 1.1, 1.32 * 1.1 * 1.2 * 1.1 * 1.2];
        // Changes 0.1 0.2 0.1 0.2 0.1 0.2: Q1 = 0.1, Q3 = 0.2, so 0.2 + 3 × 0.1.
        assert!((threshold(&noisy) - 0.5).abs() < 1e-9, "{}", threshold(&noisy));
    }
}
