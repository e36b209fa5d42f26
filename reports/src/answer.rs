//! The answer in one sentence: how long the build took, and what most of that time went to.

use crate::analysis::Analysis;
use crate::attribute::{Attributed, Owner};
use crate::needless::NeedlessWait;
use crate::steps::StepExplanation;
use crate::wording::{percent, quote_located};
use buildscope_record::{Nanos, Outcome};

/// The answer for a build.
pub(crate) fn answer(analysis: &Analysis<'_>) -> String {
    let wall = analysis.record.wall;
    if wall == Nanos::ZERO {
        return "The record has no times: it says what ran, not how long it took.".to_owned();
    }
    let mut sentence = outcome(analysis);
    if analysis.steps.is_empty() && analysis.segments.iter().all(|segment| segment.phase.is_none()) {
        return sentence + "; the record says nothing of what it did.";
    }
    let own = analysis.accounts.stages.iter().find(|row| row.name == Owner::Build).map_or(Nanos::ZERO, |row| row.wall);
    let largest = analysis.steps.iter().max_by_key(|step| step.wall);
    match largest.filter(|step| step.wall >= own && step.wall > Nanos::ZERO) {
        Some(step) => sentence += &largest_share(analysis, step),
        None => {
            let phases = &analysis.accounts.phases;
            let phase =
                phases.iter().find(|row| row.wall > Nanos::ZERO).map_or(Attributed::Unattributed, |row| row.name);
            sentence += &format!("; {own} of it ({}) was spent outside of steps, mostly {phase}", percent(own, wall));
        }
    }
    if let Some(wait) = NeedlessWait::longest(analysis).filter(|wait| wait.lost.0 > wall.0 / 10) {
        sentence += &format!("; {}", wait.sentence(analysis));
    }
    sentence + "."
}

/// "The build took 1.2 s", or where it failed.
fn outcome(analysis: &Analysis<'_>) -> String {
    let (record, wall) = (analysis.record, analysis.record.wall);
    if record.succeeded {
        return format!("The build took {wall}");
    }
    match analysis.steps.iter().find(|step| step.outcome == Outcome::Failed) {
        Some(failed) => {
            let code = record.steps[failed.id.index()].exit_code;
            let code = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
            format!("The build failed{code} after {wall} in {}", quote_located(failed))
        }
        None => format!("The build failed after {wall}"),
    }
}

/// The share of the step that had most of the wall time.
fn largest_share(analysis: &Analysis<'_>, step: &StepExplanation) -> String {
    let failed = !analysis.record.succeeded && step.outcome == Outcome::Failed;
    let name = if failed { "that step".to_owned() } else { quote_located(step) };
    let mut share = format!("; {} of it ({}) went to {name}", step.wall, percent(step.wall, analysis.record.wall));
    if let Some(phase) = step.phases.first().filter(|phase| phase.wall.0 > step.wall.0 / 2) {
        share += &format!(", mostly {}", phase.name);
    }
    if step.drag > Nanos::ZERO && step.drag < step.wall {
        share += &format!("; without that step it would have ended {} sooner", step.drag);
    }
    share
}
