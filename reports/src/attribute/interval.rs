//! When a step was active.

use buildscope_record::Nanos;

/// The interval of a step, from its start to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// When the step started.
    pub(crate) start: Nanos,
    /// When its result was available.
    pub(crate) end: Nanos,
}

impl Interval {
    /// The length of the interval.
    pub(crate) fn length(self) -> Nanos {
        self.end.saturating_sub(self.start)
    }
}
