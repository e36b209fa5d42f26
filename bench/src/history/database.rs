//! The SQLite tables: one row per run, and one row per case of a run.

use crate::run::{Case, CaseSamples, Run};
use crate::stats::Summary;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// The open history file.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

/// An error of the history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database could not be opened or created.
    #[error("cannot open the history {}: {error}", .path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// The cause.
        error: rusqlite::Error,
    },
    /// The folder of the database could not be created.
    #[error("cannot create {}: {error}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// The file was written by a later version.
    #[error("{} has version {found}; this version knows {VERSION}", .path.display())]
    Version {
        /// The database file.
        path: PathBuf,
        /// The schema version of the file.
        found: u32,
    },
    /// A query failed.
    #[error(transparent)]
    Query(#[from] rusqlite::Error),
}

/// A stored run.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// The id of the run.
    pub id: i64,
    /// The start of the run, RFC 3339.
    pub started: String,
    /// The measured version: a commit, a version, or any text given with `--label`.
    pub label: String,
    /// The number of cases.
    pub cases: u32,
    /// The folder of the run when it was added.
    pub folder: PathBuf,
}

/// One case in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The id of the run.
    pub run: i64,
    /// The start of the run, RFC 3339.
    pub started: String,
    /// The label of the run.
    pub label: String,
    /// The median wall time of the case, in seconds.
    pub median: f64,
    /// The number of good samples.
    pub count: u32,
}

const VERSION: u32 = 1;
const TABLES: &str = "
    CREATE TABLE run (id INTEGER PRIMARY KEY, started TEXT NOT NULL, label TEXT NOT NULL, folder TEXT NOT NULL, cpu TEXT, cpus INTEGER,
        kernel TEXT, filesystem TEXT);
    CREATE TABLE result (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, name TEXT NOT NULL, median REAL NOT NULL, low REAL, high REAL,
        count INTEGER NOT NULL, PRIMARY KEY (run, name));
    CREATE INDEX result_by_name ON result (name, run);";

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Creates the tables, unless another process has just done so. Returns the version. The database stays in SQLite's default journal
/// mode: two processes that switch a new database to WAL at the same time fail.
fn create(connection: &mut Connection) -> rusqlite::Result<u32> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    let found = version(&transaction)?;
    transaction.commit()?;
    Ok(found)
}

impl History {
    /// Opens `history.sqlite` in the folder and creates it if necessary.
    pub fn open(folder: &Path) -> Result<Self, HistoryError> {
        std::fs::create_dir_all(folder).map_err(|error| HistoryError::Folder { path: folder.to_owned(), error })?;
        let path = folder.join("history.sqlite");
        let database = |error| HistoryError::Database { path: path.clone(), error };
        let mut connection = Connection::open(&path).map_err(database)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(database)?;
        let mut found = version(&connection).map_err(database)?;
        if found == 0 {
            found = create(&mut connection).map_err(database)?;
        }
        match found {
            VERSION => Ok(Self { connection }),
            found => Err(HistoryError::Version { path, found }),
        }
    }

    /// Adds a run and returns its id.
    pub fn add(&mut self, run: &Run, folder: &Path, label: &str) -> Result<i64, HistoryError> {
        let transaction = self.connection.transaction()?;
        let environment = &run.environment;
        transaction.execute(
            "INSERT INTO run (started, label, folder, cpu, cpus, kernel, filesystem) VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                run.started,
                label,
                folder.display().to_string(),
                environment.cpu,
                environment.cpus.and_then(|cpus| u32::try_from(cpus).ok()),
                environment.kernel,
                environment.filesystem
            ],
        )?;
        let id = transaction.last_insert_rowid();
        for samples in &run.cases {
            let CaseSamples { case, .. } = samples;
            let Some(summary) = Summary::of(&samples.times()) else { continue };
            transaction.execute(
                "INSERT OR REPLACE INTO result (run, name, median, low, high, count) VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    id,
                    case.to_string(),
                    summary.median,
                    summary.interval.map(|i| i.0),
                    summary.interval.map(|i| i.1),
                    u32::try_from(summary.count).unwrap_or(u32::MAX)
                ],
            )?;
        }
        transaction.commit()?;
        Ok(id)
    }

    /// Returns the last runs, newest first.
    pub fn runs(&self, last: u32) -> Result<Vec<StoredRun>, HistoryError> {
        let mut statement = self.connection.prepare(
            "SELECT id, started, label, folder, (SELECT count(*) FROM result WHERE run = id) FROM run ORDER BY started DESC, id DESC LIMIT ?",
        )?;
        let entry = |row: &rusqlite::Row<'_>| {
            let folder: String = row.get(3)?;
            Ok(StoredRun {
                id: row.get(0)?,
                started: row.get(1)?,
                label: row.get(2)?,
                folder: folder.into(),
                cases: row.get(4)?,
            })
        };
        Ok(statement.query_map([last], entry)?.collect::<Result<_, _>>()?)
    }

    /// Returns the results of one run: (case, median in seconds, number of good samples).
    pub fn results(&self, run: i64) -> Result<Vec<(String, f64, u32)>, HistoryError> {
        let mut statement =
            self.connection.prepare("SELECT name, median, count FROM result WHERE run = ? ORDER BY rowid")?;
        Ok(statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?)
    }

    /// Returns the names of all cases that were ever measured.
    pub fn cases(&self) -> Result<Vec<String>, HistoryError> {
        let mut statement = self.connection.prepare("SELECT DISTINCT name FROM result ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Returns the series of a case, oldest first. Only runs on the same machine as the newest one are included.
    pub fn series(&self, case: &str) -> Result<Vec<Point>, HistoryError> {
        let mut statement = self.connection.prepare(
            "WITH newest AS (SELECT run.* FROM run JOIN result ON run = id WHERE name = ?1 ORDER BY started DESC, id DESC LIMIT 1)
             SELECT run.id, run.started, run.label, median, count FROM result JOIN run ON run.id = result.run JOIN newest
             WHERE name = ?1 AND run.cpu IS newest.cpu AND run.cpus IS newest.cpus AND run.filesystem IS newest.filesystem
             ORDER BY run.started, run.id",
        )?;
        let point = |row: &rusqlite::Row<'_>| {
            Ok(Point {
                run: row.get(0)?,
                started: row.get(1)?,
                label: row.get(2)?,
                median: row.get(3)?,
                count: row.get(4)?,
            })
        };
        Ok(statement.query_map([case], point)?.collect::<Result<_, _>>()?)
    }

    /// Returns the medians of a case over its runs, oldest first. The noise threshold is computed from them.
    pub fn medians(&self, case: &Case) -> Result<Vec<f64>, HistoryError> {
        Ok(self.series(&case.to_string())?.into_iter().map(|point| point.median).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn added_runs_are_returned_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = sample::run();
        for day in 1..=3 {
            run.started = format!("2026-11-0{day}T03:00:00Z");
            History::open(folder.path()).unwrap().add(&run, Path::new("/runs/1"), &format!("commit {day}")).unwrap();
        }
        let history = History::open(folder.path()).unwrap();
        let runs = history.runs(2).unwrap();
        assert_eq!(runs.iter().map(|run| run.label.as_str()).collect::<Vec<_>>(), ["commit 3", "commit 2"]);
        let series = history.series("diamond cold buildscope serial").unwrap();
        assert_eq!(
            series.iter().map(|point| (point.run, point.median, point.count)).collect::<Vec<_>>(),
            [(1, 2.5, 3), (2, 2.5, 3), (3, 2.5, 3)]
        );
        // The wrong sample of the fixture is not counted.
        assert_eq!(history.results(1).unwrap()[1], ("diamond cold buildscope stages".to_owned(), 1.625, 2));
    }

    #[test]
    fn processes_create_the_history_at_the_same_time() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let start = std::sync::Barrier::new(8);
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        start.wait();
                        History::open(folder.path()).unwrap().add(&sample::run(), Path::new("/r"), "a").unwrap();
                    });
                }
            });
            assert_eq!(History::open(folder.path()).unwrap().runs(20).unwrap().len(), 8);
        }
    }

    #[test]
    fn each_machine_has_its_own_series() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::open(folder.path()).unwrap();
        let mut run = sample::run();
        history.add(&run, Path::new("/r"), "a").unwrap();
        run.environment.cpu = Some("another".into());
        history.add(&run, Path::new("/r"), "b").unwrap();
        let series = history.series("diamond cold buildscope serial").unwrap();
        assert_eq!(series.iter().map(|point| point.label.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
