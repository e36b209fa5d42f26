//! The order of builds: every case once a round, each round shuffled.
//!
//! Interleaving spreads changes over a run (heat, neighbours, page cache) over all cases; shuffling prevents that a
//! case always follows the same other case. The seed is part of the run, so the order can be reproduced.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Returns the case indices of each round.
pub(super) fn order(cases: usize, rounds: u32, seed: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let round = |_| {
        let mut round: Vec<_> = (0..cases).collect();
        round.shuffle(&mut random);
        round
    };
    (0..rounds).map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_each_case_reproducibly() {
        let rounds = order(6, 20, 1);
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_eq!(rounds, order(6, 20, 1));
        assert_ne!(rounds, order(6, 20, 2));
        // The probability of twenty equal rounds is 720^-19.
        assert!(rounds.iter().any(|round| round != &rounds[0]));
    }
}
