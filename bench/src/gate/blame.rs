//! The origin of a change of time: the step and phase whose share of the critical path changed most, and whose own
//! duration changed too.
//!
//! The second condition matters if two paths are about equally long. Then the critical path switches between them
//! from build to build, and whole steps enter or leave it without getting slower.

use crate::stats::quantile;
use buildscope_record::{Phase, Record, StepId};
use buildscope_reports::explain;
use std::collections::BTreeMap;

/// The phase of a step that takes longer or shorter.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// The instruction; empty for work that belongs to no step.
    pub step: String,
    /// The phase; `None` for time that belongs to no phase.
    pub phase: Option<Phase>,
    /// The median of its share of the wall time before the change, in seconds.
    pub before: f64,
    /// The median of its share after the change, in seconds.
    pub after: f64,
}

/// Seconds of wall time by (step, phase), one list entry per build.
type Shares = BTreeMap<(Option<StepId>, Option<Phase>), Vec<f64>>;

/// Returns the part of a change that a phase explains, in seconds. It is the change of the phase's share of the
/// critical path, limited by the change of its own duration. A wait has no spans and so no duration of its own: only
/// its share counts.
fn blame_score(on_path: f64, itself: Option<f64>, direction: f64) -> f64 {
    let on_path = on_path * direction;
    itself.map_or(on_path, |itself| on_path.min(itself * direction))
}

/// Returns the largest change in the direction of the total; `None` without records on both sides.
pub(super) fn blame(before: &[Record], after: &[Record]) -> Option<Blame> {
    let steps = &after.first()?.steps;
    let (was, is) = (shares(before), shares(after));
    let (lasted, lasts) = (durations(before), durations(after));
    let median = |shares: &Shares, key: &_, builds: usize| {
        // A phase that is absent from a build counts as 0 s.
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
        (key, share.0, share.1, blame_score(share.1 - share.0, itself, direction))
    });
    let (key, before, after, _) = changes.max_by(|a, b| a.3.total_cmp(&b.3))?;
    let step = key.0.and_then(|id| steps.get(id.index())).map(|step| step.text.clone()).unwrap_or_default();
    Some(Blame { step, phase: key.1, before, after })
}

/// Sums the duration of each phase of each step, on and off the critical path.
fn durations(records: &[Record]) -> Shares {
    let mut durations = Shares::new();
    for record in records {
        let mut of_build = BTreeMap::<_, f64>::new();
        for span in &record.spans {
            *of_build.entry((span.step, Some(span.phase))).or_default() +=
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
            *of_build.entry((segment.step, segment.phase)).or_default() +=
                segment.end.saturating_sub(segment.start).as_secs_f64();
        }
        for (key, seconds) in of_build {
            shares.entry(key).or_default().push(seconds);
        }
    }
    shares
}
