//! Suggestions for a faster build, each with its gain, its assumptions and its line in the Dockerfile.
//!
//! *Takes* an analysis, its ranked changes and earlier records of the same build. *Gives* advice, the largest gain first. *Must
//! never know* more than the record says: a rule reads the text of instructions and the measured times.

mod case;
mod context;
mod installing;
mod parts;
mod rules;
mod suggestion;

pub use suggestion::Advice;

use crate::analysis::Analysis;
use crate::whatif::RankedChanges;
use buildscope_record::Record;

/// All advice for a build, the largest gain first.
pub(crate) fn advise(analysis: &Analysis<'_>, ranked: &RankedChanges, earlier: &[Record]) -> Vec<Advice> {
    let texts = case::texts(analysis.record);
    let (file, facts) = (case::file(analysis.record, &texts), case::RecordFacts::of(analysis.record));
    let case = case::Case { analysis, ranked, earlier, file: &file, facts: &facts };
    let mut found: Vec<Advice> = rules::ALL.iter().flat_map(|rule| rule(&case)).collect();
    found.sort_by_key(|advice| std::cmp::Reverse(advice.gain));
    found
}

#[cfg(test)]
mod tests;
