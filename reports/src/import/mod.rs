//! Other builders' logs and traces, read as build records.
//!
//! *Takes* bytes. *Gives* a valid record with a fidelity that says what the format lacks: a gap without an explanation is labelled
//! as inferred, and an edge that only the order of the lines suggests is a guess. *Must never* panic: a truncated, corrupt or
//! hostile file gives a record of what could be read, or an error.

mod archive;
mod buildah;
mod buildkit;
mod classic;
mod detect;
mod dockerbuild;
mod draft;
mod format;
mod inspect;
mod kaniko;
mod lines;
mod names;
mod plain;
mod protobuf;
mod provenance;
mod rawjson;
mod trace;

pub use detect::detect;
pub use format::Format;

use buildscope_record::{Record, RecordError};
use draft::Draft;

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The format is unknown.
    #[error(
        "no known format: buildscope reads its own records, BuildKit's rawjson and plain progress, .dockerbuild exports, \
         `buildx history inspect --format json`, the classic builder's and buildah's logs, kaniko's benchmark file and OTLP JSON"
    )]
    Unknown,
    /// The file has a known format, but contains no step.
    #[error("{format} without a single step")]
    Empty {
        /// The detected format.
        format: Format,
    },
    /// The file has a known format, but cannot be read.
    #[error("{format}: {reason}")]
    Broken {
        /// The detected format.
        format: Format,
        /// Why it cannot be read.
        reason: String,
    },
    /// The file is a record that cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Reads a record from a file of any known format.
///
/// # Errors
/// Every [`ImportError`].
pub fn import(bytes: &[u8]) -> Result<Record, ImportError> {
    import_as(detect(bytes).ok_or(ImportError::Unknown)?, bytes)
}

/// Entrances for the fuzz targets in `fuzz/`; not an interface.
#[doc(hidden)]
pub mod fuzzing {
    /// Reads a file of this format, whatever its first bytes say.
    pub fn import_as(format: super::Format, bytes: &[u8]) -> Result<super::Record, super::ImportError> {
        super::import_as(format, bytes)
    }
}

fn import_as(format: Format, bytes: &[u8]) -> Result<Record, ImportError> {
    let broken = |reason: String| ImportError::Broken { format, reason };
    let text = || String::from_utf8_lossy(bytes);
    let draft: Draft = match format {
        Format::Record => return Ok(Record::from_json(bytes)?),
        Format::RawJson => rawjson::read(&text()),
        Format::DockerBuild => dockerbuild::read(bytes).map_err(broken)?,
        Format::Inspect => inspect::read(&text()).map_err(broken)?,
        Format::Plain => plain::read(&text()),
        Format::Classic => classic::read(&text()),
        Format::Buildah => buildah::read(&text()),
        Format::Kaniko => kaniko::read(&text()).map_err(broken)?,
        Format::Otlp => trace::otlp(&text()).map_err(broken)?,
        Format::StdoutTrace => trace::stdout(&text()),
    };
    let empty = draft.steps.is_empty() && draft.spans.is_empty() && format != Format::Inspect;
    if empty {
        return Err(ImportError::Empty { format });
    }
    let record = draft.finish();
    record.validate().map_err(RecordError::Invalid)?;
    Ok(record)
}
