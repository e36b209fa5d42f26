//! Events of a running build, for the view that shows them.

use crate::images::Transfer;
use crate::plan::Plan;
use buildscope_record::{Outcome, StepId, redacted};
use buildscope_sandbox::Stream;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Receives the events of a build. It is called from several threads, and must not block for long.
pub trait Progress: Send + Sync {
    /// Called for each event.
    fn event(&self, event: Event);
}

/// An event of a build.
#[derive(Clone, Debug)]
pub enum Event {
    /// The graph is known.
    Planned(Arc<Plan>),
    /// A step got a slot and starts.
    Started(StepId),
    /// A step's process wrote a line.
    Line {
        /// The step.
        step: StepId,
        /// The stream that it wrote to.
        stream: Stream,
        /// The time since the start of the step's process.
        at: Duration,
        /// The line without its line ending.
        line: Vec<u8>,
    },
    /// A step has ended.
    Finished {
        /// The step.
        step: StepId,
        /// The outcome.
        outcome: Outcome,
        /// The error of a failed step.
        error: Option<String>,
    },
    /// Work of the build as a whole started or ended, such as an export.
    Task {
        /// A description, such as `exporting to type=oci`.
        name: String,
        /// Whether it has ended.
        done: bool,
    },
    /// A warning for the user, as one sentence.
    Warning(String),
    /// The transfer of a blob from or to a registry made progress.
    Transfer(Transfer),
}

/// Passes events on, without the credentials in the addresses of their texts. Steps print addresses, and errors quote them.
pub(super) struct Redacting(pub(super) Arc<dyn Progress>);

impl Progress for Redacting {
    fn event(&self, event: Event) {
        let text = |text: String| redacted(&text).into_owned();
        self.0.event(match event {
            Event::Line { step, stream, at, line } => {
                let shown = match std::str::from_utf8(&line).map(redacted) {
                    Ok(Cow::Owned(shown)) => shown.into_bytes(),
                    // A line that is not UTF-8 is passed on as it is.
                    _ => line,
                };
                Event::Line { step, stream, at, line: shown }
            }
            Event::Finished { step, outcome, error } => Event::Finished { step, outcome, error: error.map(text) },
            Event::Task { name, done } => Event::Task { name: text(name), done },
            Event::Warning(warning) => Event::Warning(text(warning)),
            other @ (Event::Planned(_) | Event::Started(_) | Event::Transfer(_)) => other,
        });
    }
}

/// A view that shows nothing.
impl Progress for () {
    fn event(&self, _: Event) {}
}
