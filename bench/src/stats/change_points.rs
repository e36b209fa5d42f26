//! Change points of a history by E-divisive (Matteson & James 2014). The method finds where the distribution of a
//! series changes, and how significant the change is.

use super::quantile;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// A position at which a series changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The index of the first value after the change.
    pub at: usize,
    /// The median of the values between the previous change and this one.
    pub before: f64,
    /// The median of the values between this change and the next one.
    pub after: f64,
    /// The probability of a statistic at least this large without a change, from permutations.
    pub p: f64,
}

/// The minimum number of values on each side of a change.
const LEVEL: usize = 3;
/// The number of permutations of a test. With it, p has a resolution of half a percent.
const PERMUTATIONS: usize = 199;
/// The significance level of a change.
const SIGNIFICANCE: f64 = 0.01;

/// Finds the change points of the series, oldest first. The most significant one splits the series; the parts are
/// searched in turn, until no split is significant.
pub fn change_points(series: &[f64]) -> Vec<ChangePoint> {
    let mut random = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut found = Vec::new();
    let mut parts = Vec::from([(0, series.len())]);
    while let Some(part) = parts.pop() {
        let (start, end) = part;
        let values = &series[start..end];
        let Some((split, statistic)) = best_split(values) else { continue };
        let mut permuted = values.to_vec();
        let as_good = (0..PERMUTATIONS).filter(|_| {
            permuted.shuffle(&mut random);
            best_split(&permuted).is_some_and(|best| best.1 >= statistic)
        });
        let p = (as_good.count() + 1) as f64 / (PERMUTATIONS + 1) as f64;
        if p <= SIGNIFICANCE {
            found.push((start + split, p));
            parts.push((start, start + split));
            parts.push((start + split, end));
        }
    }
    found.sort_by_key(|point| point.0);
    let bounds: Vec<_> = std::iter::once(0).chain(found.iter().map(|point| point.0)).chain([series.len()]).collect();
    let median = |range: Range<usize>| {
        let mut values = series[range].to_vec();
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.5)
    };
    found
        .iter()
        .zip(bounds.windows(3))
        .map(|(&(at, p), around)| ChangePoint { at, before: median(around[0]..at), after: median(at..around[2]), p })
        .collect()
}

/// Finds the split with the largest energy distance between its sides, scaled as in equation 5 of the paper (exponent
/// 1), and returns it with that statistic. All splits take one pass: the three sums of distances are updated from
/// each split to the next.
fn best_split(values: &[f64]) -> Option<(usize, f64)> {
    let n = values.len();
    if n < 2 * LEVEL {
        return None;
    }
    let distance_to = |value: f64, others: &[f64]| others.iter().map(|other| (value - other).abs()).sum::<f64>();
    let (mut within_left, mut between) = (0.0, 0.0);
    let mut within_right: f64 = (0..n).map(|i| distance_to(values[i], &values[i + 1..])).sum();
    let mut best: Option<(usize, f64)> = None;
    for split in 1..n {
        // values[split - 1] moves from the right side to the left side.
        let moved = values[split - 1];
        let (to_left, to_right) = (distance_to(moved, &values[..split - 1]), distance_to(moved, &values[split..]));
        within_left += to_left;
        within_right -= to_right;
        between += to_right - to_left;
        if split < LEVEL || n - split < LEVEL {
            continue;
        }
        let (left, right) = (split as f64, (n - split) as f64);
        let pairs = |n: f64| n * (n - 1.0) / 2.0;
        let energy = 2.0 * between / (left * right) - within_left / pairs(left) - within_right / pairs(right);
        let statistic = energy * left * right / (left + right);
        if best.is_none_or(|best| statistic > best.1) {
            best = Some((split, statistic));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn noise(random: &mut ChaCha8Rng, level: f64, n: usize) -> Vec<f64> {
        (0..n).map(|_| level + 0.1 * (random.random::<f64>() - 0.5)).collect()
    }

    #[test]
    fn the_statistic_by_hand() {
        // {0,0,0} and {1,1,1}: distance 1 between, 0 within; E = 2, scaled by 9/6.
        assert_eq!(best_split(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), Some((3, 3.0)));
        assert_eq!(best_split(&[0.0; 5]), None);
    }

    #[test]
    fn two_changes_are_found_where_they_are() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let series = [noise(&mut random, 1.0, 20), noise(&mut random, 1.2, 15), noise(&mut random, 0.9, 25)].concat();
        let points = change_points(&series);
        assert_eq!(points.iter().map(|point| point.at).collect::<Vec<_>>(), [20, 35], "{points:?}");
        assert!((points[0].after - 1.2).abs() < 0.02 && (points[1].after - 0.9).abs() < 0.02);
    }

    #[test]
    fn nothing_is_found_where_nothing_changes() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let alarms = (0..40).filter(|_| !change_points(&noise(&mut random, 1.0, 40)).is_empty()).count();
        // Significance level of 1 % each: four of forty has a probability below 1 in 1000.
        assert!(alarms <= 3, "{alarms} of 40");
    }
}
