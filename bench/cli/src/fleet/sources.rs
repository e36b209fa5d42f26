//! The builds that are added up: where each record is, and in which order they come.

use crate::builds::KeptBuilds;
use crate::input::{LARGEST_LOG, cannot_read, read_file, read_input};
use crate::{Failure, write_message};
use buildscope_record::{Head, Record};
use buildscope_reports::fleet::{Subjects, recorded_subject};
use buildscope_reports::import::{self, ImportError};
use miette::miette;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// A build, before its record is read.
#[derive(Debug)]
pub(super) struct UnreadBuild {
    /// The name of the Dockerfile.
    pub(super) name: String,
    started: Option<String>,
    /// The place in the order of builds that started at the same time or whose start is unknown.
    order: (PathBuf, usize),
    source: RecordSource,
}

#[derive(Debug)]
enum RecordSource {
    /// A kept build, by its id.
    Kept(KeptBuilds, String),
    /// A file with one record.
    Record(PathBuf),
    /// A build of another builder's log, which was read to know when it started.
    Imported(Box<Record>),
}

impl UnreadBuild {
    /// Reads the record.
    pub(super) fn read(&self) -> Result<Record, String> {
        match &self.source {
            RecordSource::Kept(builds, id) => builds.read(id).map_err(|error| format!("build {id}: {error}")),
            RecordSource::Record(path) => {
                let bytes = read_file(path, LARGEST_LOG).map_err(|error| format!("{}: {error}", cannot_read(path)))?;
                Record::from_json(&bytes).map_err(|error| format!("{}: {error}", cannot_read(path)))
            }
            RecordSource::Imported(record) => Ok((**record).clone()),
        }
    }

    fn order(&self) -> (&str, Option<&str>, &(PathBuf, usize)) {
        (&self.name, self.started.as_deref(), &self.order)
    }
}

/// The kept builds. The list starts with the newest.
pub(super) fn kept(builds: &KeptBuilds) -> Result<Vec<UnreadBuild>, Failure> {
    let list = builds.list().map_err(Failure::internal)?;
    let build = |(age, kept): (usize, crate::builds::KeptBuild)| UnreadBuild {
        name: kept.subject.dockerfile.unwrap_or_else(|| kept.tool.to_string()),
        started: Some(kept.started),
        order: (PathBuf::new(), usize::MAX - age),
        source: RecordSource::Kept(builds.clone(), kept.id),
    };
    Ok(sorted(list.into_iter().enumerate().map(build).collect()))
}

/// The builds of files and directories. Of a record only the head is read. A file that cannot be read is named and left out.
pub(super) fn of_files(paths: &[PathBuf]) -> Result<Vec<UnreadBuild>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files).map_err(|error| Failure::usage(miette!("{}: {error}", cannot_read(path))))?;
    }
    // A file that is named twice, or through a link, is one build.
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    let (mut builds, mut subjects, mut others) = (Vec::new(), Subjects::default(), Vec::new());
    for path in files {
        match of_file(&path, &mut subjects) {
            Ok(found) => builds.extend(found),
            // A directory may have anything.
            Err(unread) if unread.is_other && !paths.contains(&path) => others.push(path),
            Err(Unread { reason, .. }) => write_message(&format!("warning: {}: {reason}: left out", path.display())),
        }
    }
    if !others.is_empty() {
        let named: Vec<_> = others.iter().take(NAMED).map(|path| path.display().to_string()).collect();
        let more = match others.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write_message(&format!("warning: neither records nor logs of builds, so left out: {}{more}", named.join(", ")));
    }
    Ok(sorted(builds))
}

/// The number of files that a warning names.
const NAMED: usize = 3;

/// A file without builds.
struct Unread {
    reason: String,
    /// Whether it is something else than a record or a log.
    is_other: bool,
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self { reason: error.to_string(), is_other: false }
    }
}

impl From<ImportError> for Unread {
    fn from(error: ImportError) -> Self {
        use ImportError::{Empty, Foreign, NoBytes, Unknown};
        Self { reason: error.to_string(), is_other: matches!(error, NoBytes | Unknown | Empty { .. } | Foreign { .. }) }
    }
}

fn of_file(path: &Path, subjects: &mut Subjects) -> Result<Vec<UnreadBuild>, Unread> {
    let build = |number, name, started, source| UnreadBuild { name, started, order: (path.to_owned(), number), source };
    if let Some((name, head)) = head(path).and_then(|head| Some((recorded_subject(&head.options)?, head))) {
        return Ok(vec![build(0, name, head.started, RecordSource::Record(path.to_owned()))]);
    }
    let records = import::builds(&read_input(path, LARGEST_LOG)?)?.into_records();
    let imported = |(number, record): (usize, Record)| {
        let name = subjects.name(&record, &path.display().to_string());
        build(number, name, record.started.clone(), RecordSource::Imported(Box::new(record)))
    };
    Ok(records.into_iter().enumerate().map(imported).collect())
}

/// By Dockerfile, and the builds of each in the order of time.
fn sorted(mut builds: Vec<UnreadBuild>) -> Vec<UnreadBuild> {
    builds.sort_by(|one, other| one.order().cmp(&other.order()));
    builds
}

/// The head of a record. Standard input cannot be read twice.
fn head(path: &Path) -> Option<Head> {
    let file = File::open(path).ok().filter(|_| path != Path::new("-"))?;
    Head::read(BufReader::new(file))
}

/// The files of a directory and those below it. Links to directories are not followed.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
