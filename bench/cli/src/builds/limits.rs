//! The limits of kept records.

use crate::units;
use buildscope_record::ByteSize;
use miette::miette;
use std::str::FromStr;
use std::time::Duration;

/// A record is removed if it is older than `age` and not among the last `builds`, or if the records are larger than
/// `bytes`; the oldest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(super) builds: usize,
    pub(super) age: Duration,
    pub(super) bytes: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { builds: 100, age: Duration::from_secs(30 * 86_400), bytes: ByteSize(256_000_000) }
    }
}

impl Limits {
    /// Nothing is kept.
    pub(crate) const NONE: Self = Self { builds: 0, age: Duration::ZERO, bytes: ByteSize(0) };
}

impl FromStr for Limits {
    type Err = miette::Report;

    /// Parses `builds=100,age=30d,size=256MB` or `none`. The size has a default; `builds` or `age`
    /// alone is the limit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        let mut limits = Self::default();
        let given = |name: &str| text.split(',').any(|part| part.trim().starts_with(name));
        // One of the two alone is the limit.
        match (given("builds="), given("age=")) {
            (true, false) => limits.age = Duration::ZERO,
            (false, true) => limits.builds = 0,
            _ => {}
        }
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || miette!("invalid limit `{part}`: write builds=100,age=30d,size=256MB");
            match part.split_once('=').ok_or_else(wrong)? {
                ("builds", number) => limits.builds = number.parse().map_err(|_| wrong())?,
                ("age", age) => limits.age = units::duration(age)?,
                ("size", size) => limits.bytes = units::bytes(size)?,
                _ => return Err(wrong()),
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_left_out_have_their_defaults() {
        let alone: Limits = "builds=5".parse().unwrap();
        assert_eq!((alone.builds, alone.age), (5, Duration::ZERO));
        let alone: Limits = "age=2d".parse().unwrap();
        assert_eq!((alone.builds, alone.age), (0, Duration::from_secs(172_800)));
        let limits: Limits = "age=2d, builds=5".parse().unwrap();
        assert_eq!(limits, Limits { builds: 5, age: Duration::from_secs(172_800), bytes: ByteSize(256_000_000) });
        assert_eq!("".parse::<Limits>().unwrap(), Limits::default());
        assert_eq!("none".parse::<Limits>().unwrap(), Limits::NONE);
        for wrong in ["builds", "builds=-1", "age=soon", "size=x", "count=3"] {
            assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
        }
    }
}
