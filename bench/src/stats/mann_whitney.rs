//! The Mann-Whitney U test (Mann & Whitney 1947): tests whether one of two samples tends to be larger. It assumes no
//! particular distribution.

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// U of the first sample: the number of pairs in which its member is larger. Ties count half.
    pub u: f64,
    /// The two-sided probability of a U at least as far from its mean if both samples come from one distribution.
    pub p: f64,
}

/// The largest number of pairs for which p is exact, if there are no ties. Above it, the normal approximation is good
/// to three digits.
const EXACT_PAIRS: usize = 2500;

/// Compares two samples. If one is empty, p is 1.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> MannWhitney {
    let (n, m) = (a.len(), b.len());
    if n == 0 || m == 0 {
        return MannWhitney { u: 0.0, p: 1.0 };
    }
    let mut all: Vec<(f64, bool)> = a.iter().map(|&x| (x, true)).chain(b.iter().map(|&x| (x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut tie_term, mut begun) = (0.0, 0.0, 0);
    for ties in all.chunk_by(|x, y| x.0 == y.0) {
        let size = ties.len() as f64;
        // The mean of the ranks begun+1 ..= begun+size.
        let rank = begun as f64 + (size + 1.0) / 2.0;
        rank_sum += rank * ties.iter().filter(|tie| tie.1).count() as f64;
        tie_term += size.powi(3) - size;
        begun += ties.len();
    }
    let u = rank_sum - (n * (n + 1)) as f64 / 2.0;
    let p = if tie_term == 0.0 && n * m <= EXACT_PAIRS { exact(u, n, m) } else { approximate(u, n, m, tie_term) };
    MannWhitney { u, p }
}

/// The smallest p that samples of these sizes can give: two of all orders are the most extreme.
pub fn smallest_p(n: usize, m: usize) -> f64 {
    // 2 / binomial(n + m, n), factor by factor.
    (1..=n).fold(2.0, |p, k| p * k as f64 / (m + k) as f64).min(1.0)
}

/// The exact p, from the number of orders of n and m values that have each U. Uses the recurrence over the largest
/// value, N(u; n, m) = N(u - m; n - 1, m) + N(u; n, m - 1) (Mann & Whitney 1947, equation 1), with probabilities
/// instead of counts.
fn exact(u: f64, n: usize, m: usize) -> f64 {
    // p[j][u] = P(U = u) for the current number of a's and j b's.
    let mut p: Vec<Vec<f64>> = (0..=m).map(|_| vec![1.0]).collect();
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let total = (i + j) as f64;
            let mut row = vec![0.0; i * j + 1];
            // If the largest is an a, it is larger than all j b's.
            for (v, q) in p[j].iter().enumerate() {
                row[v + j] += q * i as f64 / total;
            }
            for (v, q) in next[j - 1].iter().enumerate() {
                row[v] += q * j as f64 / total;
            }
            next.push(row);
        }
        p = next;
    }
    let distribution = &p[m];
    // Without ties U is an integer, and the distribution is symmetric about nm/2.
    let extreme = (u.round() as usize).max(n * m - u.round() as usize);
    (2.0 * distribution[extreme..].iter().sum::<f64>()).min(1.0)
}

/// The normal approximation with tie correction and continuity correction, like `scipy.stats.mannwhitneyu`.
fn approximate(u: f64, n: usize, m: usize, tie_term: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - tie_term / (total * (total - 1.0)));
    if variance <= 0.0 {
        // All values are equal.
        return 1.0;
    }
    let distance = (u.max(n * m - u) - n * m / 2.0 - 0.5).max(0.0);
    (2.0 * normal_tail(distance / variance.sqrt())).min(1.0)
}

/// P(Z > z) of the standard normal distribution for z >= 0: by its series below 3, by Laplace's continued fraction
/// above (Abramowitz & Stegun 26.2.10 and 26.2.14).
pub(super) fn normal_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z < 3.0 {
        let (mut term, mut sum, mut k) = (z, z, 1.0);
        while term > 1e-17 * sum {
            term *= z * z / (2.0 * k + 1.0);
            sum += term;
            k += 1.0;
        }
        0.5 - density * sum
    } else {
        let fraction = (1..=60).rev().fold(z, |fraction, k| z + f64::from(k) / fraction);
        density / fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-10 * b.abs().max(1e-10)
    }

    #[test]
    fn exact_values() {
        // Three against three, fully separated: 2 of 20 orders.
        let apart = mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert!(apart.u == 0.0 && close(apart.p, 0.1) && close(smallest_p(3, 3), 0.1));
        // scipy.stats.mannwhitneyu's own example (ages of diabetes patients), method="exact".
        let ages = mann_whitney(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]);
        assert!(ages.u == 17.0 && close(ages.p, 0.111_111_111_111_111_1), "{ages:?}");
        let six = mann_whitney(&[1.1, 1.2, 1.3, 1.4, 1.5, 1.6], &[1.45, 1.55, 1.65, 1.75, 1.85, 1.95]);
        assert!(six.u == 3.0 && close(six.p, 0.015_151_515_151_515_152), "{six:?}");
    }

    #[test]
    #[expect(clippy::approx_constant, reason = "0.318 is a draw, not 1/π")]
    fn larger_samples_and_ties() {
        // numpy.random.default_rng(1).normal, 30 and 25 values; scipy 1.17.
        let x = [
            0.346, 0.822, 0.33, -1.303, 0.905, 0.446, -0.537, 0.581, 0.365, 0.294, 0.028, 0.547, -0.736, -0.163,
            -0.482, 0.599, 0.04, -0.292, -0.782, -0.257, 0.008, -0.276, 1.294, 1.007, -2.711, -1.889, -0.175, -0.422,
            0.214, 0.217,
        ];
        let y = [
            2.618, -0.612, 0.122, 2.543, 1.147, 1.163, -0.014, -1.148, 0.667, 0.609, -0.727, -0.183, 0.428, -0.445,
            0.402, 0.595, 0.536, -0.006, 1.094, 1.391, 0.821, -0.318, 1.232, -0.001, 1.379,
        ];
        let exact = mann_whitney(&x, &y);
        assert!(exact.u == 250.0 && close(exact.p, 0.034_583_450_132_477_7), "{exact:?}");
        assert!(close(approximate(250.0, 30, 25, 0.0), 0.035_340_597_965_989_86));
        let ties = mann_whitney(&[1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 6.0, 7.0]);
        assert!(ties.u == 16.0 && close(ties.p, 0.175_725_262_357_329_55), "{ties:?}");
        assert_eq!(mann_whitney(&[1.0; 5], &[1.0; 5]).p, 1.0);
    }

    #[test]
    fn normal_tails() {
        // scipy.stats.norm.sf.
        let published = [
            (0.0, 0.5),
            (0.5, 0.308_537_538_725_986_9),
            (1.0, 0.158_655_253_931_457_07),
            (1.96, 0.024_997_895_148_220_435),
            (3.0, 0.001_349_898_031_630_093_3),
            (5.0, 2.866_515_718_791_933e-7),
            (8.0, 6.220_960_574_271_74e-16),
        ];
        for (z, tail) in published {
            assert!((normal_tail(z) - tail).abs() <= 1e-9 * tail, "{z}: {}", normal_tail(z));
        }
    }
}
