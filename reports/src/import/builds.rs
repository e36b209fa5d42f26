//! The builds of one file: a CI job may build several times.

use super::ImportError;
use crate::wording::quote;
use buildscope_record::{Nanos, Record, Step};

/// The builds of one file, in its order.
#[derive(Clone, Debug)]
pub struct Builds(Vec<Record>);

impl Builds {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        Self(records)
    }

    /// The records of the builds.
    pub fn records(&self) -> &[Record] {
        &self.0
    }

    /// The records of the builds, to keep.
    pub fn into_records(self) -> Vec<Record> {
        self.0
    }

    /// Returns one of the builds by its number from 1, or the slowest without a number. Its record notes the others.
    ///
    /// # Errors
    /// [`ImportError::NoBuild`].
    pub fn choose(mut self, number: Option<usize>) -> Result<Record, ImportError> {
        let count = self.0.len();
        // Without times, a build that failed is the one to explain.
        let key = |&index: &usize| (self.0[index].wall, !self.0[index].succeeded);
        let slowest = || (0..count).rev().max_by_key(key).map_or(0, |index| index + 1);
        let chosen = number.unwrap_or_else(slowest);
        let index = chosen.checked_sub(1).filter(|&index| index < count);
        let index = index.ok_or(ImportError::NoBuild { number: chosen, count })?;
        let mut notes = Vec::new();
        if count > 1 {
            let which = if number.is_some() { "as requested" } else { "the slowest" };
            notes.push(format!(
                "the file has {count} builds; this is build {chosen}, {which} (`--build N` chooses another)"
            ));
            notes.extend(
                self.0.iter().enumerate().map(|(index, record)| format!("build {}: {}", index + 1, summary(record))),
            );
        }
        let mut record = self.0.swap_remove(index);
        record.notes.extend(notes);
        Ok(record)
    }
}

/// A short description of a build: its time and its longest step.
fn summary(record: &Record) -> String {
    let length = |step: &&Step| step.end.unwrap_or_default().saturating_sub(step.start.unwrap_or_default());
    let longest = record.steps.iter().max_by_key(length).filter(|step| length(step) > Nanos::ZERO);
    let outcome = match (record.succeeded, record.unfinished) {
        (true, _) => "",
        (false, true) => ", unfinished",
        (false, false) => ", failed",
    };
    let wall = if record.wall == Nanos::ZERO { "no times".to_owned() } else { record.wall.to_string() };
    let longest = longest.map(|step| format!(", longest {}", quote(&step.text))).unwrap_or_default();
    format!("{wall}{outcome}, {} steps{longest}", record.steps.len())
}
