//! The order of builds: every case once a round, each round shuffled.
//!
//! Interleaving lets what changes over a run (heat, neighbours, page cache) fall on all cases alike;
//! shuffling keeps a case from always following the same other. The seed is part of the run, so an
//! order can be had again.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The case indices of each round.
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
    fn each_case_once_a_round_and_the_same_from_the_same_seed() {
        let rounds = order(6, 20, 1);
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_eq!(rounds, order(6, 20, 1));
        assert_ne!(rounds, order(6, 20, 2));
        // Twenty rounds in one order have a chance of 720^-19.
        assert!(rounds.iter().any(|round| round != &rounds[0]));
    }
}
