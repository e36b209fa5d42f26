//! Instants of the Trace Event format.
//!
//! Its unit is the microsecond, with fractions. A reader computes the end of a slice from `ts` and `dur`: speedscope adds them as doubles,
//! Perfetto rounds each to nanoseconds first. If the two ends of slices that touch differ by a rounding error, a reader closes the slices in
//! the wrong order or drops one. So instants are multiples of 125 ns, an eighth of a microsecond. Doubles hold those, their sums and their
//! differences exactly, for thousands of years, and each is a whole number of nanoseconds.

use buildscope_record::Nanos;
use serde_json::Value;

/// The shortest time that is kept, in nanoseconds: an eighth of a microsecond.
const GRAIN: u64 = 125;

/// An instant or a length in microseconds.
pub fn micros(at: Nanos) -> f64 {
    (at.0 / GRAIN) as f64 / (1000 / GRAIN) as f64
}

/// The start and the length of an interval. Their sum is the instant of its end, in doubles and in nanoseconds.
pub fn slice(start: Nanos, end: Nanos) -> (f64, f64) {
    (micros(start), micros(end.max(start)) - micros(start))
}

/// An event of a track at its time: a slice, or an instant if it has no length. Of slices that start together, speedscope closes one without
/// length before it opens it, and then all others in the wrong order.
pub fn placed(mut event: Value, start: Nanos, end: Nanos) -> Value {
    let (ts, length) = slice(start, end);
    event["ts"] = ts.into();
    if length > 0.0 {
        event["ph"] = "X".into();
        event["dur"] = length.into();
    } else {
        event["ph"] = "i".into();
        event["s"] = "t".into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_instant_is_a_multiple_of_125_nanoseconds() {
        assert_eq!((micros(Nanos(0)), micros(Nanos(1_500)), micros(Nanos(2_000_000))), (0.0, 1.5, 2000.0));
        assert_eq!((micros(Nanos(81_201_756)), micros(Nanos(81_201_749))), (81_201.75, 81_201.625));
    }

    /// As Perfetto reads a time (`CoerceToTs` of its JSON tokenizer): rounded to nanoseconds.
    fn nanos(micros: f64) -> i64 {
        (micros * 1000.0).round() as i64
    }

    proptest! {
        #[test]
        fn slices_that_touch_do_so_in_doubles_and_in_nanoseconds(start in 0..8_000_000_000_000_000_u64, first in 0..10_000_000_000_u64, second in 0..10_000_000_000_u64) {
            let middle = Nanos(start + first);
            let ((from, length), (next, more)) = (slice(Nanos(start), middle), slice(middle, middle + Nanos(second)));
            prop_assert!(from + length == next && from <= next && length >= 0.0 && more >= 0.0);
            prop_assert_eq!(nanos(from) + nanos(length), nanos(next));
        }
    }
}
