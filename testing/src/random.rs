//! Reproducible pseudo-random numbers.

/// A sequence of pseudo-random numbers: xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts a sequence. The same `seed` gives the same sequence.
    ///
    /// # Panics
    /// Panics if `seed` is zero: every number would be zero.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        assert!(seed != 0, "the seed of xorshift64 must not be zero");
        Self { state: seed }
    }

    /// The next number, which is never zero.
    pub fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// The next bytes, little-endian.
    #[must_use]
    pub fn bytes(mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count.next_multiple_of(8));
        while bytes.len() < count {
            bytes.extend(self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first step by hand: 1 becomes 1 | 1 << 13, then its upper bits fold in.
    #[test]
    fn the_first_number_is_known() {
        let first = {
            let one = 1_u64 ^ (1 << 13);
            let two = one ^ (one >> 7);
            two ^ (two << 17)
        };
        assert_eq!(Random::new(1).number(), first);
        assert_eq!(Random::new(1).bytes(3), first.to_le_bytes()[..3]);
    }
}
