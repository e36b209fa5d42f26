//! Runs over time, in one SQLite file beside them.
//!
//! *Takes* finished runs. *Gives* series: how a case's median went from run to run, and how noisy
//! it is by itself. *Must never know* how a change is judged.

mod database;

pub use database::{Entry, History, HistoryError, Point};
