//! Errors of a build.

use crate::images::ImageError;
use buildscope_dockerfile::{Diagnostics, FileText, Span};
use buildscope_storage::StorageError;
use miette::Diagnostic;
use std::path::PathBuf;

/// The reason why a build has no image. miette prints it, with lines of the Dockerfile where they apply.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BuildError {
    /// The Dockerfile can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What to do.
        #[help]
        help: Option<String>,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An ignore file can't be read.
    #[error("cannot read the ignore file {}", path.display())]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The Dockerfile is invalid, or asks for something that is not possible.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dockerfile(#[from] Diagnostics),
    /// An option of the request is invalid.
    #[error("{0}")]
    Request(String),
    /// The build context can't be read.
    #[error("cannot read the build context")]
    Context(#[source] crate::sources::SourceError),
    /// A step failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Step(Box<StepError>),
    /// An image can't be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store can't be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Stages depend on each other in both directions, so they cannot run as wholes.
    #[error("stages depend on each other, so they cannot run one after the other: {0}")]
    #[diagnostic(help("build it with --granularity instructions or serial"))]
    Cycle(buildscope_schedule::Cycle),
    /// Some targets of several were not built. Each has an error of its own.
    #[error("{failed} of {all} targets failed")]
    Targets {
        /// The number of targets that were not built.
        failed: usize,
        /// The number of all targets.
        all: usize,
    },
    /// The build was cancelled from outside.
    #[error("the build was cancelled")]
    Cancelled,
}

impl From<buildscope_schedule::Cycle> for BuildError {
    fn from(cycle: buildscope_schedule::Cycle) -> Self {
        Self::Cycle(cycle)
    }
}

/// A step failed: its place in the Dockerfile, the cause, and the last lines that it wrote.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct StepError {
    /// One line: what failed and why.
    pub message: String,
    /// The text of the Dockerfile.
    #[source_code]
    pub dockerfile: FileText,
    /// The position of the instruction, or of its first characters.
    #[label("{label}")]
    pub span: Span,
    /// The position of its last lines, if it is long.
    #[label("its end")]
    pub tail: Option<Span>,
    /// The label at the instruction.
    pub label: String,
    /// A hint, or the last lines of output.
    #[help]
    pub help: Option<String>,
    /// The exit code of the process, if there was one.
    pub exit_code: Option<i32>,
}
