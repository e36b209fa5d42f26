//! The builds that are added up: where each record is, and in which order they come.

use crate::builds::KeptBuilds;
use crate::input::{LARGEST_LOG, read_file};
use crate::{Failure, write_message};
use buildscope_record::{Head, Options, Record};
use buildscope_reports::import;
use miette::miette;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// A build, before its record is read.
#[derive(Debug)]
pub(super) struct Build {
    /// The name of the Dockerfile.
    pub(super) name: String,
    started: Option<String>,
    /// The place in the order of builds that started at the same time or whose start is unknown.
    place: (PathBuf, usize),
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A kept build, by its id.
    Kept(KeptBuilds, String),
    /// A file with one record.
    Record(PathBuf),
    /// A build of another builder's log, which was read to know when it started.
    Imported(Box<Record>),
}

impl Build {
    /// Reads the record.
    pub(super) fn read(&self) -> Result<Record, String> {
        match &self.source {
            Source::Kept(builds, id) => builds.read(id).map_err(|error| format!("build {id}: {error}")),
            Source::Record(path) => {
                let bytes = read_file(path, LARGEST_LOG).map_err(|error| format!("{}: {error}", path.display()))?;
                Record::from_json(&bytes).map_err(|error| format!("{}: {error}", path.display()))
            }
            Source::Imported(record) => Ok((**record).clone()),
        }
    }

    fn order(&self) -> (&str, Option<&str>, &(PathBuf, usize)) {
        (&self.name, self.started.as_deref(), &self.place)
    }
}

/// The kept builds. The list starts with the newest.
pub(super) fn kept(builds: &KeptBuilds) -> Result<Vec<Build>, Failure> {
    let list = builds.list().map_err(Failure::internal)?;
    let build = |(age, kept): (usize, crate::builds::Kept)| Build {
        name: kept.subject.dockerfile.unwrap_or_else(|| kept.tool.to_string()),
        started: Some(kept.started),
        place: (PathBuf::new(), usize::MAX - age),
        source: Source::Kept(builds.clone(), kept.id),
    };
    Ok(sorted(list.into_iter().enumerate().map(build).collect()))
}

/// The builds of files and directories. Of a record only the head is read. A file that cannot be read is named and left out.
pub(super) fn of_files(paths: &[PathBuf]) -> Result<Vec<Build>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files).map_err(|error| Failure::usage(miette!("{}: {error}", path.display())))?;
    }
    let mut builds = Vec::new();
    for path in files {
        match of_file(&path) {
            Ok(found) => builds.extend(found),
            Err(error) => write_message(&format!("warning: {}: {error}: left out", path.display())),
        }
    }
    Ok(sorted(builds))
}

fn of_file(path: &Path) -> Result<Vec<Build>, String> {
    let build = |number, options: &Options, started, source| Build {
        name: name(options, path),
        started,
        place: (path.to_owned(), number),
        source,
    };
    let file = File::open(path).map_err(|error| error.to_string())?;
    if let Some(head) = Head::read(BufReader::new(file)) {
        return Ok(vec![build(0, &head.options, head.started, Source::Record(path.to_owned()))]);
    }
    let bytes = read_file(path, LARGEST_LOG).map_err(|error| error.to_string())?;
    let records = import::builds(&bytes).map_err(|error| error.to_string())?.into_records();
    let imported = |(number, record): (usize, Record)| {
        let started = record.started.clone();
        build(number, &record.options.clone(), started, Source::Imported(Box::new(record)))
    };
    Ok(records.into_iter().enumerate().map(imported).collect())
}

/// By Dockerfile, and the builds of each in the order of time.
fn sorted(mut builds: Vec<Build>) -> Vec<Build> {
    builds.sort_by(|one, other| one.order().cmp(&other.order()));
    builds
}

/// The Dockerfile of a build; else the directory of the file, because a log does not name its Dockerfile.
fn name(options: &Options, path: &Path) -> String {
    let target = options.target.as_ref().map(|target| format!(" ({target})")).unwrap_or_default();
    let directory = || path.parent().unwrap_or(Path::new(".")).display().to_string();
    options.dockerfile.clone().unwrap_or_else(directory) + &target
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
