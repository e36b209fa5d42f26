//! kaniko's `BENCHMARK_FILE`: a JSON object from names of categories to the nanoseconds spent in them, without their order.

use super::draft::{Draft, DraftSpan, DraftStep, INFERRED};
use super::instant::Instant;
use super::names;
use buildscope_record::{Fidelity, Outcome, Phase, Policy, Tool};
use std::collections::BTreeMap;

/// The category that contains all others. kaniko writes the file after it.
pub(super) const TOTAL: &str = "Total Build Time";

/// Reads the file. Commands become steps, one after the other as kaniko runs them, in the alphabetical order of the file, which has
/// no other order. Everything else is work of the build as a whole.
pub(crate) fn read(text: &str) -> Result<Draft, String> {
    let categories: BTreeMap<String, i64> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut draft = Draft::new(Tool::Kaniko, Fidelity::default());
    draft.options.policy = Some(Policy::Serial);
    draft.options.jobs = Some(1);
    let mut at: Instant = 0;
    let mut total = None;
    for (category, nanos) in categories {
        let took = Instant::from(nanos.max(0));
        if category == TOTAL {
            total = Some(took);
            continue;
        }
        let (start, end) = (at, at + took);
        let span = DraftSpan::new(phase(&category), start, end).named(INFERRED);
        match category.strip_prefix("Command: ") {
            Some(command) => {
                let after = draft.steps.indices().next_back();
                let instruction = names::instruction(command);
                let span = DraftSpan { phase: names::phase(&instruction, command), ..span };
                draft.steps.push(DraftStep {
                    stage: Some("0".to_owned()),
                    number: u32::try_from(draft.steps.len()).ok().map(|index| (index + 1, 0)),
                    instruction,
                    text: command.to_owned(),
                    outcome: Some(Outcome::Executed),
                    start: Some(start),
                    end: Some(end),
                    spans: vec![span],
                    after: after.into_iter().collect(),
                    ..DraftStep::default()
                });
            }
            None => draft.spans.push(span.named(format!("{category} ({INFERRED} place)"))),
        }
        at = end;
    }
    draft.saw(0);
    // Categories may contain each other. The total is the real duration.
    draft.saw(total.map_or(at, |total| total.max(at)));
    Ok(draft)
}

fn phase(category: &str) -> Phase {
    let has = |word: &str| category.to_ascii_lowercase().contains(word);
    if has("unpack") {
        Phase::Unpack
    } else if has("snapshot") || has("walking") || has("resolving paths") {
        Phase::Diff
    } else if has("hash") {
        Phase::ContextHash
    } else if has("push") {
        Phase::Push
    } else if has("retriev") || has("pull") || has("fetch") {
        Phase::Pull
    } else if has("cache") {
        Phase::CacheLookup
    } else if has("sav") {
        Phase::Archive
    } else {
        Phase::Commit
    }
}
