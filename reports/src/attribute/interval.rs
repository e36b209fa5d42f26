//! The interval in which a step was active.

use buildscope_record::Nanos;

/// The interval of a step, from its start to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// The start of the step.
    pub(crate) start: Nanos,
    /// The time at which its result was available.
    pub(crate) end: Nanos,
}

impl Interval {
    /// The length of the interval.
    pub(crate) fn length(self) -> Nanos {
        self.end.saturating_sub(self.start)
    }
}
