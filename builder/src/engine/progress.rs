//! What a build tells while it runs, for whoever shows it.

use crate::images::Moved;
use crate::plan::Plan;
use buildscope_record::{Outcome, StepId};
use std::sync::Arc;
use std::time::Duration;

/// Hears the events of a build. Called from several threads; must not block for long.
pub trait Progress: Send + Sync {
    /// Something has happened.
    fn event(&self, event: Event);
}

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The graph is known.
    Planned(Arc<Plan>),
    /// A step has a slot and begins.
    Started(StepId),
    /// A step's process has written a line (without its end of line).
    Line {
        /// Whose.
        step: StepId,
        /// To where.
        stream: Stream,
        /// Since the step's process began.
        at: Duration,
        /// The bytes.
        line: Vec<u8>,
    },
    /// A step has ended.
    Finished {
        /// Which.
        step: StepId,
        /// How.
        outcome: Outcome,
        /// For a failed one, why.
        error: Option<String>,
    },
    /// Work of the build as a whole has begun or ended: `exporting to oci`.
    Task {
        /// What.
        name: String,
        /// Whether it is over.
        done: bool,
    },
    /// Something that the user should know, in a sentence.
    Warning(String),
    /// A blob has moved on between a registry and here.
    Moved(Moved),
}

/// Where a process writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Shows nothing.
impl Progress for () {
    fn event(&self, _: Event) {}
}
