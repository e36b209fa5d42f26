//! Other builders' logs and traces, read as build records.
//!
//! *Takes* bytes. *Gives* a valid record with a fidelity that says what the format lacks: a gap without an explanation is labelled
//! as inferred, and an edge that only the order of the lines suggests is a guess. *Must never* panic: a truncated, corrupt or
//! hostile file gives a record of what could be read, or an error.

mod archive;
mod bases;
mod buildah;
mod buildkit;
mod builds;
mod classic;
mod console;
mod dagger;
mod detect;
mod dockerbuild;
mod draft;
mod duration;
mod ending;
mod families;
mod finish;
mod foreign;
mod format;
mod gaps;
mod guess;
mod inspect;
mod instant;
mod kaniko;
mod kaniko_log;
mod late;
mod log;
mod marks;
mod mixed;
pub(crate) mod names;
mod output;
mod package;
mod plain;
mod possible;
mod protobuf;
mod provenance;
mod rawjson;
mod runs;
mod targets;
mod trace;
mod trace_span;
mod vertices;
mod wrapped;
mod zstd_frames;

pub use builds::Builds;
pub use detect::detect;
pub use format::Format;

use buildscope_record::{Record, RecordError};
use draft::Draft;
use foreign::Foreign;
use log::Log;
use package::Package;

/// The reason why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There are no bytes.
    #[error("it is empty")]
    NoBytes,
    /// The format is unknown.
    #[error(
        "no known format: buildscope reads its own records, BuildKit's rawjson, plain and terminal progress, .dockerbuild exports, \
         `buildx history inspect --format json`, logs of the classic builder, buildah and kaniko, kaniko's benchmark file and \
         OTLP JSON, with or without what CI services write before each line"
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
        /// The reason why it cannot be read.
        reason: String,
    },
    /// The file is of a kind that is not read: compressed, a document, or a log of a program that builds no Dockerfiles.
    #[error("{what} is not read: {instead}")]
    Foreign {
        /// The kind of file.
        what: &'static str,
        /// What is read instead.
        instead: &'static str,
    },
    /// The file is too large when decompressed.
    #[error("{0}")]
    TooLarge(String),
    /// The file has fewer builds.
    #[error("build {number} of a file with {count}: `--build` counts from 1")]
    NoBuild {
        /// The requested build.
        number: usize,
        /// The number of builds in the file.
        count: usize,
    },
    /// The file is a record that cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Reads a record from a file of any known format. If the file has several builds, it is the slowest.
///
/// # Errors
/// Every [`ImportError`].
pub fn import(bytes: &[u8]) -> Result<Record, ImportError> {
    builds(bytes)?.choose(None)
}

/// Reads all builds of a file of any known format.
///
/// # Errors
/// Every [`ImportError`] but [`ImportError::NoBuild`].
pub fn builds(bytes: &[u8]) -> Result<Builds, ImportError> {
    builds_of(bytes, &[])
}

/// Reads all builds of a file of any known format. `files` has the instructions of each Dockerfile that may have been built, each on one
/// line: they tell the lines of builds apart that ran at the same time.
///
/// # Errors
/// Every [`ImportError`] but [`ImportError::NoBuild`].
pub fn builds_of(bytes: &[u8], files: &[Vec<String>]) -> Result<Builds, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::NoBytes);
    }
    if let Some(Foreign { what, instead }) = foreign::by_start(bytes) {
        return Err(ImportError::Foreign { what, instead });
    }
    match package::open(bytes).map_err(ImportError::TooLarge)? {
        Package::Layout => document(Format::DockerBuild, bytes, ""),
        Package::One(file) => of_file(&file, files),
        Package::Several(packed) => {
            let mut records = Vec::new();
            let mut wrong = None;
            for file in &packed {
                match of_file(file, files) {
                    Ok(found) => records.extend(found.into_records()),
                    // An archive also has files without a build.
                    Err(ImportError::Unknown | ImportError::Empty { .. } | ImportError::Foreign { .. }) => {}
                    Err(error) => wrong = Some(error),
                }
            }
            records.sort_by(|a: &Record, b| a.started.cmp(&b.started));
            match wrong {
                _ if !records.is_empty() => Ok(Builds::new(records)),
                error => Err(error.unwrap_or(ImportError::Unknown)),
            }
        }
    }
}

/// Reads all builds of a file that is not packed.
fn of_file(bytes: &[u8], files: &[Vec<String>]) -> Result<Builds, ImportError> {
    let text = log::decode(bytes);
    if let Some((format, json)) = detect::document(&text) {
        return document(format, json.as_bytes(), json);
    }
    let text = wrapped::unwrapped(&text);
    let log = Log::read(&text);
    let formats = detect::by_marks(&log);
    let Some(&format) = formats.first() else {
        if let Some((format, json)) = detect::document_behind(&text) {
            return document(format, json.as_bytes(), json);
        }
        return Err(match foreign::by_lines(&text) {
            Some(Foreign { what, instead }) => ImportError::Foreign { what, instead },
            None => ImportError::Unknown,
        });
    };
    let mut drafts: Vec<Draft> = formats.into_iter().flat_map(|format| from_log(format, &log, files)).collect();
    drafts.retain(|draft| !draft.steps.is_empty());
    // The start of BuildKit itself is a build only if there is no other.
    let boots =
        |draft: &Draft| draft.steps.len() == 1 && draft.steps.iter().any(|step| step.text.contains("booting buildkit"));
    if !drafts.iter().all(boots) {
        drafts.retain(|draft| !boots(draft));
    }
    drafts.sort_by_key(|draft| draft.line);
    if drafts.is_empty() {
        return Err(ImportError::Empty { format });
    }
    for &line in &log.set_back {
        let next = drafts.partition_point(|draft| draft.line <= line);
        if let Some(draft) = next.checked_sub(1).and_then(|index| drafts.get_mut(index)) {
            draft.notes.push(
                "the clock was set back during the build: the time that passed meanwhile is unknown and left out"
                    .to_owned(),
            );
        }
    }
    let records = drafts.into_iter().map(record).collect::<Result<_, _>>()?;
    Ok(Builds::new(records))
}

/// Functions for the fuzz targets in `fuzz/`. They are not part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    use super::{Format, ImportError, Log, document, from_log, log, record, wrapped};

    /// Reads a file as this format, without regard to its content.
    pub fn import_as(format: Format, bytes: &[u8]) -> Result<super::Record, ImportError> {
        let text = log::decode(bytes);
        if !format.is_log() {
            return document(format, bytes, &text)?.choose(None);
        }
        let text = wrapped::unwrapped(&text);
        let draft = from_log(format, &Log::read(&text), &[]).into_iter().find(|draft| !draft.steps.is_empty());
        record(draft.ok_or(ImportError::Empty { format })?)
    }
}

/// Reads the builds of a log of that format.
fn from_log(format: Format, log: &Log, files: &[Vec<String>]) -> Vec<Draft> {
    match format {
        Format::RawJson => rawjson::builds(log, files),
        Format::Plain => plain::builds(log, files),
        Format::Classic => classic::builds(log, files),
        Format::Buildah => buildah::builds(log, files),
        Format::KanikoLog => kaniko_log::builds(log),
        Format::Terminal => console::builds(log),
        Format::Record
        | Format::DockerBuild
        | Format::Inspect
        | Format::Kaniko
        | Format::Otlp
        | Format::StdoutTrace => Vec::new(),
    }
}

/// Reads a document of that format. Only a `.dockerbuild` export can have several builds.
fn document(format: Format, bytes: &[u8], text: &str) -> Result<Builds, ImportError> {
    let broken = |reason: String| ImportError::Broken { format, reason };
    let mut drafts: Vec<Draft> = match format {
        Format::Record => return Ok(Builds::new(vec![Record::from_json(bytes)?])),
        Format::DockerBuild => dockerbuild::read(bytes).map_err(broken)?,
        Format::Inspect => vec![inspect::read(text).map_err(broken)?],
        Format::Kaniko => vec![kaniko::read(text).map_err(broken)?],
        Format::Otlp => vec![trace::otlp(text).map_err(broken)?],
        Format::StdoutTrace => vec![trace::stdout(text)],
        Format::RawJson | Format::Plain | Format::Classic | Format::Buildah | Format::KanikoLog | Format::Terminal => {
            return Err(ImportError::Unknown);
        }
    };
    drafts.retain(|draft| !draft.steps.is_empty() || !draft.spans.is_empty() || format == Format::Inspect);
    if drafts.is_empty() {
        return Err(ImportError::Empty { format });
    }
    Ok(Builds::new(drafts.into_iter().map(record).collect::<Result<_, _>>()?))
}

fn record(draft: Draft) -> Result<Record, ImportError> {
    let record = draft.finish().without_credentials();
    record.validate().map_err(RecordError::Invalid)?;
    Ok(record)
}
