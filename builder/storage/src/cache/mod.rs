//! The cache index: cache keys and the layers that they gave. An SQLite database in WAL mode, shared by all builds on one store.
//!
//! All builds see an entry at once. [`sync`](CacheIndex::sync), called once per build, makes entries durable: it syncs their layers first,
//! and waits for no file of another program ([`durable`]).
//! Until then an entry is marked as not durable. The first start after a reboot checks the layers of marked entries and drops
//! those with an incomplete layer ([`recovery`](super::recovery)). A killed process loses nothing: its files are complete in the
//! page cache.

mod database;

use self::database::FILES;
use super::durable::{self, SyncReach};
use super::error::IoContext;
use super::layout::{blob_digest, blob_path, is_kept, is_unpacked, touch};
use super::unpacked::{UnpackedForm, UnpackedOrigin};
use super::{StorageError, SyncPolicy, reserve};
use buildscope_record::{BlobDigest, DiffId, LayerKey, Phase, Probe, Quantity, Removal};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time for which the reason of a removal is kept.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);

/// The result stored under a cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheEntry {
    /// The layers of the result. An entry is found only while all of them are in the store.
    pub layers: Vec<DiffId>,
    /// Data of the caller, in any form. The store does not read it.
    pub value: Vec<u8>,
}

/// A cache entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheHit {
    /// The stored result.
    pub entry: CacheEntry,
    /// The time at which the entry was stored.
    pub made: SystemTime,
}

/// The removal of a cache entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The reason of the removal.
    pub why: Removal,
    /// The time for which its layers had been unused.
    pub unused: Duration,
    /// The time of the removal.
    pub at: SystemTime,
}

/// The cache index of a store. Clones share one database connection.
#[derive(Clone, Debug)]
pub struct CacheIndex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    /// The directory of the database: the root, unless the store is read-only.
    database: PathBuf,
    policy: SyncPolicy,
    state: Mutex<UsageState>,
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct UsageState {
    connection: Option<Connection>,
    /// Keys that this process stored since the last sync.
    keys: Vec<LayerKey>,
    /// Files of this process that may not be on the disk yet.
    files: StoreFiles,
    /// Bytes that this process wrote to blobs since the last sync.
    bytes: u64,
}

/// Files of the store, by path relative to it.
#[derive(Debug, Default)]
struct StoreFiles {
    /// Files that this process has written.
    written: BTreeSet<String>,
    /// Files that this process has used, of which an earlier build may have synced some.
    used: BTreeSet<String>,
}

impl StoreFiles {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.used.is_empty()
    }

    fn extend(&mut self, other: Self) {
        self.written.extend(other.written);
        self.used.extend(other.used);
    }
}

impl CacheIndex {
    pub(crate) fn new(root: &Path, policy: SyncPolicy) -> Self {
        Self::with_database(root, root.to_owned(), policy)
    }

    /// The index of a read-only store: a copy of its database in `directory`. SQLite cannot read a database in WAL mode without
    /// writing next to it.
    pub(crate) fn copied(root: &Path, directory: PathBuf) -> Result<Self, StorageError> {
        fs::create_dir(&directory).context("create", &directory)?;
        for file in &FILES[..2] {
            match fs::copy(root.join(file), directory.join(file)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.context("copy", root.join(file))?),
            }
        }
        Ok(Self::with_database(root, directory, SyncPolicy::Never))
    }

    fn with_database(root: &Path, database: PathBuf, policy: SyncPolicy) -> Self {
        let root = root.to_owned();
        let shared = Shared { root, database, policy, state: Mutex::default(), warnings: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Opens the database, so that the first lookup does not wait for it. That lookup reports an error.
    pub fn prepare(&self) {
        let _ = self.with(&mut self.state(), |_| Ok(()));
    }

    /// Whether the database does not exist yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.shared.database.join(FILES[0]).exists()
    }

    /// The entry of `key`, if it exists and all of its layers are in the store. They are not pruned while this process lives.
    pub fn get(&self, key: &LayerKey) -> Result<Option<CacheHit>, StorageError> {
        let row = self.with(&mut self.state(), |connection| {
            connection
                .prepare_cached("SELECT layers, value, made FROM entry WHERE key = ?")?
                .query_row([key.as_bytes()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get::<_, i64>(2)?)))
                .optional()
        })?;
        let Some((layers, value, made)) = row else { return Ok(None) };
        let layers: Vec<DiffId> = diff_ids(&layers).collect();
        // This also marks the layers as used. A missing layer is a cache miss here, instead of an error later in the build.
        for layer in &layers {
            if !touch(&self.shared.root, &blob_path(layer))? {
                return Ok(None);
            }
        }
        Ok(Some(CacheHit { entry: CacheEntry { layers, value }, made: from_millis(made) }))
    }

    /// Returns the removal of the entry of `key`; `None` if it was never stored here, or lost in a crash.
    pub fn removed(&self, key: &LayerKey) -> Result<Option<Removed>, StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut select = connection.prepare_cached("SELECT expired, unused, at FROM removed WHERE key = ?")?;
            let row = select.query_row([key.as_bytes()], |row| {
                let why = if row.get(0)? { Removal::Expired } else { Removal::Pruned };
                let unused = Duration::from_millis(u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0));
                Ok(Removed { why, unused, at: from_millis(row.get(2)?) })
            });
            row.optional()
        })
    }

    /// Stores the entry of `key`. Its layers must be in the store.
    pub fn put(&self, key: LayerKey, entry: &CacheEntry) -> Result<(), StorageError> {
        let mut state = self.state();
        let layers: Vec<u8> = entry.layers.iter().flat_map(|layer| *layer.as_bytes()).collect();
        self.with(&mut state, |connection| {
            connection.prepare_cached("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, 0)")?.execute(params![
                key.as_bytes(),
                layers,
                entry.value,
                millis(SystemTime::now())
            ])
        })?;
        state.keys.push(key);
        // A build that was killed may have written some of them.
        state.files.used.extend(entry.layers.iter().map(blob_path));
        Ok(())
    }

    /// The CRC-32 of a blob, if it was computed when the blob's digest was verified.
    pub(crate) fn checksum(&self, blob: &BlobDigest) -> Result<Option<u32>, StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut select = connection.prepare_cached("SELECT crc FROM checksum WHERE blob = ?")?;
            select.query_row([blob.as_bytes()], |row| row.get(0)).optional()
        })
    }

    pub(crate) fn note_checksum(&self, blob: &BlobDigest, crc: u32) -> Result<(), StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut put = connection.prepare_cached("INSERT OR REPLACE INTO checksum VALUES (?, ?)")?;
            put.execute(params![blob.as_bytes(), crc])
        })?;
        Ok(())
    }

    /// Records what a directory with an unpacked layer is made from, by path relative to the store.
    pub(crate) fn note_unpacked(&self, path: &str, layers: &[DiffId], form: UnpackedForm) -> Result<(), StorageError> {
        let layers: Vec<u8> = layers.iter().flat_map(|layer| *layer.as_bytes()).collect();
        self.with(&mut self.state(), |connection| {
            let mut put = connection.prepare_cached("INSERT OR REPLACE INTO unpacked VALUES (?, ?, ?, ?)")?;
            put.execute(params![path, layers, form.number(), millis(SystemTime::now())])
        })?;
        Ok(())
    }

    /// What the directory at a path relative to the store was unpacked from, if that is known.
    pub(crate) fn unpacked(&self, path: &str) -> Result<Option<UnpackedOrigin>, StorageError> {
        let row = self.with(&mut self.state(), |connection| {
            let mut select = connection.prepare_cached("SELECT layers, form FROM unpacked WHERE path = ?")?;
            select.query_row([path], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?))).optional()
        })?;
        let origin = |(layers, form): (Vec<u8>, u8)| {
            Some(UnpackedOrigin { layers: diff_ids(&layers).collect(), form: UnpackedForm::of(form)? })
        };
        Ok(row.and_then(origin))
    }

    /// Forgets all entries that were stored after one of these directories was unpacked: their steps may have read it. Returns their number.
    pub(crate) fn forget_since(&self, unpacked: &[String]) -> Result<usize, StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut select = connection.prepare_cached("SELECT made FROM unpacked WHERE path = ?")?;
            let mut first: Option<i64> = None;
            for path in unpacked {
                let made = select.query_row([path], |row| row.get::<_, i64>(0)).optional()?;
                first = first.into_iter().chain(made).min();
            }
            let Some(first) = first else { return Ok(0) };
            connection.execute("DELETE FROM entry WHERE made >= ?", [first])
        })
    }

    /// Registers a file that this process has written, by path relative to the store, for the next sync.
    pub(crate) fn wrote_file(&self, path: String) {
        self.state().files.written.insert(path);
    }

    /// Registers a file that this process relies on, by path relative to the store. The next sync includes it unless it is durable.
    pub(crate) fn used_file(&self, path: String) {
        self.state().files.used.insert(path);
    }

    /// Adds to the number of bytes that the next sync reports.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.state().bytes += bytes;
    }

    /// The files that have been synced, by path relative to the store.
    pub(crate) fn durable(&self) -> Result<BTreeSet<String>, StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut rows = connection.prepare_cached("SELECT path FROM durable")?;
            rows.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Cleans up after a reboot. Files in `whole` become durable. Entries that were never synced are kept if all of their layers are
    /// durable now, and dropped otherwise.
    pub(crate) fn settle(&self, whole: &BTreeSet<String>) -> Result<(), StorageError> {
        self.with(&mut self.state(), |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO durable VALUES (?)")?;
                for path in whole {
                    put.execute([path])?;
                }
                let mut known = transaction.prepare_cached("SELECT 1 FROM durable WHERE path = ?")?;
                let mut select = transaction.prepare_cached("SELECT key, layers FROM entry WHERE durable = 0")?;
                let mut rows = select.query([])?;
                let mut fates: Vec<(Vec<u8>, bool)> = Vec::new();
                while let Some(row) = rows.next()? {
                    let (layers, mut kept): (Vec<u8>, _) = (row.get(1)?, true);
                    for layer in diff_ids(&layers) {
                        kept &= known.exists([blob_path(layer)])?;
                    }
                    fates.push((row.get(0)?, kept));
                }
                let mut keep = transaction.prepare_cached("UPDATE entry SET durable = 1 WHERE key = ?")?;
                let mut drop = transaction.prepare_cached("DELETE FROM entry WHERE key = ?")?;
                for (key, kept) in fates {
                    if kept { &mut keep } else { &mut drop }.execute([key])?;
                }
            }
            transaction.commit()
        })
    }

    /// Forgets files that are removed, and the entries that need them. The reason is kept for those entries if it is given.
    pub(crate) fn forget(&self, paths: &[String], removed: Option<Removed>) -> Result<(), StorageError> {
        {
            let files = &mut self.state().files;
            files.written.retain(|file| !paths.contains(file));
            files.used.retain(|file| !paths.contains(file));
        }
        let gone: BTreeSet<BlobDigest> = paths.iter().filter_map(|path| blob_digest(path)).collect();
        self.with(&mut self.state(), |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                for table in ["durable", "unpacked"] {
                    let mut remove = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE path = ?"))?;
                    for path in paths {
                        remove.execute([path])?;
                    }
                }
                let mut remove = transaction.prepare_cached("DELETE FROM checksum WHERE blob = ?")?;
                for blob in &gone {
                    remove.execute([blob.as_bytes()])?;
                }
                let mut select = transaction.prepare_cached("SELECT key, layers FROM entry")?;
                let mut rows = select.query([])?;
                let mut dead: Vec<Vec<u8>> = Vec::new();
                while let Some(row) = rows.next()? {
                    let layers: Vec<u8> = row.get(1)?;
                    if diff_ids(&layers).any(|layer| gone.contains(&layer.into())) {
                        dead.push(row.get(0)?);
                    }
                }
                let mut remove = transaction.prepare_cached("DELETE FROM entry WHERE key = ?")?;
                let mut note = transaction.prepare_cached("INSERT OR REPLACE INTO removed VALUES (?, ?, ?, ?)")?;
                for key in dead {
                    remove.execute([&key])?;
                    if let Some(Removed { why, unused, at }) = removed {
                        let unused = i64::try_from(unused.as_millis()).unwrap_or(i64::MAX);
                        note.execute(params![key, why == Removal::Expired, unused, millis(at)])?;
                    }
                }
                let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
                let old = millis(SystemTime::now()).saturating_sub(remembered);
                transaction.execute("DELETE FROM removed WHERE at < ?", [old])?;
            }
            transaction.commit()
        })
    }

    /// Waits until the files of this process are on the disk, and marks its entries as durable. Free if there is nothing to sync.
    ///
    /// Unpacked layers are synced only if the machine is quiet. They can be unpacked again, and a later build that uses them tries again.
    pub(crate) fn sync(&self, probe: &Probe) -> Result<(), StorageError> {
        if self.shared.policy == SyncPolicy::Never {
            return Ok(());
        }
        let (keys, files, bytes) = {
            let mut state = self.state();
            (std::mem::take(&mut state.keys), std::mem::take(&mut state.files), std::mem::take(&mut state.bytes))
        };
        if keys.is_empty() && files.is_empty() {
            return Ok(());
        }
        let synced = self.sync_files(&keys, &files, bytes, probe);
        if synced.is_err() {
            let mut state = self.state();
            state.keys.extend(keys);
            state.files.extend(files);
            state.bytes += bytes;
        }
        synced
    }

    fn sync_files(&self, keys: &[LayerKey], files: &StoreFiles, bytes: u64, probe: &Probe) -> Result<(), StorageError> {
        let (unsynced, reach) = self.unsynced(files)?;
        let (unpacked, plain): (BTreeSet<&str>, BTreeSet<&str>) =
            unsynced.into_iter().partition(|path| is_unpacked(path));
        if keys.is_empty() && plain.is_empty() && unpacked.is_empty() {
            return Ok(());
        }
        let span = probe.phase(Phase::Sync);
        let count = (plain.len() + unpacked.len()) as u64;
        span.quantity(Quantity::BytesWritten, bytes).quantity(Quantity::FilesChanged, count);
        let root = &self.shared.root;
        let mut durable = durable::sync(root, &plain, reach)?;
        if !unpacked.is_empty() {
            if durable::sync_if_quiet(root)? {
                durable.extend(unpacked);
            } else {
                self.state().files.used.extend(unpacked.into_iter().map(str::to_owned));
            }
        }
        self.mark_durable(keys, &durable)
    }

    /// The files that are not known to be on the disk.
    fn unsynced<'a>(&self, files: &'a StoreFiles) -> Result<(BTreeSet<&'a str>, SyncReach), StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut known = connection.prepare_cached("SELECT 1 FROM durable WHERE path = ?")?;
            let mut unsynced: BTreeSet<&str> = files.written.iter().map(String::as_str).collect();
            for path in &files.used {
                if !known.exists([path])? {
                    unsynced.insert(path);
                }
            }
            let first = !connection.prepare_cached("SELECT 1 FROM durable")?.exists([])?;
            Ok((unsynced, if first { SyncReach::FileSystem } else { SyncReach::Parents }))
        })
    }

    /// Marks files and entries as durable. The mark is itself on the disk afterwards.
    fn mark_durable(&self, keys: &[LayerKey], files: &[&str]) -> Result<(), StorageError> {
        self.with(&mut self.state(), |connection| {
            connection.pragma_update(None, "synchronous", "FULL")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO durable VALUES (?)")?;
                // Recovery leaves other files alone.
                for path in files.iter().filter(|path| is_kept(path)) {
                    put.execute([path])?;
                }
                let mut mark = transaction.prepare_cached("UPDATE entry SET durable = 1 WHERE key = ?")?;
                for key in keys {
                    mark.execute([key.as_bytes()])?;
                }
            }
            transaction.commit()?;
            connection.pragma_update(None, "synchronous", "NORMAL")
        })
    }

    pub(crate) fn policy(&self) -> SyncPolicy {
        self.shared.policy
    }

    fn state(&self) -> MutexGuard<'_, UsageState> {
        self.shared.state.lock()
    }

    /// Runs `work` on the database. A damaged database is set aside and replaced by an empty one, which costs cache misses only.
    fn with<T>(
        &self,
        state: &mut UsageState,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let directory = &self.shared.database;
        match self.attempt(state, &work) {
            Err(StorageError::Cache(error)) if database::is_damage(&error, directory) => {
                state.connection = None;
                if let Some(aside) = database::set_aside(directory)? {
                    self.warn(format!(
                        "the cache index of the store was damaged ({error}): it has been set aside as {}, which may be deleted, and \
                         replaced by an empty one; steps run again",
                        aside.display()
                    ));
                }
                self.attempt(state, &work)
            }
            Err(StorageError::Cache(error)) if database::is_full(&error) && reserve::release(&self.shared.root) => {
                state.connection = None;
                self.attempt(state, &work)
            }
            done => done,
        }
    }

    fn attempt<T>(
        &self,
        state: &mut UsageState,
        work: &impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        if state.connection.is_none() {
            state.connection = Some(database::connect(&self.shared.database)?);
        }
        Ok(work(state.connection.as_mut().expect("set just above"))?)
    }

    /// Adds a warning for the user; see `Store::take_warnings`.
    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.state_of_warnings();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.state_of_warnings())
    }

    fn state_of_warnings(&self) -> MutexGuard<'_, Vec<String>> {
        self.shared.warnings.lock()
    }
}

/// The diff ids in a column `layers`.
fn diff_ids(column: &[u8]) -> impl Iterator<Item = DiffId> {
    column.chunks_exact(32).filter_map(|bytes| Some(DiffId::from_bytes(bytes.try_into().ok()?)))
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
