//! The cache index: which key made which layers. SQLite in WAL mode, shared by all builds on one store.
//!
//! An entry that a build puts is seen by that build at once, and by others once the disk has all its layers: then
//! [`Store::sync`] writes it down. So what the index says is there, is there, whatever was killed or unplugged.

use super::error::Context;
use super::{StorageError, Store, SyncPolicy};
use buildscope_record::{Digest, Phase, Probe};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Changes with the tables below.
const VERSION: i64 = 1;
/// How long another process's transaction is waited for; one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS blob (digest BLOB PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, layers BLOB NOT NULL, value BLOB NOT NULL, made INTEGER NOT NULL,
    used INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;";

/// What a key stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheEntry {
    /// The layers that it needs: as long as the entry is in the index, they are in the store.
    pub layers: Vec<Digest>,
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

/// Keys to results.
#[derive(Clone)]
pub struct CacheIndex {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    policy: SyncPolicy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Put by this process, not on the disk for certain.
    pending: HashMap<Digest, CacheHit>,
    /// Made by this process, the same: digest and size.
    blobs: HashMap<Digest, u64>,
    /// Found by this process since the last sync: their last use is noted then.
    used: Vec<Digest>,
}

impl CacheIndex {
    pub(crate) fn new(root: &Path, policy: SyncPolicy) -> Result<Self, StorageError> {
        let shared = Shared { root: root.to_owned(), policy, state: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What `key` stands for, if that is known and its layers are in the store.
    pub fn get(&self, key: &Digest) -> Result<Option<CacheHit>, StorageError> {
        let mut state = self.state();
        if let Some(hit) = state.pending.get(key) {
            return Ok(Some(hit.clone()));
        }
        let connection = self.open(&mut state)?;
        let row = connection
            .prepare_cached("SELECT layers, value, made FROM entry WHERE key = ?")?
            .query_row([key.as_bytes()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get::<_, i64>(2)?)))
            .optional()?;
        let Some((layers, value, made)) = row else { return Ok(None) };
        let layers: Vec<Digest> =
            layers.chunks_exact(32).filter_map(|d| Some(Digest::from_bytes(d.try_into().ok()?))).collect();
        // Somebody may have removed files by hand: then it is a miss, not an error in the middle of a build.
        if !layers.iter().all(|layer| self.shared.root.join("blobs/sha256").join(layer.hex()).exists()) {
            return Ok(None);
        }
        state.used.push(*key);
        Ok(Some(CacheHit { entry: CacheEntry { layers, value }, made: from_millis(made) }))
    }

    /// Says what `key` stands for.
    pub fn put(&self, key: Digest, entry: CacheEntry) {
        self.state().pending.insert(key, CacheHit { entry, made: SystemTime::now() });
    }

    /// Notes a blob that the disk does not have for certain.
    pub(crate) fn made(&self, blob: Digest, size: u64) {
        self.state().blobs.insert(blob, size);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open<'s>(&self, state: &'s mut State) -> Result<&'s mut Connection, StorageError> {
        if state.connection.is_none() {
            state.connection = Some(connect(&self.shared.root.join("cache.db"), self.shared.policy)?);
        }
        Ok(state.connection.as_mut().expect("set just above"))
    }
}

impl Store {
    /// Waits until the disk has all that this process made, then lets other builds use it. Nothing to do costs nothing.
    pub fn sync(&self, probe: &Probe) -> Result<(), StorageError> {
        let cache = self.cache();
        let (pending, blobs, used) = {
            let mut state = cache.state();
            (state.pending.clone(), state.blobs.clone(), std::mem::take(&mut state.used))
        };
        if pending.is_empty() && blobs.is_empty() && used.is_empty() {
            return Ok(());
        }
        let _span = probe.phase(Phase::Sync);
        if !(pending.is_empty() && blobs.is_empty()) && cache.shared.policy == SyncPolicy::Build {
            let root = File::open(self.root()).context("open", self.root())?;
            rustix::fs::syncfs(&root).context("sync", self.root())?;
        }
        let now = millis(SystemTime::now());
        let mut state = cache.state();
        let transaction =
            cache.open(&mut state)?.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO blob VALUES (?, ?, ?)")?;
            for (digest, size) in &blobs {
                put.execute(params![digest.as_bytes(), *size as i64, now])?;
            }
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)")?;
            for (key, hit) in &pending {
                let layers: Vec<u8> = hit.entry.layers.iter().flat_map(|layer| *layer.as_bytes()).collect();
                put.execute(params![key.as_bytes(), layers, hit.entry.value, millis(hit.made), now])?;
            }
            let mut touch = transaction.prepare_cached("UPDATE entry SET used = ? WHERE key = ?")?;
            for key in &used {
                touch.execute(params![now, key.as_bytes()])?;
            }
        }
        transaction.commit()?;
        // What came meanwhile stays for the next sync.
        state.pending.retain(|key, hit| pending.get(key) != Some(hit));
        state.blobs.retain(|digest, _| !blobs.contains_key(digest));
        Ok(())
    }
}

fn connect(path: &Path, policy: SyncPolicy) -> Result<Connection, StorageError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION {
        if version != 0 {
            // Another version's index: everything in it can be made again.
            drop(connection);
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(path.with_file_name(format!("cache.db{suffix}")));
            }
            return connect(path, policy);
        }
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(SCHEMA)?;
    }
    let synchronous =
        if policy == SyncPolicy::Build { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = OFF" };
    connection.execute_batch(synchronous)?;
    Ok(connection)
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
