//! What files held when they were last read, by their `stat`: unchanged files are not read again.
//!
//! One file a context: a magic, fixed-size records sorted by inode, and a digest of all that. It
//! is replaced by a rename; a torn, foreign or older one is an empty one.

use super::node::Status;
use crate::storage::Timestamp;
use buildscope_record::Digest;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Changes with the format.
const MAGIC: &[u8; 8] = b"bsstat1\n";
const RECORD: usize = 8 * 3 + 12 * 2 + 32;
/// Within this time of its last change a file may change again and keep its times: the kernel's
/// clock for file times ticks every 1 to 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// The same for file systems that keep whole seconds (FAT: every other one).
const COARSE_TICK: Duration = Duration::from_millis(2_100);
/// Records of files that this build did not look at are kept up to this many.
const KEEP_UNSEEN: usize = 100_000;

/// The digest of a file that had this identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    pub(super) digest: Digest,
}

impl Record {
    pub(super) fn new(stat: &Status, digest: Digest) -> Self {
        Self { dev: stat.dev, ino: stat.ino, size: stat.size, mtime: stat.mtime, ctime: stat.ctime, digest }
    }

    fn place(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    fn write(&self, to: &mut Vec<u8>) {
        for word in [self.dev, self.ino, self.size] {
            to.extend(word.to_le_bytes());
        }
        for time in [self.mtime, self.ctime] {
            to.extend(time.seconds.to_le_bytes());
            to.extend(time.nanos.to_le_bytes());
        }
        to.extend(self.digest.as_bytes());
    }

    fn read(bytes: &[u8; RECORD]) -> Self {
        let array = |at: usize| -> [u8; 8] { std::array::from_fn(|i| bytes[at + i]) };
        let word = |at| u64::from_le_bytes(array(at));
        let time = |at: usize| Timestamp {
            seconds: i64::from_le_bytes(array(at)),
            nanos: u32::from_le_bytes(std::array::from_fn(|i| bytes[at + 8 + i])),
        };
        Self {
            dev: word(0),
            ino: word(8),
            size: word(16),
            mtime: time(24),
            ctime: time(36),
            digest: Digest::from_bytes(std::array::from_fn(|i| bytes[48 + i])),
        }
    }
}

/// Whether a file with this `stat`, read at `read_at`, may have changed right after without its times' showing it:
/// the racily clean case of git's index ("Racy Git" in its technical documentation).
///
/// The change time alone decides: any write, even one that resets the modification time, moves it.
pub(super) fn is_racy(ctime: Timestamp, read_at: SystemTime) -> bool {
    let tick = if ctime.nanos == 0 { COARSE_TICK } else { TICK };
    let Ok(seconds) = u64::try_from(ctime.seconds) else { return false };
    SystemTime::UNIX_EPOCH + Duration::new(seconds, ctime.nanos) + tick >= read_at
}

/// The records of one context.
#[derive(Clone, Debug, Default)]
pub(super) struct StatCache {
    /// Sorted by inode, one an inode.
    records: Vec<Record>,
}

impl StatCache {
    /// The file for the context at `root` in `dir`.
    pub(super) fn path(dir: &Path, root: &Path) -> PathBuf {
        dir.join(Digest::of(root.as_os_str().as_encoded_bytes()).hex())
    }

    pub(super) fn load(path: &Path) -> Self {
        fs::read(path).ok().and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, digest) = bytes.split_last_chunk::<32>()?;
        let (records, []) = body.strip_prefix(MAGIC)?.as_chunks::<RECORD>() else { return None };
        (Digest::of(body).as_bytes() == digest).then(|| Self { records: records.iter().map(Record::read).collect() })
    }

    /// What the file with this `stat` held, if it is known.
    pub(super) fn get(&self, stat: &Status) -> Option<Digest> {
        let at = self.records.binary_search_by_key(&(stat.dev, stat.ino), Record::place).ok()?;
        let found = self.records[at];
        (found == Record::new(stat, found.digest)).then_some(found.digest)
    }

    /// Takes in what was read now.
    pub(super) fn merge(&mut self, mut new: Vec<Record>) {
        new.sort_unstable_by_key(Record::place);
        new.dedup_by_key(|record| record.place());
        if self.records.len() > KEEP_UNSEEN + new.len() {
            self.records.clear();
        }
        // New ones come first among equals: the sort is stable.
        new.append(&mut self.records);
        new.sort_by_key(Record::place);
        new.dedup_by_key(|record| record.place());
        self.records = new;
    }

    /// Replaces the file. No sync: after a crash the digest tells a torn file, which costs one reading of the context.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + RECORD * self.records.len() + 32);
        bytes.extend(MAGIC);
        for record in &self.records {
            record.write(&mut bytes);
        }
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        let temporary = path.with_extension(std::process::id().to_string());
        let written = fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ino: u64, seconds: i64) -> Status {
        let time = Timestamp { seconds, nanos: 5 };
        Status { dev: 1, ino, rdev: 0, links: 1, mode: 0o644, size: 3, mtime: time, ctime: time }
    }

    #[test]
    fn remembers_by_inode_size_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = StatCache::path(dir.path(), Path::new("/somewhere"));
        let (one, two) = (Digest::of("1"), Digest::of("2"));
        let mut cache = StatCache::load(&path);
        cache.merge(vec![Record::new(&status(9, 7), one), Record::new(&status(2, 7), two)]);
        cache.save(&path).unwrap();
        let mut cache = StatCache::load(&path);
        assert_eq!((cache.get(&status(9, 7)), cache.get(&status(2, 7))), (Some(one), Some(two)));
        assert_eq!((cache.get(&status(9, 8)), cache.get(&status(3, 7))), (None, None));
        assert_eq!(cache.get(&Status { size: 4, ..status(9, 7) }), None);
        cache.merge(vec![Record::new(&status(9, 8), two)]);
        assert_eq!(
            (cache.get(&status(9, 7)), cache.get(&status(9, 8)), cache.get(&status(2, 7))),
            (None, Some(two), Some(two))
        );
    }

    #[test]
    fn a_torn_or_foreign_file_is_an_empty_one() {
        let mut cache = StatCache::default();
        cache.merge(vec![Record::new(&status(9, 7), Digest::of("1"))]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        cache.save(&path).unwrap();
        let good = fs::read(&path).unwrap();
        assert_eq!(good.len(), 8 + RECORD + 32);
        assert!(StatCache::parse(&good).is_some());
        assert!(StatCache::parse(&good[..good.len() - 1]).is_none());
        assert!(StatCache::parse(b"").is_none());
        let mut bad = good;
        bad[60] ^= 1;
        assert!(StatCache::parse(&bad).is_none());
    }

    #[test]
    fn a_file_changed_within_a_tick_of_its_reading_is_racy() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let changed = Timestamp { seconds: 100, nanos: 500_000_001 };
        assert!(is_racy(changed, at(100_500)));
        assert!(is_racy(changed, at(100_519)));
        assert!(!is_racy(changed, at(100_521)));
        // A file from the future can always change again.
        assert!(is_racy(changed, at(50_000)));
        let coarse = Timestamp { seconds: 100, nanos: 0 };
        assert!(is_racy(coarse, at(102_000)));
        assert!(!is_racy(coarse, at(102_101)));
    }
}
