//! The answer in one sentence, computed from what was found.

use crate::attribute::{BUILD, Link, UNATTRIBUTED};
use crate::explain::{Explanation, StepExplanation};
use buildscope_record::{Nanos, Outcome, Record, StepId};

/// The longest part of a step's text that a sentence quotes, in characters.
const QUOTE: usize = 60;

/// A step as a sentence names it: its text, shortened, in backquotes.
pub(crate) fn quote(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("`{}…`", one_line[..end].trim_end()),
        None => format!("`{one_line}`"),
    }
}

/// The same with its stage and line.
pub(crate) fn place(step: &StepExplanation) -> String {
    let stage = step.stage.as_ref().map(|stage| format!("stage {stage}"));
    let line = step.source.map(|source| format!("line {}", source.line));
    let place: Vec<_> = [stage, line].into_iter().flatten().collect();
    match place.is_empty() {
        true => quote(&step.text),
        false => format!("{} ({})", quote(&step.text), place.join(", ")),
    }
}

/// A share in percent.
pub(crate) fn percent(part: Nanos, whole: Nanos) -> String {
    if whole == Nanos::ZERO {
        return "0 %".to_owned();
    }
    let percent = part.0 as f64 * 100.0 / whole.0 as f64;
    match percent {
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p < 9.95 || (99.0..99.95).contains(&p) => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// The sentence.
pub(crate) fn answer(record: &Record, explanation: &Explanation) -> String {
    let wall = explanation.wall;
    let mut sentence = match explanation.steps.iter().find(|step| !record.succeeded && step.outcome == Outcome::Failed)
    {
        Some(failed) => {
            let code = record.steps[failed.id.index()].exit_code;
            let code = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
            format!("The build failed{code} after {wall} in {}", place(failed))
        }
        None if !record.succeeded => format!("The build failed after {wall}"),
        None => format!("The build took {wall}"),
    };
    if wall == Nanos::ZERO {
        return "The record has no times: it says what ran, not how long it took.".to_owned();
    }
    if explanation.steps.is_empty() && explanation.segments.iter().all(|segment| segment.phase.is_none()) {
        return sentence + "; the record says nothing of what it did.";
    }
    let own = explanation.accounts.stages.iter().find(|row| row.name == BUILD).map_or(Nanos::ZERO, |row| row.wall);
    match explanation.steps.iter().max_by_key(|step| step.wall).filter(|step| step.wall >= own && step.wall.0 > 0) {
        Some(top) => {
            let failed = !record.succeeded && top.outcome == Outcome::Failed;
            let name = if failed { "that step".to_owned() } else { place(top) };
            sentence += &format!("; {} of it ({}) went to {name}", top.wall, percent(top.wall, wall));
            if let Some(phase) = top.phases.first().filter(|phase| phase.wall.0 > top.wall.0 / 2) {
                sentence += &format!(", mostly {}", phase.name);
            }
            if top.drag.0 > 0 && top.drag < top.wall {
                sentence += &format!("; without that step it would have ended {} sooner", top.drag);
            }
        }
        None => {
            let phases = &explanation.accounts.phases;
            let phase = phases.iter().find(|row| row.wall.0 > 0).map_or(UNATTRIBUTED, |row| row.name.as_str());
            sentence += &format!("; {own} of it ({}) was no step's, mostly {phase}", percent(own, wall));
        }
    }
    if let Some(needless) = needless(record, explanation).filter(|needless| needless.lost.0 > wall.0 / 10) {
        sentence += &format!("; {}", needless.sentence(explanation));
    }
    sentence + "."
}

/// A step that the policy's order kept from running although all that it needs was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needless {
    /// The step.
    pub(crate) step: StepId,
    /// How long.
    pub(crate) held: Nanos,
    /// The step that it had to wait for.
    pub(crate) on: StepId,
    /// How much of the wait was lost to the build.
    pub(crate) lost: Nanos,
}

impl Needless {
    /// "`RUN make` of stage b waited 1.2 s for stage a, which it does not need".
    pub(crate) fn sentence(&self, explanation: &Explanation) -> String {
        let (step, on) = (&explanation.steps[self.step.index()], &explanation.steps[self.on.index()]);
        let siblings = explanation.steps.iter().filter(|other| other.stage == step.stage && other.id >= step.id);
        // A FROM only begins its stage: what was delayed is the stage's longest step.
        let delayed = match step.instruction.as_str() {
            "FROM" => siblings.max_by_key(|other| other.own).unwrap_or(step),
            _ => step,
        };
        let of = step.stage.as_ref().map(|stage| format!(" of stage {stage}")).unwrap_or_default();
        let what = match &on.stage {
            Some(stage) if on.stage != step.stage => format!("stage {stage}"),
            _ => quote(&on.text),
        };
        format!("{}{of} waited {} for {what}, which it does not need", quote(&delayed.text), self.held)
    }
}

/// The needless wait on the critical path that cost most, and how much of it was lost: what came after it on the path,
/// up to the next such wait, could have been done meanwhile.
pub(crate) fn needless(record: &Record, explanation: &Explanation) -> Option<Needless> {
    let graph = crate::graph::Graph::new(record);
    let path = &explanation.path;
    let ordered: Vec<usize> = (1..path.len()).filter(|&leg| path[leg].after == Some(Link::Order)).collect();
    let mut found: Vec<Needless> = Vec::new();
    for (number, &leg) in ordered.iter().enumerate() {
        let until = ordered.get(number + 1).map_or(path[path.len() - 1].end, |&next| path[next].start);
        let (step, on) = (path[leg].step, path[leg - 1].step);
        let held = explanation.steps[step.index()].held;
        found.push(Needless { step, held, on, lost: held.min(until.saturating_sub(path[leg].start)) });
    }
    found.sort_by_key(|needless| std::cmp::Reverse(needless.lost));
    found.into_iter().find(|needless| needless.lost.0 > 0 && !graph.needs(needless.step, needless.on))
}
