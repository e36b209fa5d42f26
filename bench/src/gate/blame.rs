//! Where a change of time comes from: the step and the phase whose share of the wall changed most, and which itself takes longer
//! or less. The second matters where two paths are about as long: then what lies on the critical path changes from build to
//! build by itself, whole steps at a time.

use crate::stats::quantile;
use buildscope_record::{Record, StepId};
use buildscope_reports::explain;
use std::collections::BTreeMap;

/// A step's phase that takes longer, or less.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// The instruction; empty for work of the build as a whole.
    pub step: String,
    /// The phase's name, or `unattributed`.
    pub phase: String,
    /// Its median share of the wall before, in seconds.
    pub before: f64,
    /// And after.
    pub after: f64,
}

/// Shares of the wall by (step, phase): a list a build.
type Shares = BTreeMap<(Option<StepId>, String), Vec<f64>>;

/// By how much a phase is to blame, in seconds: as its share of the path changed, but by no more than it changed itself. What
/// has no spans, a wait, is what it is on the path.
fn guilt(on_path: f64, itself: Option<f64>, direction: f64) -> f64 {
    let on_path = on_path * direction;
    itself.map_or(on_path, |itself| on_path.min(itself * direction))
}

/// The largest change, in the direction of the whole; none without records on both sides.
pub(super) fn blame(before: &[Record], after: &[Record]) -> Option<Blame> {
    let steps = &after.first()?.steps;
    let (was, is) = (shares(before), shares(after));
    let (lasted, lasts) = (durations(before), durations(after));
    let median = |shares: &Shares, key: &_, builds: usize| {
        // A phase that a build did not have took it no time.
        let mut values = shares.get(key).cloned().unwrap_or_default();
        values.resize(builds, 0.0);
        values.sort_by(f64::total_cmp);
        if values.is_empty() { 0.0 } else { quantile(&values, 0.5) }
    };
    let total = |records: &[Record]| {
        let mut walls: Vec<_> = records.iter().map(|record| record.wall.as_secs_f64()).collect();
        walls.sort_by(f64::total_cmp);
        if walls.is_empty() { 0.0 } else { quantile(&walls, 0.5) }
    };
    let direction = (total(after) - total(before)).signum();
    let keys: std::collections::BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let changes = keys.into_iter().map(|key| {
        let share = (median(&was, key, before.len()), median(&is, key, after.len()));
        let has_spans = lasted.contains_key(key) || lasts.contains_key(key);
        let itself = has_spans.then(|| median(&lasts, key, after.len()) - median(&lasted, key, before.len()));
        (key, share.0, share.1, guilt(share.1 - share.0, itself, direction))
    });
    let (key, before, after, _) = changes.max_by(|a, b| a.3.total_cmp(&b.3))?;
    let step = key.0.and_then(|id| steps.get(id.index())).map(|step| step.text.clone()).unwrap_or_default();
    Some(Blame { step, phase: key.1.clone(), before, after })
}

/// How long each phase of each step took, on the critical path or not.
fn durations(records: &[Record]) -> Shares {
    let mut durations = Shares::new();
    for record in records {
        let mut of_build = BTreeMap::<_, f64>::new();
        for span in &record.spans {
            *of_build.entry((span.step, span.phase.name().to_owned())).or_default() +=
                span.end.saturating_sub(span.start).as_secs_f64();
        }
        for (key, seconds) in of_build {
            durations.entry(key).or_default().push(seconds);
        }
    }
    durations
}

fn shares(records: &[Record]) -> Shares {
    let mut shares = Shares::new();
    for record in records {
        let mut of_build = BTreeMap::<_, f64>::new();
        for segment in explain(record).segments {
            let phase = segment.phase.map_or("unattributed", |phase| phase.name());
            *of_build.entry((segment.step, phase.to_owned())).or_default() +=
                segment.end.saturating_sub(segment.start).as_secs_f64();
        }
        for (key, seconds) in of_build {
            shares.entry(key).or_default().push(seconds);
        }
    }
    shares
}
