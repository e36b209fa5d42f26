//! The facts that rules read, and functions to make advice about a step.

use super::suggestion::Advice;
use crate::analysis::Analysis;
use crate::steps::StepExplanation;
use crate::whatif::{MAX_DRIFT, RankedChanges, Scenario};
use buildscope_commands::rules::{Edit, Facts};
use buildscope_commands::{Environments, File, Instruction, InstructionLine, Keyword, diff};
use buildscope_record::{self as record, Nanos, Outcome, Phase, Record, Step, Tool};
use std::collections::BTreeSet;

/// A build as the rules see it.
pub(super) struct AdviceCase<'c> {
    pub(super) analysis: &'c Analysis<'c>,
    /// The changes that help by replay, and the error of the replay.
    pub(super) ranked: &'c RankedChanges,
    /// Earlier records of the same build, oldest first.
    pub(super) earlier: &'c [Record],
    /// The texts of the instructions with their heredocs.
    pub(super) texts: &'c [String],
    /// The instructions; its steps are those of the record.
    pub(super) file: &'c File<'c>,
    /// The facts of the record about files and output.
    pub(super) facts: &'c RecordFacts<'c>,
}

impl AdviceCase<'_> {
    /// The steps that ran.
    pub(super) fn ran(&self) -> impl Iterator<Item = &StepExplanation> {
        self.analysis.steps.iter().filter(|step| step.outcome == Outcome::Executed)
    }

    /// The RUNs that ran and delayed the end of the build.
    pub(super) fn runs(&self) -> impl Iterator<Item = &StepExplanation> {
        self.ran().filter(|step| step.instruction == record::Instruction::Run && self.worth(step.drag))
    }

    /// The time by which the build ends earlier under a scenario, by replay; zero if the replay is not credible.
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

    /// Whether a gain is worth a suggestion: more than 1 % of the wall time, and more than 1 ms.
    pub(super) fn worth(&self, gain: Nanos) -> bool {
        gain.0 > self.analysis.record.wall.0 / 100 && gain.0 > 1_000_000
    }

    /// Advice with a change of the Dockerfile.
    pub(super) fn edited(&self, advice: Advice, edits: Vec<Edit>) -> Advice {
        let steps = self.analysis.steps.iter().zip(self.texts);
        let texts: Vec<&str> =
            steps.map(|(step, text)| if text.contains('\n') { text.as_str() } else { step.text.as_str() }).collect();
        Advice { diff: diff(&texts, &edits), edits, ..advice }
    }
}

/// The facts of a record about the files and the output of its steps.
#[derive(Debug)]
pub(super) struct RecordFacts<'c> {
    /// The facts about the build context.
    context: &'c dyn Facts,
    files: Vec<Option<BTreeSet<String>>>,
    output: Vec<Option<Vec<String>>>,
    complete: bool,
}

impl<'c> RecordFacts<'c> {
    pub(super) fn of(record: &Record, context: &'c dyn Facts) -> Self {
        let own = record.source.tool == Tool::Buildscope;
        let files = |step: &Step| {
            let inputs = &step.cache.as_ref()?.inputs;
            let names: BTreeSet<String> = inputs
                .keys()
                .filter_map(|name| name.strip_prefix("file:"))
                .map(|path| path.trim_start_matches("./").to_owned())
                .collect();
            (!names.is_empty()).then_some(names)
        };
        let output = |step: &Step| (own || !step.log.is_empty()).then(|| step.log.clone());
        // A log of BuildKit has no ENV, USER or CMD.
        let setting = |step: &Step| {
            use record::Instruction::{Arg, Cmd, Entrypoint, Env, Expose, Label, User};
            matches!(step.instruction, Env | User | Cmd | Entrypoint | Label | Arg | Expose)
        };
        let complete = own || record.steps.iter().any(setting);
        Self {
            context,
            files: record.steps.iter().map(files).collect(),
            output: record.steps.iter().map(output).collect(),
            complete,
        }
    }
}

impl Facts for RecordFacts<'_> {
    fn files(&self, step: usize) -> Option<&BTreeSet<String>> {
        self.files.get(step)?.as_ref()
    }

    fn output(&self, step: usize) -> Option<&[String]> {
        self.output.get(step)?.as_deref()
    }

    fn text(&self, path: &str) -> Option<String> {
        self.context.text(path)
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

/// The instructions of a record as texts, each with its heredocs if the record has them.
pub(super) fn texts(record: &Record) -> Vec<String> {
    let text = |step: &Step| {
        let command = step.processes.as_ref().map(|seen| &seen.command[..]);
        match command {
            // The builder gave the shell the whole script.
            Some([_, .., option, script]) if step.text.contains("<<") && option.ends_with('c') => {
                let instruction = Instruction::read(&step.text);
                let begun = instruction.rest.starts_with("<<") && !script.starts_with("<<");
                let (first, end) = if begun {
                    let name = instruction.rest.trim_start_matches(['<', '-']).trim_matches(['"', '\'']);
                    (format!("{}\n", instruction.rest), format!("\n{name}"))
                } else {
                    (String::new(), String::new())
                };
                format!("RUN {} {first}{script}{end}", instruction.flags)
            }
            _ => with_base(record, step).unwrap_or_else(|| step.text.clone()),
        }
    };
    record.steps.iter().map(text).collect()
}

/// A FROM whose base is named by variables, with the name that the build used.
fn with_base(record: &Record, step: &Step) -> Option<String> {
    let stage = record.stages.get(step.stage?.index())?;
    let from = Instruction::read(&step.text);
    let written = from.words().first().filter(|word| from.is(Keyword::From) && word.text.contains('$'))?.text.clone();
    Some(step.text.replacen(&written, &stage.base, 1))
}

/// The instructions of a record.
pub(super) fn file<'t>(record: &Record, texts: &'t [String]) -> File<'t> {
    let lines = record.steps.iter().zip(texts);
    let known = |stage: usize| stage < record.stages.len();
    let lines: Vec<_> = lines
        .map(|(step, text)| InstructionLine {
            text,
            stage: step.stage.map(|stage| stage.index()).filter(|stage| known(*stage)),
        })
        .collect();
    File::read(&lines, &Environments::new())
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
        edits: Vec::new(),
    }
}
