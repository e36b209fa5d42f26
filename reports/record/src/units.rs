//! Typed numbers: identities, times and sizes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A step of one build: its index in [`Record::steps`](crate::Record::steps).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// A stage of one build: its index in [`Record::stages`](crate::Record::stages).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StageId(pub u32);

/// Nanoseconds: a duration, or an instant since the start of the build.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// A number of bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl StepId {
    /// The id of the step with that index.
    ///
    /// # Panics
    /// From 2^32 steps on.
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 steps"))
    }

    /// The index into [`Record::steps`](crate::Record::steps).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl StageId {
    /// The id of the stage with that index.
    ///
    /// # Panics
    /// From 2^32 stages on.
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 stages"))
    }

    /// The index into [`Record::stages`](crate::Record::stages).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Nanos {
    /// Zero nanoseconds.
    pub const ZERO: Self = Self(0);

    /// Whether it is zero nanoseconds.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Converts seconds. Negative values and NaN become zero.
    pub fn from_secs_f64(seconds: f64) -> Self {
        // A float-to-integer `as` saturates: NaN and negatives give 0.
        Self((seconds * 1e9).round() as u64)
    }

    /// The value in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The value in milliseconds.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// `self - earlier`, or zero if `earlier` is later.
    pub fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<std::time::Duration> for Nanos {
    /// Saturates at `u64::MAX` nanoseconds, 584 years.
    fn from(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl std::ops::Add for Nanos {
    type Output = Self;
    /// Saturates, because a record from outside may hold any number.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, |sum, value| sum + value)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for Nanos {
    /// Three significant digits in a suitable unit: `1.84 s`, `12.3 ms`, `640 µs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => (ns / 1e3, "µs"),
            1_000_000..1_000_000_000 => (ns / 1e6, "ms"),
            _ => (ns / 1e9, "s"),
        };
        f.pad(&significant(value, unit))
    }
}

impl fmt::Display for ByteSize {
    /// Three significant digits in decimal units: `22.1 MB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return f.pad(&format!("{} B", self.0)),
            1_000..1_000_000 => (bytes / 1e3, "kB"),
            1_000_000..1_000_000_000 => (bytes / 1e6, "MB"),
            _ => (bytes / 1e9, "GB"),
        };
        f.pad(&significant(value, unit))
    }
}

fn significant(value: f64, unit: &str) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2} {unit}"),
        v if v < 99.95 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanos_show_three_significant_digits() {
        let shown = |n: u64| Nanos(n).to_string();
        assert_eq!(shown(999), "999 ns");
        assert_eq!(shown(1_840_000_000), "1.84 s");
        assert_eq!(shown(12_340_000), "12.3 ms");
        assert_eq!(shown(640_400), "640 µs");
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(ByteSize(22_100_000).to_string(), "22.1 MB");
        assert_eq!(ByteSize(512).to_string(), "512 B");
    }
}
