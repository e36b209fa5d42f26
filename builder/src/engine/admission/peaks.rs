//! The peak memory of steps in earlier builds: a file in the store.

use super::StepNames;
use buildscope_record::Digest;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The version of the file. A file of another one is ignored.
const VERSION: u32 = 1;

/// The number of steps that are remembered, the last ones. With two names a step, the file has at most 1 MB.
const MOST: usize = 8192;

#[derive(Serialize, Deserialize)]
struct PeakFile {
    version: u32,
    peaks: HashMap<String, Peak>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Peak {
    bytes: u64,
    /// The time of the measurement, in seconds since 1970.
    at: u64,
}

/// The peaks of earlier builds, and those of this one.
pub(super) struct Peaks {
    file: PathBuf,
    earlier: OnceLock<HashMap<String, Peak>>,
    seen: Mutex<HashMap<String, u64>>,
}

impl Peaks {
    pub(super) fn of(root: &Path) -> Self {
        Self { file: root.join("peaks.json"), earlier: OnceLock::new(), seen: Mutex::default() }
    }

    /// The peak of the step with the same inputs, else of the step with the same text in a stage of the same name.
    pub(super) fn expected(&self, names: &StepNames) -> Option<u64> {
        let seen = self.seen.lock();
        let earlier = self.earlier.get_or_init(|| read(&self.file));
        let [key, text] = names.digests();
        [key, text].iter().find_map(|name| seen.get(name).copied().or_else(|| Some(earlier.get(name)?.bytes)))
    }

    pub(super) fn observe(&self, names: &StepNames, bytes: u64) {
        if bytes > 0 {
            self.seen.lock().extend(names.digests().map(|name| (name, bytes)));
        }
    }

    /// Writes what was seen. A store that cannot be written to loses only expectations.
    pub(super) fn save(&self) {
        let seen = std::mem::take(&mut *self.seen.lock());
        if seen.is_empty() {
            return;
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        // Another build may have written meanwhile.
        let mut peaks = read(&self.file);
        peaks.extend(seen.into_iter().map(|(name, bytes)| (name, Peak { bytes, at })));
        if peaks.len() > MOST {
            let mut times: Vec<u64> = peaks.values().map(|peak| peak.at).collect();
            times.sort_unstable_by(|one, other| other.cmp(one));
            let oldest = times[MOST - 1];
            peaks.retain(|_, peak| peak.at >= oldest);
        }
        let _ = write(&self.file, &PeakFile { version: VERSION, peaks });
    }
}

impl StepNames {
    fn digests(&self) -> [String; 2] {
        // Half of a digest tells steps apart.
        let short = |text: String| Digest::of(text).hex()[..32].to_owned();
        [short(format!("key {}", self.key)), short(format!("text {}", self.text))]
    }
}

fn read(file: &Path) -> HashMap<String, Peak> {
    let document = fs::read(file).ok().and_then(|text| serde_json::from_slice::<PeakFile>(&text).ok());
    document.filter(|document| document.version == VERSION).map(|document| document.peaks).unwrap_or_default()
}

/// Replaces the file at once, so that no reader sees a part of it.
fn write(file: &Path, document: &PeakFile) -> io::Result<()> {
    let part = file.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&part, serde_json::to_vec(document)?).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::StepKey;

    fn names(key: &str, text: &str) -> StepNames {
        StepNames { key: StepKey::of(key), text: text.into() }
    }

    #[test]
    fn a_peak_is_found_by_the_key_and_then_by_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let peaks = Peaks::of(folder.path());
        assert_eq!(peaks.expected(&names("a", "build RUN make")), None);
        peaks.observe(&names("a", "build RUN make"), 1_000);
        peaks.observe(&names("b", "build RUN make"), 2_000);
        peaks.save();
        let later = Peaks::of(folder.path());
        assert_eq!(later.expected(&names("a", "other")), Some(1_000));
        assert_eq!(later.expected(&names("c", "build RUN make")), Some(2_000), "the last one with this text");
        assert_eq!(later.expected(&names("c", "test RUN make")), None);
    }

    #[test]
    fn two_builds_add_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Peaks::of(folder.path()), Peaks::of(folder.path()));
        assert_eq!((one.expected(&names("a", "a")), other.expected(&names("b", "b"))), (None, None));
        one.observe(&names("a", "a"), 1);
        other.observe(&names("b", "b"), 2);
        one.save();
        other.save();
        let later = Peaks::of(folder.path());
        assert_eq!((later.expected(&names("a", "x")), later.expected(&names("b", "x"))), (Some(1), Some(2)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_or_one_of_another_version_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["{", "{\"version\":9,\"peaks\":{}}", ""] {
            fs::write(folder.path().join("peaks.json"), text).unwrap();
            let peaks = Peaks::of(folder.path());
            assert_eq!(peaks.expected(&names("a", "a")), None);
            peaks.observe(&names("a", "a"), 5);
            peaks.save();
            assert_eq!(Peaks::of(folder.path()).expected(&names("a", "a")), Some(5));
        }
    }
}
