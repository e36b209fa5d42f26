//! The kept records: one compressed file for each build, in the folder `builds` of the store.
//!
//! A file is a gzip stream of two lines of JSON: a [`KeptBuild`] and the record. A list of builds reads only the first line
//! of each. Files are named after the build's id, which starts with its time, so that names sort by age.

use super::limits::Limits;
use buildscope_record::{Nanos, Outcome, Record, Tool, redacted};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The version of the first line. Fields may be added under one version.
const VERSION: u32 = 1;

/// The largest record that is read, in bytes, so that a damaged file cannot fill the memory.
const LARGEST: u64 = 1 << 30;

/// The suffix of the names of kept files.
const SUFFIX: &str = ".json.gz";

/// An entry of the list of builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptBuild {
    /// The version of this format: [`VERSION`].
    pub(crate) kept: u32,
    /// The identity of the build: its time in UTC to the millisecond and two random digits.
    pub(crate) id: String,
    /// The start of the build, in RFC 3339.
    pub(crate) started: String,
    /// The program that observed the build.
    pub(crate) tool: Tool,
    /// The Dockerfile that was built.
    #[serde(flatten)]
    pub(crate) subject: Subject,
    /// The names of the image.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// The wall time in nanoseconds.
    pub(crate) wall: Nanos,
    /// The number of needed steps that add a layer.
    pub(crate) steps: usize,
    /// The number of those that were in the cache.
    pub(crate) cached: usize,
    /// Whether the build succeeded.
    pub(crate) succeeded: bool,
    /// Whether it was stopped before its end.
    #[serde(default)]
    pub(crate) cancelled: bool,
    /// The instruction that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
}

/// The subject of a build. Builds of the same subject can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// The build context: an absolute path or a URL without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
    /// The Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dockerfile: Option<String>,
    /// The target stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
}

impl KeptBuild {
    fn of(record: &Record, subject: Subject, tags: Vec<String>) -> Self {
        let started = record.started.clone().unwrap_or_else(|| jiff::Timestamp::now().to_string());
        let time = started.parse().unwrap_or_else(|_| jiff::Timestamp::now());
        let needed =
            || record.steps.iter().filter(|step| step.instruction.adds_layer() && step.outcome != Outcome::Pruned);
        let failed = record.steps.iter().find(|step| step.outcome == Outcome::Failed);
        Self {
            kept: VERSION,
            id: id(time),
            started,
            tool: record.source.tool.clone(),
            subject,
            tags,
            wall: record.wall,
            steps: needed().count(),
            cached: needed().filter(|step| matches!(step.outcome, Outcome::Cached | Outcome::Joined)).count(),
            succeeded: record.succeeded,
            cancelled: failed.is_none() && record.steps.iter().any(|step| step.outcome == Outcome::Cancelled),
            failed: failed.map(|step| step.text.clone()),
        }
    }
}

#[cfg(all(feature = "build", target_os = "linux"))]
impl KeptBuild {
    /// The share of steps that were in the cache, from 0 to 1.
    pub(crate) fn cached_share(&self) -> f64 {
        if self.steps == 0 { 1.0 } else { self.cached as f64 / self.steps as f64 }
    }
}

/// The time to the millisecond, and two random digits for builds of the same millisecond.
fn id(time: jiff::Timestamp) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    // Each RandomState has its own random keys.
    let random = RandomState::new().hash_one(()) as u8;
    format!("{}-{:03}{random:02x}", time.strftime("%Y%m%d-%H%M%S"), time.subsec_millisecond())
}

/// The folder of kept records.
#[derive(Clone, Debug)]
pub(crate) struct KeptBuilds {
    folder: PathBuf,
}

impl KeptBuilds {
    /// The kept records of the store in `root`. Nothing is created.
    pub(crate) fn of(root: &Path) -> Self {
        Self { folder: root.join("builds") }
    }

    /// Keeps a record, and then removes those beyond the limits. Returns what the list shows about it.
    ///
    /// # Errors
    /// The folder cannot be created or written to.
    pub(crate) fn keep(
        &self,
        record: &Record,
        subject: Subject,
        tags: Vec<String>,
        limits: &Limits,
    ) -> io::Result<KeptBuild> {
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let kept = KeptBuild::of(record, subject, tags);
        // Under another name until it is complete: no reader sees a part, and a crash leaves a file that the next build removes.
        let part = self.folder.join(format!(".{}.part", kept.id));
        let path = self.path(&kept.id);
        let written = write(&part, &kept, record).and_then(|()| fs::rename(&part, &path)).map_err(at(&path));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written?;
        self.trim(limits)?;
        Ok(kept)
    }

    /// Every readable build, the newest first. Files that cannot be read are left out; [`Self::damaged`] names them.
    ///
    /// # Errors
    /// The folder exists and cannot be listed.
    pub(crate) fn list(&self) -> io::Result<Vec<KeptBuild>> {
        Ok(self.files()?.iter().rev().filter_map(|file| first_line(&file.path).ok()).collect())
    }

    /// The files of builds that cannot be read, each with the error.
    ///
    /// # Errors
    /// The folder exists and cannot be listed.
    pub(crate) fn damaged(&self) -> io::Result<Vec<(PathBuf, io::Error)>> {
        let error = |file: KeptFile| first_line(&file.path).err().map(|error| (file.path, error));
        Ok(self.files()?.into_iter().filter_map(error).collect())
    }

    /// Whether there is a file of this build, readable or not.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.path(id).is_file()
    }

    /// The record of a build.
    ///
    /// # Errors
    /// There is no such build, or its file is damaged.
    pub(crate) fn read(&self, id: &str) -> io::Result<Record> {
        let path = self.path(id);
        let read = || {
            let mut lines = open(&path)?;
            lines.read_until(b'\n', &mut Vec::new())?;
            Record::read(lines).map_err(io::Error::other)
        };
        read().map_err(at(&path))
    }

    /// Removes a build.
    ///
    /// # Errors
    /// There is no such build, or the file cannot be removed.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        let path = self.path(id);
        fs::remove_file(&path).map_err(at(&path))
    }

    /// Removes all builds, also damaged ones.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.files()?.iter().try_for_each(|file| fs::remove_file(&file.path).map_err(at(&file.path)))
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    /// The files of builds, the oldest first.
    fn files(&self) -> io::Result<Vec<KeptFile>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&self.folder))?,
        };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A file may be removed by another build meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.ends_with(SUFFIX) && metadata.is_file() {
                files.push(KeptFile { path: entry.path(), bytes: metadata.len(), modified });
            } else if name.ends_with(".part") && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Removes what is beyond the limits, the oldest first. The newest build stays.
    fn trim(&self, limits: &Limits) -> io::Result<()> {
        let files = self.files()?;
        let mut bytes: u64 = 0;
        for (newer, file) in files.iter().rev().enumerate() {
            bytes = bytes.saturating_add(file.bytes);
            let old = file.modified.elapsed().is_ok_and(|age| age > limits.age);
            if newer > 0 && (bytes > limits.bytes.0 || (newer >= limits.builds && old)) {
                let _ = fs::remove_file(&file.path);
            }
        }
        Ok(())
    }
}

/// Names the file in an error.
fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// After this time, an incomplete file belongs to a build that was killed.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(3_600);

/// A file of the folder.
struct KeptFile {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

fn write(path: &Path, kept: &KeptBuild, record: &Record) -> io::Result<()> {
    let mut to = GzEncoder::new(io::BufWriter::new(fs::File::create(path)?), Compression::fast());
    // Each line in one piece: the compressor works at each write, and JSON is written in tiny ones.
    for line in [serde_json::to_string(kept)?, serde_json::to_string(record)?] {
        to.write_all(redacted(&line).as_bytes())?;
        to.write_all(b"\n")?;
    }
    to.finish()?.flush()
}

fn open(path: &Path) -> io::Result<impl io::BufRead + use<>> {
    Ok(BufReader::new(GzDecoder::new(BufReader::new(fs::File::open(path)?)).take(LARGEST)))
}

fn first_line(path: &Path) -> io::Result<KeptBuild> {
    let mut line = Vec::new();
    open(path)?.take(1 << 20).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::ByteSize;
    use buildscope_reports::synthetic::Synthetic;
    use std::time::Duration;

    fn record(second: u8) -> Record {
        let mut build = Synthetic::default();
        let stage = build.stage("app");
        build.step(stage, "RUN make", 0..500);
        build.idle(stage, "COPY . .", Outcome::Cached);
        build.with(|record| record.started = Some(format!("2026-11-28T09:00:{second:02}Z")));
        build.finish(500)
    }

    fn keep(builds: &KeptBuilds, second: u8, limits: &Limits) -> KeptBuild {
        builds.keep(&record(second), Subject::default(), vec!["app".into()], limits).unwrap()
    }

    #[test]
    fn a_kept_record_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let builds = KeptBuilds::of(folder.path());
        assert_eq!(builds.list().unwrap(), []);
        let kept = keep(&builds, 1, &Limits::default());
        assert!(kept.id.starts_with("20261128-090001-"), "{}", kept.id);
        assert_eq!((kept.steps, kept.cached, kept.wall), (2, 1, Nanos(500_000_000)));
        assert_eq!(builds.list().unwrap(), std::slice::from_ref(&kept));
        assert_eq!(builds.read(&kept.id).unwrap(), record(1));
        builds.remove(&kept.id).unwrap();
        assert_eq!(builds.list().unwrap(), []);
    }

    #[test]
    fn credentials_in_addresses_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let builds = KeptBuilds::of(folder.path());
        let mut record = record(1);
        record.steps[0].text = "RUN git clone https://me:secret@host/a.git".into();
        record.steps[0].outcome = Outcome::Failed;
        let tags = vec!["https://me:secret@host".into()];
        let kept = builds.keep(&record, Subject::default(), tags, &Limits::default()).unwrap();
        let mut text = String::new();
        open(&builds.path(&kept.id)).unwrap().read_to_string(&mut text).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(text.matches("git clone https://me:xxxxx@host/a.git").count(), 2, "{text}");
    }

    #[test]
    fn old_records_beyond_the_number_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let builds = KeptBuilds::of(folder.path());
        let limits = Limits { builds: 2, age: Duration::from_secs(60), ..Limits::default() };
        for second in 1..=3 {
            keep(&builds, second, &limits);
        }
        // All are younger than a minute.
        assert_eq!(builds.list().unwrap().len(), 3);
        let last = keep(&builds, 4, &Limits { age: Duration::ZERO, ..limits });
        let left: Vec<_> = builds.list().unwrap().into_iter().map(|kept| kept.started).collect();
        assert_eq!(left, ["2026-11-28T09:00:04Z", "2026-11-28T09:00:03Z"]);
        // The newest record stays even if it alone is too large.
        let one = keep(&builds, 5, &Limits { bytes: ByteSize(1), ..limits });
        assert_eq!(builds.list().unwrap(), [one]);
        assert!(builds.read(&last.id).is_err());
    }

    #[test]
    fn damaged_files_are_named_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let builds = KeptBuilds::of(folder.path());
        let kept = keep(&builds, 1, &Limits::default());
        fs::write(folder.path().join("builds/20261128-100000-0000.json.gz"), "no gzip").unwrap();
        assert_eq!(builds.list().unwrap(), [kept]);
        assert!(builds.read("20261128-100000-0000").is_err() && builds.contains("20261128-100000-0000"));
        let damaged = builds.damaged().unwrap();
        assert_eq!(damaged.len(), 1);
        assert!(damaged[0].0.ends_with("20261128-100000-0000.json.gz"));
        builds.clear().unwrap();
        assert_eq!(fs::read_dir(folder.path().join("builds")).unwrap().count(), 0);
    }
}
