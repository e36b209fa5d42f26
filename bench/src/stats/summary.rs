//! Summary statistics of the times of one case.

/// The summary of one sample of times.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The number of times.
    pub count: usize,
    /// The median.
    pub median: f64,
    /// An interval that contains the true median with a probability of at least 95 %, whatever the distribution;
    /// `None` with fewer than six times, where no pair of order statistics is wide enough.
    pub interval: Option<(f64, f64)>,
    /// The arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the sample (n - 1); `None` for a single time.
    pub stddev: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Indices of times outside of Tukey's outer fences (three times the interquartile range beyond the quartiles).
    /// They are shown and never dropped.
    pub outliers: Vec<usize>,
    /// The first time, if it is the only one beyond the upper fence. A cold page cache has this effect.
    pub slow_first: bool,
}

impl Summary {
    /// Summarises times in the order of measurement; `None` if there are none.
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

/// The quantile of sorted numbers, with linear interpolation (type 7 of Hyndman & Fan 1996, numpy's default).
///
/// # Panics
/// Panics if there are no numbers.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The narrowest symmetric pair of order statistics that contains the median with at least 95 %. The number of values
/// below the median is binomial with p = 1/2 (Conover, Practical Nonparametric Statistics, 3.2).
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
    fn quantiles_match_numpy() {
        // numpy.quantile([1,2,4,8,16,32,64], [.25,.5,.75]).
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
        assert_eq!([0.25, 0.5, 0.75].map(|q| quantile(&sorted, q)), [3.0, 8.0, 24.0]);
    }

    #[test]
    fn median_interval_ranks_match_published_tables() {
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
    fn outliers_and_a_slow_first_run_are_marked() {
        let slow = Summary::of(&[9.0, 1.0, 1.1, 1.2, 1.0, 1.1, 1.05]).unwrap();
        assert!(slow.slow_first);
        assert_eq!((slow.outliers, slow.max, slow.count), (vec![0], 9.0, 7));
        let later = Summary::of(&[1.0, 1.1, 1.2, 1.0, 9.0, 1.1, 1.05]).unwrap();
        assert_eq!((later.outliers, later.slow_first), (vec![4], false));
        assert_eq!(Summary::of(&[]), None);
    }
}
