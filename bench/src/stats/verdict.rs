//! The verdict on two cases: slower, faster, no difference shown, or too few samples.

use super::{MannWhitney, Ratio, Summary, holm, mann_whitney, paired_ratio, smallest_p};
use std::fmt;

/// The accepted probability of a false alarm over all comparisons of one family.
pub const ALPHA: f64 = 0.05;

/// The comparison of two cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The times of the baseline.
    pub before: Summary,
    /// The times that are judged.
    pub after: Summary,
    /// The ratio of the times after to the times before.
    pub ratio: Ratio,
    /// The test of this pair alone.
    pub test: MannWhitney,
    /// The p-value, adjusted for all comparisons of the family.
    pub adjusted: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// The possible verdicts of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes longer.
    Slower,
    /// It takes less time.
    Faster,
    /// No difference is shown.
    Nothing,
    /// There are too few samples to show any difference among so many comparisons.
    TooFew,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Nothing => "~",
            Self::TooFew => "n too small to show anything",
        })
    }
}

/// Compares pairs of samples (before, after), each in the order of rounds, as one family of comparisons. A pair with
/// an empty sample has no comparison.
pub fn compare(pairs: &[(Vec<f64>, Vec<f64>)]) -> Vec<Option<Comparison>> {
    let judged: Vec<_> = pairs.iter().map(|(before, after)| one(before, after)).collect();
    let adjusted = holm(&judged.iter().flatten().map(|comparison| comparison.test.p).collect::<Vec<_>>());
    let family = adjusted.len() as f64;
    let mut adjusted = adjusted.into_iter();
    let finish = |mut comparison: Comparison| {
        comparison.adjusted = adjusted.next().unwrap_or(1.0);
        comparison.verdict = if smallest_p(comparison.before.count, comparison.after.count) * family > ALPHA {
            Verdict::TooFew
        } else if comparison.adjusted > ALPHA {
            Verdict::Nothing
        } else if comparison.ratio.point > 1.0 {
            Verdict::Slower
        } else {
            Verdict::Faster
        };
        comparison
    };
    let mut finish = finish;
    judged.into_iter().map(|comparison| comparison.map(&mut finish)).collect()
}

fn one(before: &[f64], after: &[f64]) -> Option<Comparison> {
    Some(Comparison {
        ratio: paired_ratio(before, after)?,
        test: mann_whitney(after, before),
        before: Summary::of(before)?,
        after: Summary::of(after)?,
        adjusted: 1.0,
        verdict: Verdict::TooFew,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn times(random: &mut ChaCha8Rng, center: f64) -> Vec<f64> {
        // Builds have a floor and a tail: exponential noise of 3 % on top.
        (0..12).map(|_| center * (1.0 - 0.03 * (1.0 - random.random::<f64>()).ln())).collect()
    }

    #[test]
    fn a_slowdown_is_detected_and_equality_is_not() {
        let mut random = ChaCha8Rng::seed_from_u64(20);
        let (mut found, mut alarms) = (0, 0);
        for _ in 0..20 {
            let pairs = [1.0, 1.0, 1.0, 1.2].map(|factor| (times(&mut random, 1.0), times(&mut random, factor)));
            let verdicts: Vec<_> = compare(&pairs).into_iter().flatten().map(|comparison| comparison.verdict).collect();
            found += usize::from(verdicts[3] == Verdict::Slower);
            alarms += usize::from(verdicts[..3].iter().any(|verdict| *verdict != Verdict::Nothing));
        }
        assert!(found >= 19, "{found} of 20 found");
        assert!(alarms <= 1, "{alarms} of 20 with a false alarm");
    }

    #[test]
    fn four_samples_cannot_decide_two_comparisons() {
        // 2 of 70 orders: p is at least 0.0286, twice that with two comparisons.
        let pair = (vec![1.0, 1.1, 1.2, 1.3], vec![2.0, 2.1, 2.2, 2.3]);
        let verdict = |pairs: &[_]| compare(pairs)[0].as_ref().map(|comparison| comparison.verdict);
        assert_eq!(verdict(std::slice::from_ref(&pair)), Some(Verdict::Slower));
        assert_eq!(verdict(&[pair.clone(), pair]), Some(Verdict::TooFew));
    }

    #[test]
    fn an_empty_sample_has_no_comparison() {
        assert_eq!(compare(&[(vec![], vec![1.0])]), [None]);
    }
}
