//! Instrumentation: a [`Probe`] opens spans, and the subscriber of the record collects them.
//!
//! A probe is a handle that a build passes down. It is cheap to clone and may be sent to other threads. Without a subscriber,
//! the spans are disabled callsites and cost a few nanoseconds each.

use crate::{Instruction, Phase, StepId, redacted};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Span, field::Empty};

/// The `tracing` target of every span and event of a build record.
pub(crate) const TARGET: &str = "buildscope";
/// The value of a span's numeric fields for "no step" and "no slot".
pub(crate) const NONE: u64 = u64::MAX;

/// The field that marks the end of a span's interval.
pub(crate) const ENDED: &str = "ended";
/// The fields of an interval that was measured elsewhere: how long ago it began and ended, in nanoseconds.
pub(crate) const BEGAN_AGO: &str = "began_ago";
pub(crate) const ENDED_AGO: &str = "ended_ago";

/// Identifies a build within one process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BuildId(pub u64);

/// A position in a build: the build, the step, the slot and the enclosing span.
#[derive(Clone, Debug)]
pub struct Probe {
    build: BuildId,
    step: Option<StepId>,
    slot: Option<u32>,
    parent: Span,
    delay: Option<Arc<Delay>>,
}

/// A delay for experiments. Each step with the phase, and the build itself, sleeps once within the interval of the phase; or each
/// step of an instruction sleeps at its start. A prediction for a longer phase or step can thus be compared with a real build.
///
/// The sleep is at the start of the phase; for a process, which already runs when its phase starts, at its end.
#[derive(Debug)]
pub struct Delay {
    at: Delayed,
    length: Duration,
    sleep: fn(Duration),
    /// The steps that had the delay.
    done: Mutex<HashSet<Option<StepId>>>,
}

/// The target of a [`Delay`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delayed {
    /// A phase.
    Phase(Phase),
    /// All steps of an instruction.
    Instruction(Instruction),
}

/// The end of a span at which a delay is. A process is delayed after it has run, other phases before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boundary {
    Start,
    End,
}

impl Boundary {
    fn of(phase: Phase) -> Self {
        if phase == Phase::Process { Self::End } else { Self::Start }
    }
}

impl Delay {
    /// `sleep` waits without blocking the threads of other steps.
    pub fn new(at: Delayed, length: Duration, sleep: fn(Duration)) -> Self {
        Self { at, length, sleep, done: Mutex::default() }
    }

    fn take(&self, phase: Phase, boundary: Boundary, step: Option<StepId>) {
        let here = self.at == Delayed::Phase(phase) && boundary == Boundary::of(phase);
        if here && self.done.lock().insert(step) {
            (self.sleep)(self.length);
        }
    }
}

impl Probe {
    pub(crate) fn root(build: BuildId) -> Self {
        Self { build, step: None, slot: None, parent: Span::none(), delay: None }
    }

    /// The same position in a build with a delay.
    pub fn delayed(self, delay: Delay) -> Self {
        Self { delay: Some(Arc::new(delay)), ..self }
    }

    /// A probe that records nothing: for library users and tests that need no record.
    pub fn disabled() -> Self {
        Self::root(BuildId(NONE))
    }

    /// The position in a step that runs on a slot.
    pub fn at(&self, step: StepId, slot: Option<u32>) -> Self {
        Self { step: Some(step), slot, ..self.clone() }
    }

    /// Waits for the delay of an experiment, at the start of a step of this instruction.
    pub fn begins(&self, instruction: &Instruction) {
        if let Some(delay) = &self.delay
            && matches!(&delay.at, Delayed::Instruction(delayed) if delayed == instruction)
        {
            (delay.sleep)(delay.length);
        }
    }

    /// The step of this probe.
    pub fn step(&self) -> Option<StepId> {
        self.step
    }

    /// Opens a span that lasts until the guard is dropped. Spans opened through [`PhaseSpan::probe`] become its children.
    pub fn phase(&self, phase: Phase) -> PhaseSpan {
        let span = PhaseSpan { span: phase.open(self), phase, at: self.clone() };
        span.delay(Boundary::Start);
        span
    }

    /// Adds an interval that was measured elsewhere, for example on another machine. It is within the span of this probe.
    pub fn interval(&self, phase: Phase, name: &str, start: Instant, end: Instant) {
        let (span, now) = (phase.open(self), Instant::now());
        let ago = |instant| u64::try_from(now.saturating_duration_since(instant).as_nanos()).unwrap_or(u64::MAX);
        span.record("detail", &*redacted(name));
        span.record(BEGAN_AGO, ago(start));
        span.record(ENDED_AGO, ago(end));
        span.record(ENDED, true);
    }

    /// Opens a wait for the results of other steps. [`WaitSpan::on`] names the last of them when the wait ends.
    pub fn wait_dependency(&self) -> WaitSpan {
        WaitSpan(tracing::info_span!(target: TARGET, parent: &self.parent, "wait.dependency",
            build = self.build.0, step = self.step_field(), on = Empty))
    }

    /// Opens a wait for a free slot.
    pub fn wait_slot(&self) -> WaitSpan {
        WaitSpan(tracing::info_span!(target: TARGET, parent: &self.parent, "wait.slot",
            build = self.build.0, step = self.step_field(), on = Empty))
    }

    /// Opens a wait for the lock of that name.
    pub fn wait_lock(&self, name: &str) -> WaitSpan {
        WaitSpan(tracing::info_span!(target: TARGET, parent: &self.parent, "wait.lock",
            build = self.build.0, step = self.step_field(), on = Empty, name = name))
    }

    /// Sets the value of a counter from now on. Names are lower case with dots: `steps.active`, `cpu.pressure`.
    pub fn count(&self, counter: &str, value: f64) {
        tracing::info!(target: TARGET, parent: &self.parent, build = self.build.0, step = self.step_field(), counter, value);
    }

    pub(crate) fn build(&self) -> BuildId {
        self.build
    }

    pub(crate) fn parent(&self) -> &Span {
        &self.parent
    }

    pub(crate) fn step_field(&self) -> u64 {
        self.step.map_or(NONE, |step| step.0.into())
    }

    pub(crate) fn slot_field(&self) -> u64 {
        self.slot.map_or(NONE, Into::into)
    }
}

/// A measured quantity of a span's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Directory entries visited.
    FilesWalked,
    /// Entries written to a layer.
    FilesChanged,
    /// Bytes read from files or blobs.
    BytesRead,
    /// Bytes written to files or blobs.
    BytesWritten,
    /// Bytes hashed.
    BytesHashed,
    /// Bytes given to a compressor.
    BytesCompressed,
}

impl Quantity {
    /// All quantities, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::FilesWalked,
        Self::FilesChanged,
        Self::BytesRead,
        Self::BytesWritten,
        Self::BytesHashed,
        Self::BytesCompressed,
    ];

    /// The name of the quantity in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::FilesWalked => "files_walked",
            Self::FilesChanged => "files_changed",
            Self::BytesRead => "bytes_read",
            Self::BytesWritten => "bytes_written",
            Self::BytesHashed => "bytes_hashed",
            Self::BytesCompressed => "bytes_compressed",
        }
    }
}

/// An open phase; dropping it ends the interval.
#[must_use = "a phase lasts until this guard is dropped"]
#[derive(Debug)]
pub struct PhaseSpan {
    span: Span,
    phase: Phase,
    at: Probe,
}

impl PhaseSpan {
    /// Sets a quantity of the span. A later value replaces an earlier one.
    pub fn quantity(&self, quantity: Quantity, amount: u64) -> &Self {
        self.span.record(quantity.name(), amount);
        self
    }

    /// Names what was worked on: a path, a reference, a driver. Credentials in addresses are left out.
    pub fn detail(&self, detail: &str) -> &Self {
        self.span.record("detail", &*redacted(detail));
        self
    }

    /// The probe inside this span.
    pub fn probe(&self) -> Probe {
        Probe { parent: self.span.clone(), ..self.at.clone() }
    }

    /// Ends the interval, like dropping the guard.
    pub fn end(self) {}

    fn delay(&self, boundary: Boundary) {
        if let Some(delay) = &self.at.delay {
            delay.take(self.phase, boundary, self.at.step);
        }
    }
}

impl Drop for PhaseSpan {
    /// The span itself lives as long as any probe within it, but its interval ends here.
    fn drop(&mut self) {
        self.delay(Boundary::End);
        self.span.record(ENDED, true);
    }
}

/// An open wait; dropping it ends the interval.
#[must_use = "a wait lasts until this guard is dropped"]
#[derive(Debug)]
pub struct WaitSpan(Span);

impl WaitSpan {
    /// Names the step that was waited for, if that is only known afterwards: the holder of the slot or of the lock.
    pub fn on(&self, step: StepId) -> &Self {
        self.0.record("on", u64::from(step.0));
        self
    }

    /// Ends the interval, like dropping the guard.
    pub fn end(self) {}
}
