//! Why a build has no image.

use crate::images::ImageError;
use buildscope_dockerfile::{Diagnostics, Span};
use buildscope_storage::StorageError;
use miette::{Diagnostic, NamedSource};
use std::path::PathBuf;

/// Why a build has no image. Printed by miette, with the Dockerfile's lines where there are some.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BuildError {
    /// The Dockerfile or its ignore file can't be read.
    #[error("cannot read {}", path.display())]
    #[diagnostic(help("the Dockerfile is looked for in the context; name another one with -f"))]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The Dockerfile says something that can't be understood, or can't be carried out.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dockerfile(#[from] Diagnostics),
    /// An option of the request has no meaning.
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
    /// Stages need each other's parts, so whole stages cannot run one after the other.
    #[error("the stages need each other: {0}")]
    #[diagnostic(help("build it with --granularity instructions or serial"))]
    Cycle(#[from] buildscope_schedule::Cycle),
    /// The build was cancelled from outside.
    #[error("the build was cancelled")]
    Cancelled,
}

/// A step failed: its place in the Dockerfile, the cause, and the last lines that it wrote.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct StepError {
    /// What failed, in a line.
    pub message: String,
    /// The Dockerfile.
    #[source_code]
    pub dockerfile: NamedSource<String>,
    /// The instruction.
    #[label("{label}")]
    pub span: Span,
    /// What to say at the instruction.
    pub label: String,
    /// What to do about it, or the last lines of output.
    #[help]
    pub help: Option<String>,
    /// The process's exit code, where it had one.
    pub exit_code: Option<i32>,
}
