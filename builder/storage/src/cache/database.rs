//! The SQLite database of the cache index: opening and creating it, and replacing it if it is damaged.
//!
//! Builds that share a store use the database at the same time. It is created and replaced under a lock of its own, because SQLite
//! does not wait for another connection that is switching a new database to WAL mode: it fails with "database is locked" at once.

use super::millis;
use crate::StorageError;
use crate::error::IoContext;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The database and the files that SQLite keeps next to it.
pub(super) const FILES: [&str; 3] = ["cache.db", "cache.db-wal", "cache.db-shm"];
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];
const LOCK: &str = "cache.lock";

/// Version of the tables in `SCHEMA`. Raise it when they change: a database of another version is deleted.
const VERSION: i64 = 2;
/// How long to wait for another process's transaction. A transaction takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// `entry.durable`: whether the entry's layers have been synced. `durable`: synced files, by path relative to the store.
const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, layers BLOB NOT NULL, value BLOB NOT NULL, made INTEGER NOT NULL,
    durable INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS durable (path TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;";

/// `removed`: entries that pruning removed, to explain later cache misses. `checksum`: CRC-32 of blobs whose digest was verified.
/// `unpacked`: what the directories with unpacked layers were made from.
/// Not part of the version: the index is complete without these tables.
const REMOVED: &str = "
CREATE TABLE IF NOT EXISTS removed (key BLOB PRIMARY KEY, expired INTEGER NOT NULL, unused INTEGER NOT NULL, at INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checksum (blob BLOB PRIMARY KEY, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unpacked (path TEXT PRIMARY KEY, layers BLOB NOT NULL, form INTEGER NOT NULL, made INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS made_again AFTER INSERT ON entry BEGIN DELETE FROM removed WHERE key = NEW.key; END;";
/// Opens the database in `directory`. Creates it if it does not exist or has tables of another version: that costs cache misses only.
pub(super) fn connect(directory: &Path) -> Result<Connection, StorageError> {
    if let Some(connection) = open(directory)? {
        return Ok(connection);
    }
    let _lock = lock(directory)?;
    // Another process may have created it in the meantime.
    if open(directory)?.is_none() {
        create(directory)?;
    }
    Ok(open(directory)?.expect("a database of this version has just been found or created"))
}

/// Renames a damaged database, unless another process has already replaced it. Returns the new path.
pub(super) fn set_aside(directory: &Path) -> Result<Option<PathBuf>, StorageError> {
    let _lock = lock(directory)?;
    if open(directory).is_ok_and(|found| found.is_some_and(|connection| is_whole(&connection))) {
        return Ok(None);
    }
    let now = millis(SystemTime::now()) / 1_000;
    let names = (0..).map(|number: u32| match number {
        0 => format!("{}.damaged-{now}", FILES[0]),
        number => format!("{}.damaged-{now}.{number}", FILES[0]),
    });
    let free = |name: &String| fs::symlink_metadata(directory.join(name)).is_err();
    let aside = names.into_iter().find(free).expect("a free number exists");
    for (file, suffix) in FILES.iter().zip(SUFFIXES) {
        let from = directory.join(file);
        match fs::rename(&from, directory.join(format!("{aside}{suffix}"))) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed.context("set aside", from)?,
        }
    }
    Ok(Some(directory.join(aside)))
}

/// Waits for the lock under which the database is created and replaced.
fn lock(directory: &Path) -> Result<File, StorageError> {
    let path = directory.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&path).context("open", &path)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("lock", path)?;
    Ok(lock)
}

/// The size of SQLite's shared memory, in bytes.
const SHARED: u64 = 32 << 10;

/// Fails if there is no space for SQLite's shared memory. SQLite maps that file and allocates one byte of each page. Where a page has
/// several blocks (ext4 below 512 MB has blocks of 1 KiB), writing to the others on a full disk ends the process with SIGBUS.
fn check_space(directory: &Path) -> rusqlite::Result<()> {
    let shared = directory.join(FILES[2]);
    if fs::metadata(&shared).is_ok_and(|file| file.blocks() * 512 >= SHARED) {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    // A file system without unnamed files or allocation is not checked.
    let allocated = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)
        .and_then(|file| rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 2 * SHARED));
    match allocated {
        Err(Errno::NOSPC | Errno::DQUOT) => {
            Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None))
        }
        _ => Ok(()),
    }
}

/// A connection to the database, if it has tables of this version.
fn open(directory: &Path) -> rusqlite::Result<Option<Connection>> {
    let path = directory.join(FILES[0]);
    check_space(directory)?;
    // Opening must not create an empty file: a process that had opened that one would see the finished file at its path and take it for
    // damaged. SQLite opens a file read-only if it appears during the attempt, so its existence is checked first.
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(&path, OpenFlags::default() - OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 && fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        // `create` never leaves a file like this. SQLite reads the rest of a truncated database as an empty one.
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), None));
    }
    if version != VERSION {
        return Ok(None);
    }
    // If the tables exist already, this only reads.
    connection.execute_batch(REMOVED)?;
    // `synchronous=NORMAL` cannot corrupt a WAL database. A power loss may drop the last transactions; none of them was promised to be
    // durable.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(Some(connection))
}

/// Creates the database under another name and renames it, so that other processes see all of it or nothing. The caller has the lock.
fn create(directory: &Path) -> Result<(), StorageError> {
    let new = directory.join("cache.db.new");
    for file in [FILES[1], FILES[2], "cache.db.new", "cache.db.new-wal", "cache.db.new-shm"] {
        match fs::remove_file(directory.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("remove", directory.join(file));
            }
            _ => {}
        }
    }
    check_space(directory)?;
    let connection = Connection::open(&new)?;
    // The file has its name only after it was synced as a whole.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(REMOVED)?;
    connection.close().map_err(|(_, error)| error)?; // This moves the content of the log into the database.
    File::open(&new).and_then(|file| file.sync_data()).context("sync", &new)?;
    fs::rename(&new, directory.join(FILES[0])).context("rename", new)
}

fn is_whole(connection: &Connection) -> bool {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).is_ok_and(|found| found == "ok")
}

/// Whether an error means that the file is damaged or not our database. All statements are constant, so a statement that SQLite
/// rejects, or a column of another type, is also caused by the file.
pub(super) fn is_damage(error: &rusqlite::Error, directory: &Path) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(error, _) => match error.code {
            DatabaseCorrupt | NotADatabase => true,
            CannotOpen => FILES.iter().any(|file| directory.join(file).is_dir()),
            _ => error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ,
        },
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => true,
        _ => false,
    }
}

/// Whether an error means that the disk is full. SQLite reports that of its shared memory as an error of input and output.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            error.code == rusqlite::ErrorCode::DiskFull
                || [SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE].contains(&error.extended_code)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_testing::{Disk, Need, require};
    use std::io::Write;

    /// Writes until the disk has only this many free blocks of 1 KiB.
    fn fill(path: &Path, left: u64) {
        let mut file = File::create(path).unwrap();
        // The blocks of the file before are free again once the journal has been written.
        for _ in 0..2 {
            while file.write_all(&[1; 1024]).is_ok() {}
            file.sync_all().unwrap();
        }
        file.set_len(file.metadata().unwrap().len() - left * 1024).unwrap();
        file.sync_all().unwrap();
    }

    /// Without a check, SQLite's shared memory ends the process with SIGBUS.
    #[test]
    #[ignore = "needs root, loop devices and mkfs.ext4"]
    fn a_disk_with_few_free_blocks_is_full() {
        require(&[Need::LoopDevices, Need::Program("mkfs.ext4")]);
        let disk = Disk::mounted("ext4", 8 << 20);
        drop(connect(&disk.at).unwrap());
        let ballast = disk.at.join("ballast");
        for left in 0..80 {
            fill(&ballast, left);
            match connect(&disk.at) {
                Ok(connection) => drop(connection),
                Err(StorageError::Cache(error)) => assert!(is_full(&error), "{left}: {error}"),
                Err(error) => panic!("{left}: {error}"),
            }
            fs::remove_file(&ballast).unwrap();
            // ext4 can use freed blocks when its journal is written.
            File::open(&disk.at).and_then(|folder| folder.sync_all()).unwrap();
        }
        assert!(connect(&disk.at).is_ok());
    }
}
