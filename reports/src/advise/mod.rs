//! Suggestions for a faster build, each with what it would gain, what it takes for granted, and its line.
//!
//! *Takes* a record, its explanation and earlier records of the same build. *Gives* advice, the largest gain first.
//! *Must never know* more than the record says: a rule reads the instructions' text and the measured times.

mod commands;
mod installing;
mod installs;
mod parts;
mod rules;

use crate::analysis::Analysis;
use crate::whatif::RankedChanges;
use buildscope_record::{Nanos, Record, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What could be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The rule's name, for filters: `copy-before-install`.
    pub rule: String,
    /// What to do and why, in a sentence.
    pub text: String,
    /// How much sooner the build would have ended, at most.
    pub gain: Nanos,
    /// What the gain takes for granted, or what it costs.
    pub caveat: String,
    /// The step that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Its line in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The change as lines of a diff, where it can be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
}

impl Advice {
    /// The Dockerfile (of the rule `dockerignore`: the .dockerignore) after the diff: a line that goes or stays is looked
    /// for from where the last one was. None where a line is not there as the diff has it: an instruction that was written
    /// over several lines, or another file.
    pub fn applied(&self, file: &str) -> Option<String> {
        let mut lines: Vec<&str> = file.lines().collect();
        let mut at = 0;
        for change in &self.diff {
            let (mark, text) = change.split_at_checked(1)?;
            if mark != "+" {
                at += lines[at..].iter().position(|line| *line == text)?;
            }
            match mark {
                "+" => lines.insert(at, text),
                "-" => drop(lines.remove(at)),
                _ => {}
            }
            at += usize::from(mark != "-");
        }
        Some(lines.join("\n") + "\n")
    }
}

/// All advice for a build, the largest gain first.
pub(crate) fn advise(analysis: &Analysis<'_>, ranked: &RankedChanges, earlier: &[Record]) -> Vec<Advice> {
    let case = rules::Case { analysis, ranked, earlier };
    let mut found: Vec<Advice> = rules::ALL.iter().flat_map(|rule| rule(&case)).collect();
    found.sort_by_key(|advice| std::cmp::Reverse(advice.gain));
    found
}

#[cfg(test)]
mod tests;
