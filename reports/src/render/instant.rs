//! Instants of the Trace Event format.
//!
//! Its unit is the microsecond, with fractions, and readers add `ts` and `dur` as doubles. With decimal fractions, the sum of a slice
//! that touches the next one may be larger than the start of that one by a rounding error, and a reader then closes the two in the wrong
//! order. So instants are multiples of 1/1024 µs. Doubles hold those, their sums and their differences exactly, for up to 101 days.

use buildscope_record::Nanos;
use serde_json::Value;

/// The number of parts of a microsecond. A part is shorter than a nanosecond, so that different instants stay different.
const PARTS: u64 = 1024;

/// An instant or a length in microseconds.
pub fn micros(at: Nanos) -> f64 {
    let (whole, rest) = (at.0 / 1000, at.0 % 1000);
    // Both summands are multiples of a part.
    whole as f64 + (rest * PARTS / 1000) as f64 / PARTS as f64
}

/// The start and the length of an interval. In double arithmetic, their sum is the instant of its end.
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
    fn an_instant_keeps_its_nanoseconds() {
        assert_eq!((micros(Nanos(0)), micros(Nanos(1_500)), micros(Nanos(2_000_000))), (0.0, 1.5, 2000.0));
        assert!((micros(Nanos(81_201_756)) - 81_201.756).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn slices_that_touch_do_so_in_double_arithmetic(start in 0..8_000_000_000_000_000_u64, first in 0..10_000_000_000_u64, second in 0..10_000_000_000_u64) {
            let middle = Nanos(start + first);
            let ((from, length), (next, more)) = (slice(Nanos(start), middle), slice(middle, middle + Nanos(second)));
            prop_assert!(from + length == next && from <= next && length >= 0.0 && more >= 0.0);
            prop_assert!(micros(Nanos(start + 1)) > micros(Nanos(start)));
        }
    }
}
