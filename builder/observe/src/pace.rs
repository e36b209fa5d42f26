//! How often the observer reads: often while processes start, so that their arguments can be read before they end, and rarely
//! otherwise. Reading takes at most 0.5 % of a processor, unless reports would be lost.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(20);
/// A reading is followed by a pause of so many times its processor time.
const TIMES: u32 = 200;

/// The pauses between readings.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
}

/// What a reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Processes of steps have started.
    Starts,
    /// So many reports that the buffers may be full before the longest pause is over.
    Crowd,
    Nothing,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { pause: SHORTEST }
    }

    /// The pause after a reading that took `cost` of a processor.
    pub(crate) fn after(&mut self, found: Found, cost: Duration) -> Duration {
        self.pause = match found {
            Found::Crowd => return SHORTEST,
            Found::Starts => SHORTEST,
            Found::Nothing => (self.pause * 3 / 2).min(LONGEST),
        };
        self.pause.max(cost * TIMES).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_costs_little_of_the_time() {
        let mut pace = Pace::new();
        let micros = Duration::from_micros;
        assert_eq!(pace.after(Found::Starts, micros(20)), SHORTEST);
        assert_eq!(pace.after(Found::Starts, micros(45)), micros(9000));
        assert_eq!(pace.after(Found::Starts, micros(900)), LONGEST, "a buffer may be full after that");
        assert_eq!(pace.after(Found::Crowd, micros(900)), SHORTEST);
    }

    #[test]
    fn without_starts_pauses_become_longer() {
        let mut pace = Pace::new();
        let pauses: Vec<_> = (0..5).map(|_| pace.after(Found::Nothing, Duration::ZERO).as_micros()).collect();
        assert_eq!(pauses, [6_000, 9_000, 13_500, 20_000, 20_000]);
        assert_eq!(pace.after(Found::Starts, Duration::ZERO), SHORTEST);
    }
}
