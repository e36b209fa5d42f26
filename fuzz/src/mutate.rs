//! Random changes of a seed, reproducible in every run.

/// Derives inputs from seeds.
pub struct Mutator {
    state: u64,
}

/// Numbers at which lengths and counts overflow.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// The longest input that a mutation makes.
const LONGEST: usize = 64 << 10;

impl Mutator {
    /// Starts a sequence of changes. The same `seed` gives the same sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// xorshift64 (Marsaglia, 2003).
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Returns a seed with one to eight changes.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let some = at..(at + 1 + self.below(32)).min(bytes.len());
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => bytes.insert(at, self.next() as u8),
            3 if !some.is_empty() => drop(bytes.drain(some)),
            4 if !some.is_empty() => {
                let piece = bytes[some].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => bytes.truncate(at),
            6 => {
                let width = [1, 2, 4, 8][self.below(4)];
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                for (byte, value) in bytes.iter_mut().skip(at).zip(&edge[..width]) {
                    *byte = *value;
                }
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let piece = other[from..(from + 1 + self.below(64)).min(other.len()).max(from)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_inputs() {
        let seeds = [b"one".to_vec(), b"another".to_vec()];
        let run = || {
            let mut mutator = Mutator::new(7);
            (0..1000).map(|_| mutator.input(&seeds)).collect::<Vec<_>>()
        };
        let inputs = run();
        assert_eq!(inputs, run());
        assert!(inputs.iter().all(|input| input.len() <= LONGEST));
    }
}
