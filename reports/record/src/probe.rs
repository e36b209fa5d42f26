//! How a build says what it is doing: a [`Probe`] opens spans, the record's layer collects them.
//!
//! A probe is a handle that a build passes down; it is cheap to clone and may cross threads. Where
//! nothing records, the spans are disabled callsites and cost a few nanoseconds each.

use crate::{Phase, StepId};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{Span, field::Empty};

/// The `tracing` target of every span and event of a build record.
pub(crate) const TARGET: &str = "buildscope";
/// "No step" and "no slot" in a span's numeric fields.
pub(crate) const NONE: u64 = u64::MAX;

/// The field that says that a span's interval is over.
pub(crate) const ENDED: &str = "ended";

/// Tells the builds of one process apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BuildId(pub u64);

/// Where in a build one is: its build, step, slot and enclosing span.
#[derive(Clone, Debug)]
pub struct Probe {
    build: BuildId,
    step: Option<StepId>,
    slot: Option<u32>,
    parent: Span,
    delay: Option<Arc<Delay>>,
}

/// A delay for experiments: each step that has the phase (and the build itself, if it has it) sleeps once within the
/// phase's interval, or each step of an instruction at its begin. So what a prediction says of a longer phase or step
/// can be held against a build in which it was longer.
///
/// It sleeps at the phase's begin; for a process, which already runs when its phase begins, at its end.
#[derive(Debug)]
pub struct Delay {
    at: Delayed,
    length: Duration,
    sleep: fn(Duration),
    /// Who has had it.
    done: Mutex<HashSet<Option<StepId>>>,
}

/// What a [`Delay`] makes longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delayed {
    /// A phase.
    Phase(Phase),
    /// All steps of an instruction, by its keyword in upper case.
    Instruction(String),
}

impl Delay {
    /// `sleep` is how the build waits without keeping others from their threads.
    pub fn new(at: Delayed, length: Duration, sleep: fn(Duration)) -> Self {
        Self { at, length, sleep, done: Mutex::default() }
    }

    fn take(&self, phase: Phase, at_end: bool, step: Option<StepId>) {
        let here = self.at == Delayed::Phase(phase) && at_end == (phase == Phase::Process);
        if here && self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(step) {
            (self.sleep)(self.length);
        }
    }
}

impl Probe {
    pub(crate) fn root(build: BuildId) -> Self {
        Self { build, step: None, slot: None, parent: Span::none(), delay: None }
    }

    /// The same place in a build in which a phase takes longer.
    pub fn delayed(self, delay: Delay) -> Self {
        Self { delay: Some(Arc::new(delay)), ..self }
    }

    /// A probe that records nothing: for library users and tests that need no record.
    pub fn disabled() -> Self {
        Self::root(BuildId(NONE))
    }

    /// The same place, in a step, on a slot.
    pub fn at(&self, step: StepId, slot: Option<u32>) -> Self {
        Self { step: Some(step), slot, ..self.clone() }
    }

    /// A step of this instruction begins: an experiment's delay is waited for.
    pub fn begins(&self, instruction: &str) {
        if let Some(delay) = &self.delay
            && matches!(&delay.at, Delayed::Instruction(delayed) if delayed == instruction)
        {
            (delay.sleep)(delay.length);
        }
    }

    /// The step this probe is in.
    pub fn step(&self) -> Option<StepId> {
        self.step
    }

    /// Opens a span: it lasts until the guard is dropped. What is opened through
    /// [`PhaseSpan::probe`] becomes its child.
    pub fn phase(&self, phase: Phase) -> PhaseSpan {
        let span = PhaseSpan { span: phase.open(self), phase, at: self.clone() };
        span.delay(false);
        span
    }

    /// Opens a wait for other steps' results. Which one came last is said at its end, by [`WaitSpan::on`].
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

    /// A counter's value from now on. Names are lower case with dots: `steps.active`, `cpu.pressure`.
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

/// A measured quantity of a span: how much of something its work was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Directory entries looked at.
    FilesWalked,
    /// Entries that went into a layer.
    FilesChanged,
    /// Bytes read from files or blobs.
    BytesRead,
    /// Bytes written to files or blobs.
    BytesWritten,
    /// Bytes that went through a hash.
    BytesHashed,
    /// Bytes that went into a compressor.
    BytesCompressed,
}

impl Quantity {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::FilesWalked,
        Self::FilesChanged,
        Self::BytesRead,
        Self::BytesWritten,
        Self::BytesHashed,
        Self::BytesCompressed,
    ];

    /// The name of the field in the record.
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
    /// Notes how much work it was. Say it once a quantity: the last value stands.
    pub fn quantity(&self, quantity: Quantity, amount: u64) -> &Self {
        self.span.record(quantity.name(), amount);
        self
    }

    /// Names what was worked on: a path, a reference, a driver.
    pub fn detail(&self, detail: &str) -> &Self {
        self.span.record("detail", detail);
        self
    }

    /// The probe inside this span.
    pub fn probe(&self) -> Probe {
        Probe { parent: self.span.clone(), ..self.at.clone() }
    }

    /// Ends the interval; the same as dropping the guard, said aloud.
    pub fn end(self) {}

    fn delay(&self, at_end: bool) {
        if let Some(delay) = &self.at.delay {
            delay.take(self.phase, at_end, self.at.step);
        }
    }
}

impl Drop for PhaseSpan {
    /// The span itself lives as long as any probe within it; the interval does not.
    fn drop(&mut self) {
        self.delay(true);
        self.span.record(ENDED, true);
    }
}

/// An open wait; dropping it ends the interval.
#[must_use = "a wait lasts until this guard is dropped"]
#[derive(Debug)]
pub struct WaitSpan(Span);

impl WaitSpan {
    /// The step that was waited for, where that is only known afterwards (who held the slot or the lock).
    pub fn on(&self, step: StepId) -> &Self {
        self.0.record("on", u64::from(step.0));
        self
    }

    /// Ends the interval; the same as dropping the guard, said aloud.
    pub fn end(self) {}
}
