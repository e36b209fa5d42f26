//! The cache index: which key made which layers. SQLite in WAL mode, shared by all builds on one store.
//!
//! An entry is seen by all builds at once. After a reboot it is still there if the disk had its layers for certain, which is
//! what [`Store::sync`] sees to, once a build: until then it is marked, and the first start after a reboot checks the layers of
//! what is marked, and drops it if one is not whole ([`recovery`](super::recovery)). A process that is killed loses nothing: its files are in the page cache, whole.

use super::error::Context;
use super::{StorageError, Store, SyncPolicy};
use buildscope_record::{BlobDigest, DiffId, LayerKey, Phase, Probe, Quantity, Removal};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use rustix::fs::FlockOperation;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Changes with the tables below.
const VERSION: i64 = 2;
/// How long another process's transaction is waited for; one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// `entry.durable`: whether its layers are on the disk for certain. `durable`: files that are, by their path in the store.
const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, layers BLOB NOT NULL, value BLOB NOT NULL, made INTEGER NOT NULL,
    durable INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS durable (path TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;";

/// What pruning took out of `entry`, for whoever asks for it again; checksums of blobs whose digest was found right. Not part of the version: an index without it is whole.
const REMOVED: &str = "
CREATE TABLE IF NOT EXISTS removed (key BLOB PRIMARY KEY, expired INTEGER NOT NULL, unused INTEGER NOT NULL, at INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checksum (blob BLOB PRIMARY KEY, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS made_again AFTER INSERT ON entry BEGIN DELETE FROM removed WHERE key = NEW.key; END;";
/// How long it is known why something was removed.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);

/// What a key stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheEntry {
    /// The layers that it needs: an entry is found only while they are in the store.
    pub layers: Vec<DiffId>,
    /// What the caller wants to know again, in whatever form: the store does not look at it.
    pub value: Vec<u8>,
}

/// A key that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheHit {
    /// What it stands for.
    pub entry: CacheEntry,
    /// When it was put there.
    pub made: SystemTime,
}

/// That a key was there, and was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Why.
    pub why: Removal,
    /// For how long nobody had used its layers then.
    pub unused: Duration,
    /// When.
    pub at: SystemTime,
}

/// Keys to results.
#[derive(Clone, Debug)]
pub struct CacheIndex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    policy: SyncPolicy,
    state: Mutex<State>,
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    /// Put by this process since the last sync.
    keys: Vec<LayerKey>,
    /// Files that this process made or met, and that the disk may not have: paths in the store.
    files: BTreeSet<String>,
    /// Bytes that layers and other blobs of this process have in them since the last sync.
    bytes: u64,
}

impl CacheIndex {
    pub(crate) fn new(root: &Path, policy: SyncPolicy) -> Self {
        let shared = Shared { root: root.to_owned(), policy, state: Mutex::default(), warnings: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// What `key` stands for, if that is known and its layers are in the store. They stay there as long as this process lives.
    pub fn get(&self, key: &LayerKey) -> Result<Option<CacheHit>, StorageError> {
        let row = self.with(&mut self.state(), |connection| {
            connection
                .prepare_cached("SELECT layers, value, made FROM entry WHERE key = ?")?
                .query_row([key.as_bytes()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get::<_, i64>(2)?)))
                .optional()
        })?;
        let Some((layers, value, made)) = row else { return Ok(None) };
        let digest = |bytes: &[u8]| Some(DiffId::from_bytes(bytes.try_into().ok()?));
        let layers: Vec<DiffId> = layers.chunks_exact(32).filter_map(digest).collect();
        // Marks them as used, too. One that is gone makes a miss, not an error in the middle of a build.
        for layer in &layers {
            if !super::gc::touch(&self.shared.root, &format!("blobs/sha256/{}", layer.hex()))? {
                return Ok(None);
            }
        }
        Ok(Some(CacheHit { entry: CacheEntry { layers, value }, made: from_millis(made) }))
    }

    /// Whether what `key` stood for was pruned, and why. Nothing is known of one that was never here, or that a crash took.
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

    /// Says what `key` stands for. The layers are in the store.
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
        Ok(())
    }

    /// The CRC-32 of a blob, if it was read while its digest was right.
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

    /// Notes a file of the store that the disk does not have for certain.
    pub(crate) fn made(&self, path: String) {
        self.state().files.insert(path);
    }

    /// Notes so many bytes that were written to the store, and that the disk may not have.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.state().bytes += bytes;
    }

    /// Files that the disk has for certain.
    pub(crate) fn durable(&self) -> Result<BTreeSet<String>, StorageError> {
        self.with(&mut self.state(), |connection| {
            let mut rows = connection.prepare_cached("SELECT path FROM durable")?;
            rows.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// After a reboot: of the entries that were never synced, keeps those whose layers are all durable or among `whole`, which are
    /// durable from now on.
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
                    for layer in layers.chunks_exact(32) {
                        kept &= known.exists([format!("blobs/sha256/{}", hex::encode(layer))])?;
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

    /// Forgets files that are removed, and what needs them; of the latter it stays known why, if that is given.
    pub(crate) fn forget(&self, paths: &[String], removed: Option<Removed>) -> Result<(), StorageError> {
        self.state().files.retain(|file| !paths.contains(file));
        let gone: BTreeSet<DiffId> = paths
            .iter()
            .filter_map(|path| format!("sha256:{}", path.strip_prefix("blobs/sha256/")?).parse().ok())
            .collect();
        self.with(&mut self.state(), |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut remove = transaction.prepare_cached("DELETE FROM durable WHERE path = ?")?;
                for path in paths {
                    remove.execute([path])?;
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
                    let digest = |bytes: &[u8]| Some(DiffId::from_bytes(bytes.try_into().ok()?));
                    if layers.chunks_exact(32).filter_map(digest).any(|layer| gone.contains(&layer)) {
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

    pub(crate) fn policy(&self) -> SyncPolicy {
        self.shared.policy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the index. One that is damaged is set aside, and a new one is begun: all that it knew can be found out again.
    fn with<T>(
        &self,
        state: &mut State,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        match self.attempt(state, &work) {
            Err(error) if is_damage(&error, &self.shared.root) => {
                state.connection = None;
                self.set_aside(&error)?;
                Ok(self.attempt(state, &work)?)
            }
            done => Ok(done?),
        }
    }

    fn attempt<T>(
        &self,
        state: &mut State,
        work: &impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if state.connection.is_none() {
            state.connection = Some(connect(&self.shared.root.join(FILES[0]))?);
        }
        work(state.connection.as_mut().expect("set just above"))
    }

    /// Gives a damaged index another name, unless another process was faster.
    fn set_aside(&self, error: &rusqlite::Error) -> Result<(), StorageError> {
        let root = &self.shared.root;
        let path = root.join("cache.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).context("open", &path)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("lock", path)?;
        if connect(&root.join(FILES[0])).is_ok_and(|connection| is_whole(&connection)) {
            return Ok(());
        }
        let now = millis(SystemTime::now()) / 1_000;
        let names = (0..).map(|number: u32| match number {
            0 => format!("{}.damaged-{now}", FILES[0]),
            number => format!("{}.damaged-{now}.{number}", FILES[0]),
        });
        let free = |name: &String| fs::symlink_metadata(root.join(name)).is_err();
        let aside = names.into_iter().find(free).expect("some number is free");
        for (file, suffix) in FILES.iter().zip(SUFFIXES) {
            let from = root.join(file);
            match fs::rename(&from, root.join(format!("{aside}{suffix}"))) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.context("set aside", from)?,
            }
        }
        self.warn(format!(
            "the cache index of the store was damaged ({error}): it is set aside as {}, which may be deleted, and a new one is begun; \
             steps run again",
            root.join(aside).display()
        ));
        Ok(())
    }

    /// Notes something that the user should know, for [`Store::take_warnings`].
    pub(crate) fn warn(&self, warning: String) {
        self.state_of_warnings().push(warning);
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.state_of_warnings())
    }

    fn state_of_warnings(&self) -> MutexGuard<'_, Vec<String>> {
        self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index and what SQLite keeps beside it.
const FILES: [&str; 3] = ["cache.db", "cache.db-wal", "cache.db-shm"];
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Whether an error means that the file is not an index of ours, or not whole. The statements are constant, so one that SQLite does
/// not understand, or a column of another type, is the file's fault.
fn is_damage(error: &rusqlite::Error, root: &Path) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(error, _) => match error.code {
            DatabaseCorrupt | NotADatabase => true,
            CannotOpen => FILES.iter().any(|file| root.join(file).is_dir()),
            _ => error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ,
        },
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => true,
        _ => false,
    }
}

fn is_whole(connection: &Connection) -> bool {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).is_ok_and(|found| found == "ok")
}

impl Store {
    /// Waits until the disk has all that this process made, and says so in the index. Nothing to do costs nothing.
    pub fn sync(&self, probe: &Probe) -> Result<(), StorageError> {
        let cache = self.cache();
        if cache.shared.policy == SyncPolicy::Never {
            return Ok(());
        }
        let (keys, files, bytes) = {
            let mut state = cache.state();
            (std::mem::take(&mut state.keys), std::mem::take(&mut state.files), std::mem::take(&mut state.bytes))
        };
        if keys.is_empty() && files.is_empty() {
            return Ok(());
        }
        let span = probe.phase(Phase::Sync);
        span.quantity(Quantity::BytesWritten, bytes).quantity(Quantity::FilesChanged, files.len() as u64);
        let write = || {
            let root = File::open(self.root()).context("open", self.root())?;
            rustix::fs::syncfs(&root).context("sync", self.root())?;
            cache.with(&mut cache.state(), |connection| {
                // The statement that they are durable must be durable too, and after them.
                connection.pragma_update(None, "synchronous", "FULL")?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                {
                    let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO durable VALUES (?)")?;
                    for path in &files {
                        put.execute([path])?;
                    }
                    let mut mark = transaction.prepare_cached("UPDATE entry SET durable = 1 WHERE key = ?")?;
                    for key in &keys {
                        mark.execute([key.as_bytes()])?;
                    }
                }
                transaction.commit()?;
                connection.pragma_update(None, "synchronous", "NORMAL")
            })
        };
        let written = write();
        if written.is_err() {
            let mut state = cache.state();
            state.keys.extend(keys);
            state.files.extend(files);
            state.bytes += bytes;
        }
        written
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION {
        if version != 0 {
            // Another version's index: everything in it can be made again.
            drop(connection);
            for name in FILES {
                let _ = fs::remove_file(path.with_file_name(name));
            }
            return connect(path);
        }
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(SCHEMA)?;
    }
    // Where they are there already, this only reads.
    connection.execute_batch(REMOVED)?;
    // In WAL mode this never corrupts; a power cut may take the last transactions, which say nothing that is durable.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
