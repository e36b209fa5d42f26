//! The log of the classic builder: one step after the other, each with a line when its container starts and one when it ends.

use super::draft::{Draft, DraftSpan, DraftStep, Instant};
use super::lines::lines;
use super::names;
use buildscope_record::{Fidelity, Outcome, Phase, Policy, Tool};

/// `Step 3/21 : COPY a .`
pub(crate) fn step(line: &str) -> Option<(u32, u32, &str)> {
    let (numbers, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (at, of) = numbers.trim().split_once('/')?;
    Some((at.parse().ok()?, of.parse().ok()?, text.trim()))
}

/// A step with the times of its lines.
struct Open {
    step: DraftStep,
    began: Option<Instant>,
    running: Option<Instant>,
    removed: Option<Instant>,
    seen: Option<Instant>,
}

/// Reads the log.
pub(crate) fn read(text: &str) -> Draft {
    let mut draft = Draft::new(Tool::DockerClassic, Fidelity::default());
    draft.options.policy = Some(Policy::Serial);
    draft.options.jobs = Some(1);
    let (mut open, mut stage, mut stages): (Option<Open>, String, u32) = (None, String::new(), 0);
    let (mut first, mut built) = (None, None);
    for line in lines(text) {
        first = first.or(line.at);
        let at = line.at;
        if let Some(at) = at {
            draft.saw(at);
        }
        let words = line.text.trim_start();
        if let Some((number, of, text)) = step(words) {
            close(&mut draft, open.take(), at);
            let instruction = names::keyword(text);
            if instruction == "FROM" {
                let name = text.split_whitespace().rev().nth(1).filter(|word| word.eq_ignore_ascii_case("as"));
                stage =
                    name.and_then(|_| text.split_whitespace().last()).map_or_else(|| stages.to_string(), str::to_owned);
                stages += 1;
            }
            let step = DraftStep {
                stage: Some(stage.clone()),
                number: Some((number, of)),
                instruction,
                text: text.to_owned(),
                start: at,
                ..DraftStep::default()
            };
            if draft.steps.is_empty()
                && let (Some(first), Some(at)) = (first, at)
            {
                draft.spans.push(DraftSpan::new(Phase::ContextScan, first, at).named("sending build context"));
            }
            open = Some(Open { step, began: at, running: None, removed: None, seen: at });
            continue;
        }
        let Some(current) = &mut open else { continue };
        current.seen = at.or(current.seen);
        if words.starts_with("---> Running in") {
            current.running = at;
        } else if words.starts_with("---> Using cache") {
            current.step.outcome = Some(Outcome::Cached);
        } else if words.starts_with("Removing intermediate container") {
            current.removed = at;
        } else if words.starts_with("Successfully built") {
            built = at;
            close(&mut draft, open.take(), at);
        } else if words.contains("returned a non-zero code:") {
            current.step.outcome = Some(Outcome::Failed);
            current.step.error = Some(words.to_owned());
        } else if !words.starts_with("--->") && !words.is_empty() {
            current.step.log.push(words.to_owned());
        }
    }
    if let Some(last) = &mut open {
        draft.failed = true;
        last.step.outcome = last.step.outcome.or(Some(Outcome::Cancelled));
        let seen = last.seen;
        close(&mut draft, open, seen);
    }
    if let (Some(built), Some(end)) = (built, draft.end) {
        draft.spans.push(DraftSpan::new(Phase::Export, built, end).named("tagging"));
    }
    let timed = draft.steps.iter().any(|step| step.start.is_some());
    draft.source.fidelity = Fidelity { starts: timed, ..Fidelity::default() };
    draft.dated = timed;
    draft.guess_needs();
    for index in 1..draft.steps.len() {
        if !draft.steps[index].needs.contains(&(index - 1)) {
            draft.steps[index].after.push(index - 1);
        }
    }
    draft
}

/// Ends a step at the next line that does not belong to it. The lines of its container divide it into three phases.
fn close(draft: &mut Draft, open: Option<Open>, at: Option<Instant>) {
    let Some(Open { mut step, began, running, removed, .. }) = open else { return };
    step.outcome = step.outcome.or(Some(Outcome::Executed));
    draft.failed |= step.outcome == Some(Outcome::Failed);
    if let (Some(began), Some(end)) = (began, at) {
        step.end = Some(end);
        let cached = step.outcome == Some(Outcome::Cached);
        let whole = if cached { Phase::CacheLookup } else { names::phase(&step.instruction, &step.text) };
        let mut span = |phase, start, end| step.spans.push(DraftSpan::new(phase, start, end));
        match (running, removed) {
            (Some(running), Some(removed)) => {
                span(Phase::SandboxSetup, began, running);
                span(whole, running, removed);
                span(Phase::Commit, removed, end);
            }
            (Some(running), None) => {
                span(Phase::SandboxSetup, began, running);
                span(whole, running, end);
            }
            _ => span(whole, began, end),
        }
    }
    draft.steps.push(step);
}
