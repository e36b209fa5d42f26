//! The ratio of paired times with an interval, by bootstrap (Efron 1979).

use super::quantile;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A ratio of times with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The median of the ratios of the pairs.
    pub point: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// The number of resamples. With it, the ends of the interval vary by about 1 % of its width from seed to seed.
const RESAMPLES: usize = 4999;

/// The ratio `after / before` of pairs measured in the same round. The state of the machine in a round affects both
/// times and cancels out. `None` without pairs.
pub fn paired_ratio(before: &[f64], after: &[f64]) -> Option<Ratio> {
    let mut ratios: Vec<f64> = before.iter().zip(after).map(|(before, after)| after / before).collect();
    if ratios.is_empty() {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let mut random = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut resampled = vec![0.0; ratios.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resampled.iter_mut().for_each(|slot| *slot = ratios[random.random_range(0..ratios.len())]);
            resampled.sort_by(f64::total_cmp);
            quantile(&resampled, 0.5)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some(Ratio { point: quantile(&ratios, 0.5), low: quantile(&medians, 0.025), high: quantile(&medians, 0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_disturbances_cancel_out() {
        let before = [1.0, 2.0, 4.0, 8.0];
        let after = before.map(|time| time * 1.25);
        assert_eq!(paired_ratio(&before, &after), Some(Ratio { point: 1.25, low: 1.25, high: 1.25 }));
        assert_eq!(paired_ratio(&[], &[]), None);
    }

    /// About 95 % of the intervals over draws from a known distribution must contain the true ratio.
    #[test]
    fn the_interval_has_its_nominal_coverage() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let held = (0..200).filter(|_| {
            let mut draw = || {
                (0..20).map(|_| 1.0 + 0.1 * (random.random::<f64>() + random.random::<f64>() - 1.0)).collect::<Vec<_>>()
            };
            let (before, after) = (draw(), draw().iter().map(|time| time * 1.1).collect::<Vec<_>>());
            paired_ratio(&before, &after).is_some_and(|ratio| ratio.low <= 1.1 && 1.1 <= ratio.high)
        });
        // 200 draws of p = 0.95: fewer than 180 or more than 199 has a probability below 0.3 %.
        let held = held.count();
        assert!((180..=199).contains(&held), "{held} of 200");
    }
}
