//! The flags of the commands that build, about progress, records and what is demanded of a build.

use super::super::progress::ProgressMode;
use super::Recording;
use super::budget;
use super::kept::{Keeping, Summary};
use crate::builds::{Limits, Subject};
use crate::{Failure, Root, builds, destination, units};
use buildscope_observe::Collect;
use clap::Args;
use miette::miette;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most files that a kept record names for one step. Without a limit, a context of a million files would fill the
/// store with names.
const KEPT_FILES: usize = 10_000;

/// Progress, records, and demands on the time and the cache.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordingFlags {
    /// Progress output
    #[arg(long, value_enum, default_value_t, help_heading = "Output and diagnostics")]
    pub(in crate::builder) progress: ProgressMode,
    /// Write the build record to this file (JSON); `-` prints it instead of the image ID
    #[arg(long, value_name = "FILE", help_heading = "Output and diagnostics")]
    pub(in crate::builder) record: Option<PathBuf>,
    /// Do not keep the record of this build in the store (see `buildscope builds`)
    #[arg(long, help_heading = "Output and diagnostics")]
    pub(in crate::builder) no_record: bool,
    /// Keep the records of the last builds and those below an age, with a maximum total size; builds or age may be left
    /// out; none keeps no records
    /// [default: builds=100,age=30d,size=256MB]
    #[arg(
        long,
        value_name = "LIMITS",
        env = "BUILDSCOPE_KEEP_RECORDS",
        default_value = "",
        hide_default_value = true,
        help_heading = "Output and diagnostics"
    )]
    pub(in crate::builder) keep_records: Limits,
    /// What is printed at the end of the build, with the progress modes tty and plain; short needs a record
    #[arg(long, value_enum, default_value_t, value_name = "HOW", help_heading = "Output and diagnostics")]
    pub(in crate::builder) summary: Summary,
    /// Write a timeline to this file (Chrome trace JSON; open it in Perfetto)
    #[arg(long, value_name = "FILE", help_heading = "Output and diagnostics")]
    pub(in crate::builder) trace: Option<PathBuf>,
    /// Write every internal span of the engine to this file (Chrome trace JSON)
    #[arg(long, value_name = "FILE", help_heading = "Output and diagnostics")]
    pub(in crate::builder) engine_trace: Option<PathBuf>,
    /// Do not observe the processes inside the steps of a recorded build
    #[arg(long, help_heading = "Output and diagnostics")]
    pub(in crate::builder) no_processes: bool,
    /// Also sample the stacks of functions that the processes inside the steps run
    #[arg(long, conflicts_with = "no_processes", help_heading = "Output and diagnostics")]
    pub(in crate::builder) stacks: bool,
    /// Exit with code 1 if a RUN, COPY, ADD or WORKDIR misses the cache, and print what changed
    #[arg(long, help_heading = "Output and diagnostics")]
    pub(in crate::builder) expect_cached: bool,
    /// Exit with code 1 if the build takes longer (90s, 5m), and print why
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Output and diagnostics")]
    pub(in crate::builder) budget: Option<Duration>,
    /// Exit with code 1 if the build takes this much longer than the median of its kept earlier builds (20%), and print why
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = budget::share,
        conflicts_with = "no_record",
        help_heading = "Output and diagnostics"
    )]
    pub(in crate::builder) max_regression: Option<f64>,
    /// An earlier build that --expect-cached compares with: a record, `last` or an id; may be repeated, oldest first [default:
    /// the last build of this Dockerfile]
    #[arg(long, value_name = "RECORD", requires = "expect_cached", help_heading = "Output and diagnostics")]
    pub(in crate::builder) why_miss: Vec<PathBuf>,
}

impl RecordingFlags {
    /// Rejects what does not fit together, or would fail only at the end of the build.
    pub(in crate::builder) fn check(&self) -> Result<(), Failure> {
        if self.max_regression.is_some() && self.keep_records == Limits::NONE {
            let what = "--max-regression compares with kept builds: keep at least three records";
            return Err(Failure::usage(miette!("{what}")));
        }
        if self.stacks && !(self.keeps() || self.uses_record()) {
            return Err(Failure::usage(miette!(
                "--stacks needs a record to put them in: leave out --no-record, or add --record FILE"
            )));
        }
        if let Some(path) = &self.engine_trace {
            destination::check_file("--engine-trace", path)?;
        }
        let mut given = self.results().into_iter().filter_map(|(flag, path)| Some((flag, path?)));
        given.try_for_each(|(flag, path)| destination::check_result(flag, path))
    }

    /// The files that are written when the build has ended. One of them may be standard output.
    pub(in crate::builder) fn results(&self) -> [(&'static str, Option<&Path>); 2] {
        [("--record", self.record.as_deref()), ("--trace", self.trace.as_deref())]
    }

    /// Of how many files of a step the record has the names at most.
    pub(in crate::builder) fn named_files(&self) -> usize {
        match (self.record.is_some() || self.expect_cached, self.keeps()) {
            (true, _) => usize::MAX,
            (false, true) => KEPT_FILES,
            (false, false) => 0,
        }
    }

    /// Resolves the flags of a build of `subject` in the store of `root`, whose images get these names.
    pub(in crate::builder) fn resolve(
        self,
        root: &Root,
        subject: Subject,
        tags: Vec<String>,
    ) -> Result<Recording, Failure> {
        // They are read before the build: afterwards, `last` would be this build.
        let why_miss = self.why_miss.iter().map(|name| builds::read(name, root)).collect::<Result<_, _>>()?;
        Ok(Recording {
            uses_record: self.uses_record(),
            root: root.resolve()?,
            progress: shown(self.progress),
            keeping: self.keeps().then_some(Keeping { limits: self.keep_records, subject }),
            tags,
            record: self.record,
            summary: self.summary,
            budget: self.budget,
            max_regression: self.max_regression,
            trace: self.trace,
            engine_trace: self.engine_trace,
            processes: match (self.no_processes, self.stacks) {
                (true, _) => None,
                (false, true) => Some(Collect::Stacks),
                (false, false) => Some(Collect::Processes),
            },
            expect_cached: self.expect_cached,
            why_miss,
        })
    }

    /// Whether the record is written to a file, or something that is printed comes from it.
    fn uses_record(&self) -> bool {
        let printed = self.expect_cached || self.budget.is_some() || self.summary == Summary::Full;
        self.record.is_some() || self.trace.is_some() || printed
    }

    /// Whether the store keeps the record.
    fn keeps(&self) -> bool {
        !self.no_record && self.keep_records != Limits::NONE
    }
}

/// The view for this mode: `auto` is live on a terminal, and plain elsewhere.
fn shown(mode: ProgressMode) -> ProgressMode {
    match mode {
        ProgressMode::Auto if std::io::stderr().is_terminal() => ProgressMode::Tty,
        ProgressMode::Auto => ProgressMode::Plain,
        mode => mode,
    }
}
