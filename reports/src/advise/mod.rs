//! Suggestions for a faster build, each with its gain, its assumptions and its line in the Dockerfile.
//!
//! *Takes* an analysis, its ranked changes, earlier records of the same build, and the texts of its context if the caller has them. *Gives*
//! advice, the largest gain first. *Must never know* more: a rule reads the text of instructions and the measured times.

mod case;
mod context;
mod installing;
mod parts;
mod rules;
mod suggestion;

pub use suggestion::{Advice, IGNORE_RULE};

use crate::analysis::Analysis;
use crate::whatif::RankedChanges;
use buildscope_commands::rules::{Edit, Facts};
use buildscope_record::{Nanos, Record};

/// All advice for a build, the largest gain first.
pub(crate) fn advise(
    analysis: &Analysis<'_>,
    ranked: &RankedChanges,
    earlier: &[Record],
    context: &dyn Facts,
) -> Vec<Advice> {
    let texts = case::texts(analysis.record);
    let (file, facts) = (case::file(analysis.record, &texts), case::RecordFacts::of(analysis.record, context));
    let case = case::AdviceCase { analysis, ranked, earlier, texts: &texts, file: &file, facts: &facts };
    let mut found: Vec<Advice> = rules::ALL.iter().flat_map(|rule| rule(&case)).collect();
    found = without_repeats(found);
    found.sort_by_key(|advice| std::cmp::Reverse(advice.gain));
    found
}

/// Leaves out a cache mount whose change a rule about a command has too, with a gain at least as large: that rule says more.
fn without_repeats(mut found: Vec<Advice>) -> Vec<Advice> {
    let of_command: Vec<(Vec<Edit>, Nanos)> = found
        .iter()
        .filter(|advice| advice.column.is_some() && !advice.edits.is_empty())
        .map(|advice| (advice.edits.clone(), advice.gain))
        .collect();
    let is_said =
        |advice: &Advice| of_command.iter().any(|(edits, gain)| *edits == advice.edits && *gain >= advice.gain);
    found.retain(|advice| advice.rule != suggestion::CACHE_MOUNT || !is_said(advice));
    found
}

#[cfg(test)]
mod tests;
