//! The tables: a row a run, a row a case of a run.

use crate::run::{Case, CaseSamples, Run};
use crate::stats::Summary;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// The history's file.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

/// What can go wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database.
    #[error("{}: {source}", .path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The folder that it is to be in.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A later version's file.
    #[error("{} has version {found}; this version knows {VERSION}", .path.display())]
    Version {
        /// Its file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A question that failed.
    #[error(transparent)]
    Query(#[from] rusqlite::Error),
}

/// A run of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When it began, RFC 3339.
    pub started: String,
    /// What was measured: a commit, a version, whatever `--label` said.
    pub label: String,
    /// Cases in it.
    pub cases: u32,
    /// Its folder when it was added.
    pub folder: PathBuf,
}

/// A case in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The run's number.
    pub run: i64,
    /// When the run began.
    pub started: String,
    /// The run's label.
    pub label: String,
    /// The case's median wall time, in seconds.
    pub median: f64,
    /// Good samples behind it.
    pub count: u32,
}

const VERSION: u32 = 1;
const TABLES: &str = "
    CREATE TABLE run (id INTEGER PRIMARY KEY, started TEXT NOT NULL, label TEXT NOT NULL, folder TEXT NOT NULL, cpu TEXT, cpus INTEGER,
        kernel TEXT, filesystem TEXT);
    CREATE TABLE result (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, name TEXT NOT NULL, median REAL NOT NULL, low REAL, high REAL,
        count INTEGER NOT NULL, PRIMARY KEY (run, name));
    CREATE INDEX result_by_name ON result (name, run);";

impl History {
    /// Opens `history.sqlite` in that folder; makes it if there is none.
    pub fn open(folder: &Path) -> Result<Self, HistoryError> {
        std::fs::create_dir_all(folder).map_err(|source| HistoryError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join("history.sqlite");
        let database = |source| HistoryError::Database { path: path.clone(), source };
        let connection = Connection::open(&path).map_err(database)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(database)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(database)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(database)?;
        match found {
            0 => connection
                .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))
                .map_err(database)?,
            VERSION => {}
            found => return Err(HistoryError::Version { path, found }),
        }
        Ok(Self { connection })
    }

    /// Adds a run; gives its number.
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

    /// The last runs, newest first.
    pub fn runs(&self, last: u32) -> Result<Vec<Entry>, HistoryError> {
        let mut statement = self.connection.prepare(
            "SELECT id, started, label, folder, (SELECT count(*) FROM result WHERE run = id) FROM run ORDER BY started DESC, id DESC LIMIT ?",
        )?;
        let entry = |row: &rusqlite::Row<'_>| {
            let folder: String = row.get(3)?;
            Ok(Entry {
                id: row.get(0)?,
                started: row.get(1)?,
                label: row.get(2)?,
                folder: folder.into(),
                cases: row.get(4)?,
            })
        };
        Ok(statement.query_map([last], entry)?.collect::<Result<_, _>>()?)
    }

    /// The results of one run: (case, median in seconds, good samples).
    pub fn results(&self, run: i64) -> Result<Vec<(String, f64, u32)>, HistoryError> {
        let mut statement =
            self.connection.prepare("SELECT name, median, count FROM result WHERE run = ? ORDER BY rowid")?;
        Ok(statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?)
    }

    /// All cases that have ever been measured, by name.
    pub fn cases(&self) -> Result<Vec<String>, HistoryError> {
        let mut statement = self.connection.prepare("SELECT DISTINCT name FROM result ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// A case's series, oldest first: those runs that were measured on the machine of the newest.
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

    /// The medians of a case over its runs, oldest first: what its noise is learnt from.
    pub fn medians(&self, case: &Case) -> Result<Vec<f64>, HistoryError> {
        Ok(self.series(&case.to_string())?.into_iter().map(|point| point.median).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn what_was_added_comes_back_in_order() {
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
        // The wrong sample of the fixture is in no number.
        assert_eq!(history.results(1).unwrap()[1], ("diamond cold buildscope stages".to_owned(), 1.625, 2));
    }

    #[test]
    fn another_machine_is_another_series() {
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
