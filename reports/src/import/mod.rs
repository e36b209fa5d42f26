//! Other builders' logs and traces, read as build records.
//!
//! *Takes* bytes. *Gives* a record, valid, with a fidelity that says what the format lacks: a gap that no line explains
//! is labelled as inferred, an edge that only the order of lines suggests is a guess. *Must never* panic: a torn,
//! truncated or hostile file gives a record of what could be read, or an error.

mod archive;
mod buildah;
mod buildkit;
mod classic;
mod dockerbuild;
mod draft;
mod inspect;
mod kaniko;
mod lines;
mod names;
mod plain;
mod protobuf;
mod provenance;
mod rawjson;
mod trace;

use buildscope_record::{Record, RecordError};
use draft::Draft;
use std::fmt;

/// The most bytes that a compressed file may become: a real export is a few megabytes.
const LARGEST: u64 = 1 << 30;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A build record, ours.
    Record,
    /// BuildKit's `--progress=rawjson`: a SolveStatus a line.
    RawJson,
    /// `docker buildx history export`: a gzip'd OCI layout.
    DockerBuild,
    /// `docker buildx history inspect --format json`.
    Inspect,
    /// BuildKit's `--progress=plain`, with or without a time before each line.
    Plain,
    /// The classic builder's output, with or without a time before each line.
    Classic,
    /// buildah's output, with or without a time before each line.
    Buildah,
    /// kaniko's `BENCHMARK_FILE`.
    Kaniko,
    /// OpenTelemetry spans: OTLP as JSON.
    Otlp,
    /// OpenTelemetry spans as Go's `stdouttrace` writes them, the form inside a `.dockerbuild`.
    StdoutTrace,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "a build record",
            Self::RawJson => "BuildKit's rawjson progress",
            Self::DockerBuild => "a .dockerbuild export",
            Self::Inspect => "buildx history inspect",
            Self::Plain => "BuildKit's plain progress",
            Self::Classic => "the classic builder's log",
            Self::Buildah => "buildah's log",
            Self::Kaniko => "kaniko's benchmark file",
            Self::Otlp => "OTLP spans as JSON",
            Self::StdoutTrace => "stdouttrace spans",
        })
    }
}

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is none of the known formats.
    #[error(
        "no known format: buildscope reads its own records, BuildKit's rawjson and plain progress, .dockerbuild exports, \
         `buildx history inspect --format json`, the classic builder's and buildah's logs, kaniko's benchmark file and OTLP JSON"
    )]
    Unknown,
    /// It is of that format, but says nothing.
    #[error("{format} without a single step")]
    Empty {
        /// The format that it looked like.
        format: Format,
    },
    /// It is of that format, but cannot be read.
    #[error("{format}: {reason}")]
    Broken {
        /// The format that it looked like.
        format: Format,
        /// What is wrong.
        reason: String,
    },
    /// It is a record that cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What these bytes are, from what they begin with.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.get(257..262) == Some(b"ustar") {
        return Some(Format::DockerBuild);
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start().starts_with('{') { json_format(&text) } else { lines::format(&text) }
}

/// A JSON file's format, from the keys of its first object; a log may begin with an object too (rawjson).
fn json_format(text: &str) -> Option<Format> {
    // A record begins so as it is written, and may have hundreds of megabytes: they need not be read to know it.
    if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"schema\"") {
        return Some(Format::Record);
    }
    let first = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next();
    let Some(Ok(serde_json::Value::Object(first))) = first else {
        // Torn within the first object: the first line still says what it is.
        let head = text.get(..text.len().min(400)).unwrap_or(text);
        let has = |key: &str| head.contains(key);
        return if has("\"vertexes\"") || has("\"statuses\"") {
            Some(Format::RawJson)
        } else if has("\"resourceSpans\"") {
            Some(Format::Otlp)
        } else if has("\"SpanContext\"") {
            Some(Format::StdoutTrace)
        } else if has("\"schema\"") {
            Some(Format::Record)
        } else {
            None
        };
    };
    let has = |key: &str| first.contains_key(key);
    if has("schema") && has("steps") {
        Some(Format::Record)
    } else if ["vertexes", "statuses", "logs", "warnings"].iter().any(|key| has(key)) {
        Some(Format::RawJson)
    } else if has("resourceSpans") {
        Some(Format::Otlp)
    } else if has("SpanContext") {
        Some(Format::StdoutTrace)
    } else if has("Ref") && has("StartedAt") {
        Some(Format::Inspect)
    } else if has("schema") {
        Some(Format::Record)
    } else if !first.is_empty() && first.values().all(serde_json::Value::is_i64) {
        Some(Format::Kaniko)
    } else {
        None
    }
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
