//! Runs over time, in one SQLite file next to them.
//!
//! *Takes* finished runs. *Gives* the series of medians of each case, from which its noise is computed. *Must never
//! know* how a change is judged.

mod database;

pub use database::{History, HistoryError, Point, StoredRun};
