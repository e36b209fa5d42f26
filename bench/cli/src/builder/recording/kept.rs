//! The kept record of a build, and the summary at its end.

use super::super::progress::ProgressMode;
use super::Recording;
use crate::builds::{self, Expected, KeptBuild, KeptBuilds, Limits, Subject};
use crate::{otlp, output, terminal, write_message};
use buildscope_record::{Nanos, Outcome, Record, Step};
use buildscope_reports::{Explanation, explain_with, render};
use clap::ValueEnum;
use std::cell::OnceCell;
use std::io::Write as _;

/// The short summary of a shorter build is not compared with the build before.
const BRIEF: Nanos = Nanos(1_000_000_000);

/// The summary at the end of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Summary {
    /// Nothing
    None,
    /// At most six lines: the wall time, the costliest steps, cache misses and the best change
    #[default]
    Short,
    /// What `buildscope explain` prints
    Full,
}

/// The options for keeping the record of a build.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) limits: Limits,
    pub(super) subject: Subject,
}

/// The expected time, from earlier builds of this Dockerfile.
pub(super) fn expected(recording: &Recording) -> Option<Expected> {
    let subject = &recording.keeping.as_ref()?.subject;
    Expected::of(&KeptBuilds::of(&recording.root).list().ok()?, subject)
}

/// Keeps the record. A store that cannot be written to must not fail the build.
pub(super) fn keep(recording: &Recording, record: &Record) -> Option<KeptBuild> {
    let Keeping { limits, subject } = recording.keeping.as_ref()?;
    let builds = KeptBuilds::of(&recording.root);
    match builds.keep(record, subject.clone(), recording.tags.clone(), limits) {
        Ok(kept) => Some(kept),
        Err(error) => {
            write_message(&format!(
                "warning: the record of this build is not kept: {error} (--no-record turns this off)"
            ));
            None
        }
    }
}

/// The record of this build, what the kept builds of the same Dockerfile say about it, and its explanation. Each part is
/// read or computed once, when it is first needed.
pub(super) struct Recorded<'b> {
    recording: &'b Recording,
    pub(super) record: Record,
    kept: Option<KeptBuild>,
    list: OnceCell<Vec<KeptBuild>>,
    before: OnceCell<Option<Record>>,
    explanation: OnceCell<Explanation>,
}

impl<'b> Recorded<'b> {
    pub(super) fn new(recording: &'b Recording, record: Record, kept: Option<KeptBuild>) -> Self {
        let (list, before, explanation) = Default::default();
        Self { recording, record, kept, list, before, explanation }
    }

    /// The expected time, from the other builds of this Dockerfile with a similar share of cached steps.
    pub(super) fn expected(&self) -> Option<Expected> {
        Expected::like(self.list(), self.kept.as_ref()?)
    }

    /// The share of steps that were in the cache, from 0 to 1.
    pub(super) fn cached_share(&self) -> f64 {
        self.kept.as_ref().map_or(0.0, KeptBuild::cached_share)
    }

    /// The build of the same Dockerfile before this one.
    pub(super) fn before(&self) -> Option<&Record> {
        let find = || {
            let builds = KeptBuilds::of(&self.recording.root);
            builds::earlier(&builds, self.list(), &self.recording.keeping.as_ref()?.subject, self.id())
        };
        self.before.get_or_init(find).as_ref()
    }

    /// The explanation. Cache misses are explained by the build before, except for a build that is too short to be worth
    /// reading another record.
    pub(super) fn explanation(&self) -> &Explanation {
        let executed = |step: &Step| step.instruction.adds_layer() && step.outcome == Outcome::Executed;
        let checked =
            self.recording.expect_cached || self.recording.budget.is_some() || self.recording.max_regression.is_some();
        let brief = self.recording.summary != Summary::Full && self.record.wall < BRIEF && !checked;
        let compared = self.record.steps.iter().any(executed) && !brief;
        self.explanation.get_or_init(|| {
            let before = compared.then(|| self.before()).flatten();
            explain_with(&self.record, before.map_or(&[], std::slice::from_ref))
        })
    }

    fn list(&self) -> &[KeptBuild] {
        self.list.get_or_init(|| KeptBuilds::of(&self.recording.root).list().unwrap_or_default())
    }

    fn id(&self) -> Option<&str> {
        self.kept.as_ref().map(|kept| kept.id.as_str())
    }

    /// Prints the summary, but not that of an interrupted build, nor the short summary of a build that failed soon: its error says
    /// everything.
    pub(super) fn summarize(&self) {
        let failed = || self.record.steps.iter().any(|step| step.outcome == Outcome::Failed);
        let long = self.record.wall >= BRIEF || self.recording.summary == Summary::Full;
        let matters = self.record.succeeded || (failed() && long);
        let shown = matters && matches!(self.recording.progress, ProgressMode::Tty | ProgressMode::Plain);
        let style = terminal::style_of(&std::io::stderr());
        let text = match self.recording.summary {
            _ if !shown => return,
            Summary::None => return,
            Summary::Full => render::text(self.explanation(), style),
            Summary::Short => render::summary(self.explanation(), style),
        };
        // A closed standard error must not fail the build.
        let _ = std::io::stderr().write_all(output::shown(&text).as_bytes());
    }

    /// Sends the build to the collector that the environment names. A collector that does not answer must not fail the
    /// build.
    pub(super) fn send(&self) {
        let Some(url) = otlp::endpoint_of_environment() else { return };
        let parent = otlp::Parent::from_environment();
        if !otlp::is_sampled(parent.as_ref()) {
            return;
        }
        if otlp::wants_grpc() {
            write_message(&format!(
                "warning: the build is not sent to {url}: buildscope speaks OTLP over HTTP, not gRPC"
            ));
            return;
        }
        if let Err(failure) = otlp::send(&url, &self.record, self.explanation(), parent) {
            write_message(&format!("warning: the build is not sent: {failure}"));
        }
    }
}
