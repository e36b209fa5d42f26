//! One case's times in a few numbers.

/// What is said of one sample of times.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// The median.
    pub median: f64,
    /// An interval that holds the true median in at least 95 of 100 cases, whatever the
    /// distribution; none below six samples, where no two of them are enough.
    pub interval: Option<(f64, f64)>,
    /// The arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the sample (n - 1); none for one.
    pub stddev: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Indices of those outside Tukey's outer fences (three times the interquartile range beyond
    /// the quartiles). They are shown and never dropped.
    pub outliers: Vec<usize>,
    /// The first, if it is beyond the upper fence and no other is: what a cold page cache does.
    pub slow_first: bool,
}

impl Summary {
    /// Of times in the order in which they were measured; none of no times.
    pub fn of(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let count = times.len();
        let mean = times.iter().sum::<f64>() / count as f64;
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        let (q1, q3) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
        let fences = (q1 - 3.0 * (q3 - q1), q3 + 3.0 * (q3 - q1));
        // With fewer, the quartiles are made of the outlier itself.
        let judged = if count >= 5 { times } else { &[] };
        let outliers: Vec<_> = (0..judged.len()).filter(|&i| times[i] < fences.0 || times[i] > fences.1).collect();
        Some(Self {
            count,
            median: quantile(&sorted, 0.5),
            interval: median_ranks(count).map(|(low, high)| (sorted[low], sorted[high])),
            mean,
            stddev: (count > 1).then(|| (squares / (count - 1) as f64).sqrt()),
            min,
            max,
            slow_first: outliers == [0] && times[0] > fences.1,
            outliers,
        })
    }
}

/// The quantile of sorted numbers, linear between neighbours (type 7 of Hyndman & Fan 1996, numpy's default).
///
/// # Panics
/// If there are none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// The narrowest symmetric pair of order statistics that holds the median with at least 95 %: how
/// many of n lie below it is binomial with p = 1/2 (Conover, Practical Nonparametric Statistics, 3.2).
fn median_ranks(count: usize) -> Option<(usize, usize)> {
    let n = count as f64;
    // Logarithms, since 0.5^n underflows from n = 1075.
    let mut log_term = n * 0.5_f64.ln();
    let (mut below, mut rank) = (0.0, None);
    for k in 0..count / 2 {
        below += log_term.exp();
        // P(the median lies outside ranks k+1 .. n-k) is twice the lower tail.
        if 2.0 * below > 0.05 {
            break;
        }
        rank = Some((k, count - 1 - k));
        log_term += ((n - k as f64) / (k as f64 + 1.0)).ln();
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_as_numpy_has_them() {
        // numpy.quantile([1,2,4,8,16,32,64], [.25,.5,.75]).
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
        assert_eq!([0.25, 0.5, 0.75].map(|q| quantile(&sorted, q)), [3.0, 8.0, 24.0]);
    }

    #[test]
    fn ranks_of_the_median_interval_are_the_published_ones() {
        // Conover, table of confidence intervals for the median (and 1 - 2 binom.cdf(k - 1, n, 1/2) of scipy), ranks from 0.
        for (n, ranks) in [
            (5, None),
            (6, Some((0, 5))),
            (8, Some((0, 7))),
            (10, Some((1, 8))),
            (20, Some((5, 14))),
            (30, Some((9, 20))),
            (50, Some((17, 32))),
        ] {
            assert_eq!(median_ranks(n), ranks, "n = {n}");
        }
        assert!(median_ranks(5000).is_some());
    }

    #[test]
    fn outliers_are_marked_and_a_slow_first_run_is_known() {
        let slow = Summary::of(&[9.0, 1.0, 1.1, 1.2, 1.0, 1.1, 1.05]).unwrap();
        assert!(slow.slow_first);
        assert_eq!((slow.outliers, slow.max, slow.count), (vec![0], 9.0, 7));
        let later = Summary::of(&[1.0, 1.1, 1.2, 1.0, 9.0, 1.1, 1.05]).unwrap();
        assert_eq!((later.outliers, later.slow_first), (vec![4], false));
        assert_eq!(Summary::of(&[]), None);
    }
}
