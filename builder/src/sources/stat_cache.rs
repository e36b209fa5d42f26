//! The digests of files by their `stat`. An unchanged file is not read again: neither to hash it, nor to copy it once
//! a layer contains it.
//!
//! Each context has one cache file: a magic, fixed-size records sorted by inode, and a digest of both. The file is
//! replaced by a rename. A torn or foreign file, or one of an older format, counts as empty.

use super::content::StoredAt;
use super::stat::{Identity, Status, is_racy};
use buildscope_record::{BlobDigest, Digest};
use buildscope_storage::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// The first bytes of a cache file. They change with the format.
const MAGIC: &[u8; 8] = b"bsstat2\n";
const RECORD: usize = IDENTITY + 32 + 32 + 8;
const IDENTITY: usize = 8 * 3 + 12 * 2;
/// The largest number of records that are kept of files that this build did not read.
const KEEP_UNSEEN: usize = 100_000;

/// The content of a file in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) identity: Identity,
    pub(super) digest: Digest,
    /// The place in the store with the content.
    pub(super) stored_at: Option<StoredAt>,
}

impl Record {
    pub(super) fn new(stat: &Status, digest: Digest) -> Self {
        Self { identity: stat.into(), digest, stored_at: None }
    }

    fn inode(&self) -> (u64, u64) {
        inode(&self.identity)
    }

    fn write(&self, to: &mut Vec<u8>) {
        let Identity { dev, ino, size, mtime, ctime } = self.identity;
        for word in [dev, ino, size] {
            to.extend(word.to_le_bytes());
        }
        for time in [mtime, ctime] {
            to.extend(time.seconds.to_le_bytes());
            to.extend(time.nanos.to_le_bytes());
        }
        to.extend(self.digest.as_bytes());
        let (blob, offset) = self.stored_at.map_or(([0; 32], 0), |at| (*at.blob.as_bytes(), at.offset));
        to.extend(blob);
        to.extend(offset.to_le_bytes());
    }

    fn read(bytes: &[u8; RECORD]) -> Self {
        let array = |at: usize| -> [u8; 8] { std::array::from_fn(|i| bytes[at + i]) };
        let word = |at| u64::from_le_bytes(array(at));
        let time = |at: usize| Timestamp {
            seconds: i64::from_le_bytes(array(at)),
            nanos: u32::from_le_bytes(std::array::from_fn(|i| bytes[at + 8 + i])),
        };
        let digest = |at: usize| -> [u8; 32] { std::array::from_fn(|i| bytes[at + i]) };
        let blob = Some(digest(IDENTITY + 32)).filter(|blob| *blob != [0; 32]);
        Self {
            identity: Identity { dev: word(0), ino: word(8), size: word(16), mtime: time(24), ctime: time(36) },
            digest: Digest::from_bytes(digest(IDENTITY)),
            stored_at: blob.map(|blob| StoredAt { blob: BlobDigest::from_bytes(blob), offset: word(IDENTITY + 64) }),
        }
    }
}

fn inode(identity: &Identity) -> (u64, u64) {
    (identity.dev, identity.ino)
}

/// The records of one context.
#[derive(Clone, Debug, Default)]
pub(super) struct StatCache {
    /// The records, sorted by inode, at most one for each inode.
    records: Vec<Record>,
}

impl StatCache {
    /// The path in `dir` of the cache file for the context at `root`.
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

    /// Parses a cache file and looks up each of its records. Used by the fuzz targets.
    pub(super) fn read_back(bytes: &[u8]) {
        let Some(cache) = Self::parse(bytes) else { return };
        for record in &cache.records {
            let _ = (cache.get(&record.identity), is_racy(record.identity.ctime, SystemTime::UNIX_EPOCH));
        }
    }

    /// The record of the file in this state, if there is one.
    pub(super) fn get(&self, identity: &Identity) -> Option<&Record> {
        let at = self.records.binary_search_by_key(&inode(identity), Record::inode).ok()?;
        Some(&self.records[at]).filter(|record| record.identity == *identity)
    }

    /// Records which blobs contain these files. Returns whether a record changed.
    fn set_stored(&mut self, files: impl IntoIterator<Item = (Identity, StoredAt)>) -> bool {
        let mut changed = false;
        for (identity, stored_at) in files {
            let Ok(at) = self.records.binary_search_by_key(&inode(&identity), Record::inode) else { continue };
            let record = &mut self.records[at];
            if record.identity == identity && record.stored_at != Some(stored_at) {
                record.stored_at = Some(stored_at);
                changed = true;
            }
        }
        changed
    }

    /// Adds records. They replace older ones of the same inodes.
    pub(super) fn merge(&mut self, mut new: Vec<Record>) {
        new.sort_unstable_by_key(Record::inode);
        new.dedup_by_key(|record| record.inode());
        if self.records.len() > KEEP_UNSEEN + new.len() {
            self.records.clear();
        }
        // The sort is stable, so the new record of an inode comes before the old one.
        new.append(&mut self.records);
        new.sort_by_key(Record::inode);
        new.dedup_by_key(|record| record.inode());
        self.records = new;
    }

    /// Replaces the file, without fsync. After a crash the digest reveals a torn file; then the context is read once
    /// more.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + RECORD * self.records.len() + 32);
        bytes.extend(MAGIC);
        for record in &self.records {
            record.write(&mut bytes);
        }
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        let temporary = path.with_extension(std::process::id().to_string());
        // The directory does not exist before the first context of a store.
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let written = fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// The records of one context, shared by all users of the context, and the file that keeps them.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    file: Option<PathBuf>,
    cache: OnceLock<Mutex<Arc<StatCache>>>,
}

impl Memory {
    /// Creates the cache of the context at `root`. It is kept in `dir`, or only in memory. The file is read later.
    pub(super) fn new(dir: Option<&Path>, root: &Path) -> Self {
        Self { file: dir.map(|dir| StatCache::path(dir, root)), cache: OnceLock::new() }
    }

    /// All records.
    pub(super) fn known(&self) -> Arc<StatCache> {
        Arc::clone(&self.cache())
    }

    /// Adds records and saves the file.
    pub(super) fn learn(&self, new: Vec<Record>) {
        if !new.is_empty() {
            let mut cache = self.cache();
            Arc::make_mut(&mut cache).merge(new);
            self.save(&cache);
        }
    }

    /// Records which blobs of the store contain these files, so that unchanged files are copied from there.
    pub(crate) fn set_stored(&self, files: impl IntoIterator<Item = (Identity, StoredAt)>) {
        let mut cache = self.cache();
        if Arc::make_mut(&mut cache).set_stored(files) {
            self.save(&cache);
        }
    }

    /// A file that cannot be saved costs the next build time, so it does not fail this one.
    fn save(&self, cache: &StatCache) {
        if let Some(path) = &self.file
            && let Err(error) = cache.save(path)
        {
            tracing::warn!("cannot save the context's digests in {}: {error}", path.display());
        }
    }

    /// Locks the records. The lock must not be held while files are read: a thread that waits for it may be one that
    /// the reading needs, which would be a deadlock.
    fn cache(&self) -> MutexGuard<'_, Arc<StatCache>> {
        let load = || Mutex::new(Arc::new(self.file.as_deref().map(StatCache::load).unwrap_or_default()));
        self.cache.get_or_init(load).lock()
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
    fn saving_creates_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/there/yet");
        StatCache::default().save(&path).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn records_are_found_by_inode_size_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = StatCache::path(dir.path(), Path::new("/somewhere"));
        let (one, two) = (Digest::of("1"), Digest::of("2"));
        let mut cache = StatCache::load(&path);
        cache.merge(vec![Record::new(&status(9, 7), one), Record::new(&status(2, 7), two)]);
        cache.save(&path).unwrap();
        let mut cache = StatCache::load(&path);
        let get = |cache: &StatCache, status: Status| cache.get(&(&status).into()).map(|record| record.digest);
        assert_eq!((get(&cache, status(9, 7)), get(&cache, status(2, 7))), (Some(one), Some(two)));
        assert_eq!((get(&cache, status(9, 8)), get(&cache, status(3, 7))), (None, None));
        assert_eq!(get(&cache, Status { size: 4, ..status(9, 7) }), None);
        cache.merge(vec![Record::new(&status(9, 8), two)]);
        let got = [status(9, 7), status(9, 8), status(2, 7)].map(|status| get(&cache, status));
        assert_eq!(got, [None, Some(two), Some(two)]);
    }

    #[test]
    fn a_changed_file_loses_its_blob() {
        let dir = tempfile::tempdir().unwrap();
        let memory = || Memory::new(Some(dir.path()), Path::new("/somewhere"));
        let (before, after) = (Identity::from(&status(9, 7)), Identity::from(&status(9, 8)));
        memory().learn(vec![Record::new(&status(9, 7), Digest::of("1"))]);
        let stored_at = |blob: &str, offset| StoredAt { blob: BlobDigest::of(blob), offset };
        memory().set_stored([(before, stored_at("blob", 512)), (after, stored_at("no", 0))]);
        assert_eq!(memory().known().get(&before).unwrap().stored_at, Some(stored_at("blob", 512)));
        memory().learn(vec![Record::new(&status(9, 8), Digest::of("2"))]);
        assert_eq!(memory().known().get(&after).unwrap().stored_at, None);
    }

    #[test]
    fn a_torn_or_foreign_file_counts_as_empty() {
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
}
