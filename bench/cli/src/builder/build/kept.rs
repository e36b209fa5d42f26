//! What a build leaves in the store and on the terminal: its kept record, and the summary at its end.

use super::arguments::ProgressMode;
use super::options::Options;
use crate::builds::{self, Expected, Kept, KeptBuilds, Limits, Subject};
use crate::{explain, otlp, output, write_message};
use buildscope_record::{Nanos, Outcome, Record};
use buildscope_reports::{explain_with, render};
use clap::ValueEnum;
use std::io::Write as _;

/// What is printed at the end of a build.
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

/// How the record of a build is kept.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) limits: Limits,
    pub(super) subject: Subject,
}

/// How long earlier builds of this Dockerfile took.
pub(super) fn expected(options: &Options) -> Option<Expected> {
    let subject = &options.keeping.as_ref()?.subject;
    Expected::of(&KeptBuilds::of(&options.root), subject, None)
}

/// Keeps the record. A store that cannot be written to must not fail the build.
pub(super) fn keep(options: &Options, record: &Record) -> Option<Kept> {
    let Keeping { limits, subject } = options.keeping.as_ref()?;
    let builds = KeptBuilds::of(&options.root);
    match builds.keep(record, subject.clone(), options.request.tags.clone(), limits) {
        Ok(kept) => Some(kept),
        Err(error) => {
            write_message(&format!(
                "warning: the record of this build is not kept: {error} (--no-record turns this off)"
            ));
            None
        }
    }
}

/// Prints the summary of a build that succeeded.
pub(super) fn summarize(options: &Options, record: &Record, kept: Option<&Kept>) {
    let shown = matches!(options.progress, ProgressMode::Tty | ProgressMode::Plain);
    if !shown || options.summary == Summary::None {
        return;
    }
    let earlier = earlier(options, record, kept);
    let explanation = explain_with(record, earlier.as_slice());
    let style = explain::style_of(&std::io::stderr());
    let text = match options.summary {
        Summary::Full => render::text(&explanation, style),
        Summary::Short | Summary::None => render::summary(&explanation, style),
    };
    // A closed standard error must not fail the build.
    let _ = std::io::stderr().write_all(output::shown(&text).as_bytes());
}

/// Sends the build to the collector that the environment names. A collector that does not answer must not fail the
/// build.
pub(super) fn send(record: &Record) {
    let Some(url) = otlp::endpoint_of_environment() else { return };
    if otlp::wants_grpc() {
        write_message(&format!("warning: the build is not sent to {url}: buildscope speaks OTLP over HTTP, not gRPC"));
        return;
    }
    let sent = otlp::send(&url, record, &explain_with(record, &[]), otlp::Parent::from_environment());
    if let Err(failure) = sent {
        write_message(&format!("warning: the build is not sent: {failure}"));
    }
}

/// The build of the same Dockerfile before this one, if it can say why steps ran.
fn earlier(options: &Options, record: &Record, kept: Option<&Kept>) -> Option<Record> {
    let ran = record.steps.iter().any(|step| step.adds_layer() && step.outcome == Outcome::Executed);
    let brief = options.summary == Summary::Short && record.wall < Nanos(1_000_000_000);
    if !ran || brief {
        return None;
    }
    before(options, kept)
}

/// The build of the same Dockerfile before this one.
pub(super) fn before(options: &Options, kept: Option<&Kept>) -> Option<Record> {
    let subject = &options.keeping.as_ref()?.subject;
    builds::earlier(&KeptBuilds::of(&options.root), subject, kept.map(|kept| kept.id.as_str()))
}
