//! Drift: tests whether times grow or shrink over a run (a processor that heats up, a disk that fills).

use super::mann_whitney::normal_tail;

/// Kendall's tau of the times against their order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Tau from -1 (each time is shorter than all before) to 1 (each time is longer).
    pub tau: f64,
    /// The two-sided probability of a tau at least as far from 0 if there is no trend.
    pub p: f64,
}

/// The Mann-Kendall test with continuity and tie correction (Mann 1945; Kendall 1975); `None` for fewer than eight
/// times, where the normal approximation is inaccurate.
pub fn trend(times: &[f64]) -> Option<Trend> {
    let n = times.len();
    if n < 8 {
        return None;
    }
    let signs = (0..n).flat_map(|i| (i + 1..n).map(move |j| times[j].total_cmp(&times[i]) as i64));
    let s: i64 = signs.sum();
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let weight = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|ties| weight(ties.len() as f64)).sum();
    let variance = (weight(n as f64) - ties) / 18.0;
    let z = if variance > 0.0 { (s.unsigned_abs().saturating_sub(1)) as f64 / variance.sqrt() } else { 0.0 };
    Some(Trend { tau: s as f64 / (n * (n - 1) / 2) as f64, p: (2.0 * normal_tail(z)).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_detected_only_if_present() {
        // tau is from scipy.stats.kendalltau. S is 50 and its variance 12·11·29/18 = 212.67, so z = 49/14.583 = 3.36
        // and p = 0.00078.
        let rising = [3.0, 1.0, 4.0, 2.0, 5.0, 9.0, 6.0, 8.0, 7.0, 10.0, 12.0, 11.0];
        let trend_of = trend(&rising).unwrap();
        assert!((trend_of.tau - 0.757_575_757_575_757_6).abs() < 1e-12, "{trend_of:?}");
        assert!((trend_of.p - 0.000_779).abs() < 1e-5, "{trend_of:?}");
        let flat = [1.0, 2.0, 1.5, 1.2, 1.9, 1.1, 1.8, 1.4];
        assert!(trend(&flat).unwrap().p > 0.5);
        assert_eq!(trend(&[1.0; 5]), None);
        assert_eq!(trend(&[1.0; 9]).unwrap(), Trend { tau: 0.0, p: 1.0 });
    }
}
