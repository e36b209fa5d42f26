//! Suggestions for a faster build, each with what it would gain, what it takes for granted, and its line.
//!
//! *Takes* a record, its explanation and earlier records of the same build. *Gives* advice, the largest gain first.
//! *Must never know* more than the record says: a rule reads the instructions' text and the measured times.

mod case;
mod commands;
mod installing;
mod installs;
mod parts;
mod rules;
mod suggestion;

pub use suggestion::Advice;

use crate::analysis::Analysis;
use crate::whatif::RankedChanges;
use buildscope_record::Record;

/// All advice for a build, the largest gain first.
pub(crate) fn advise(analysis: &Analysis<'_>, ranked: &RankedChanges, earlier: &[Record]) -> Vec<Advice> {
    let case = case::Case { analysis, ranked, earlier };
    let mut found: Vec<Advice> = rules::ALL.iter().flat_map(|rule| rule(&case)).collect();
    found.sort_by_key(|advice| std::cmp::Reverse(advice.gain));
    found
}

#[cfg(test)]
mod tests;
