//! What is said of two cases: one is slower, or nothing is shown, or nothing could be.

use super::{MannWhitney, Ratio, Summary, holm, mann_whitney, paired_ratio, smallest_p};
use std::fmt;

/// The chance of a false alarm that is accepted over all comparisons of one question.
pub const ALPHA: f64 = 0.05;

/// Two cases compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The times that are set against.
    pub before: Summary,
    /// The times that are judged.
    pub after: Summary,
    /// How many times as long it takes.
    pub ratio: Ratio,
    /// The test of this pair alone.
    pub test: MannWhitney,
    /// Its p, corrected for all comparisons made at once.
    pub adjusted: f64,
    /// What may be said.
    pub verdict: Verdict,
}

/// What may be said of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes longer.
    Slower,
    /// It takes less.
    Faster,
    /// No difference is shown.
    Nothing,
    /// So few samples, among so many comparisons, could not show anything.
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

/// Compares pairs of samples (before, after), each in the order of rounds, as one family of
/// comparisons. A pair with an empty sample gives none.
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
    fn a_fifth_slower_is_seen_and_the_same_is_not() {
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
    fn four_of_each_cannot_show_anything_among_two() {
        // 2 of 70 orders: p is at least 0.0286, twice that with two comparisons.
        let pair = (vec![1.0, 1.1, 1.2, 1.3], vec![2.0, 2.1, 2.2, 2.3]);
        let verdict = |pairs: &[_]| compare(pairs)[0].as_ref().map(|comparison| comparison.verdict);
        assert_eq!(verdict(std::slice::from_ref(&pair)), Some(Verdict::Slower));
        assert_eq!(verdict(&[pair.clone(), pair]), Some(Verdict::TooFew));
    }

    #[test]
    fn an_empty_sample_is_no_comparison() {
        assert_eq!(compare(&[(vec![], vec![1.0])]), [None]);
    }
}
