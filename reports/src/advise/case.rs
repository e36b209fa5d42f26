//! The facts that rules read, and how they make advice about a step.

use super::suggestion::Advice;
use crate::analysis::Analysis;
use crate::steps::StepExplanation;
use crate::whatif::{MAX_DRIFT, RankedChanges, Scenario};
use buildscope_record::{Nanos, Outcome, Phase, Record};

/// A build as the rules see it.
pub(super) struct Case<'c> {
    pub(super) analysis: &'c Analysis<'c>,
    /// The changes that the replay found to help, and how far it can be believed.
    pub(super) ranked: &'c RankedChanges,
    /// Earlier records of the same build, oldest first.
    pub(super) earlier: &'c [Record],
}

impl Case<'_> {
    /// The steps that ran.
    pub(super) fn ran(&self) -> impl Iterator<Item = &StepExplanation> {
        self.analysis.steps.iter().filter(|step| step.outcome == Outcome::Executed)
    }

    /// How much sooner the build ends under a scenario by replay; zero if the replay is not credible.
    pub(super) fn gain(&self, scenario: &Scenario) -> Nanos {
        // The replay of a large build takes too long to be repeated for each rule.
        let credible = self.ranked.drift.is_some_and(|drift| drift <= MAX_DRIFT);
        if !credible || scenario.check(self.analysis.record).is_err() {
            return Nanos::ZERO;
        }
        self.analysis.baseline.gain(self.analysis.record, scenario)
    }

    /// The share of the wall time that these phases had.
    pub(super) fn phases(&self, phases: &[Phase]) -> Nanos {
        let rows = &self.analysis.accounts.phases;
        rows.iter().filter(|row| row.name.is_one_of(phases)).map(|row| row.wall).sum()
    }

    /// Whether a COPY of the whole context copied the file; true if the record does not list its files.
    pub(super) fn has(&self, copy: &StepExplanation, file: &str) -> bool {
        let file = file.trim_start_matches("./");
        let inputs = self.analysis.record.steps[copy.id.index()].cache.as_ref().map(|cache| &cache.inputs);
        let taken = inputs.into_iter().flat_map(|inputs| inputs.keys()).filter_map(|name| name.strip_prefix("file:"));
        let mut taken = taken.map(|path| path.trim_start_matches("./")).peekable();
        taken.peek().is_none() || taken.any(|path| path == file)
    }

    /// Whether a gain is worth a suggestion: more than 1 % of the wall time, and more than 1 ms.
    pub(super) fn worth(&self, gain: Nanos) -> bool {
        gain.0 > self.analysis.record.wall.0 / 100 && gain.0 > 1_000_000
    }
}

/// The words of an instruction after its keyword and flags.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().skip(1).skip_while(|word| word.starts_with("--"))
}

/// Whether a step copies the whole context.
pub(super) fn takes_all(step: &StepExplanation) -> bool {
    matches!(step.instruction.as_str(), "COPY" | "ADD")
        && !step.text.contains("--from=")
        && matches!(words(&step.text).next(), Some("." | "./"))
}

/// Advice about a step.
pub(super) fn about(step: &StepExplanation, rule: &str, gain: Nanos, text: String, caveat: &str) -> Advice {
    let line = step.source.map(|source| source.line);
    Advice {
        rule: rule.into(),
        text,
        gain,
        caveat: caveat.into(),
        step: Some(step.id),
        line,
        column: None,
        diff: Vec::new(),
    }
}
