//! Where a change of time comes from: the step and the phase whose share of the wall changed most.

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

/// The largest change, in the direction of the whole; none without records on both sides.
pub(super) fn blame(before: &[Record], after: &[Record]) -> Option<Blame> {
    let steps = &after.first()?.steps;
    let (was, is) = (shares(before), shares(after));
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
    let changes = keys.into_iter().map(|key| (key, median(&was, key, before.len()), median(&is, key, after.len())));
    let (key, before, after) =
        changes.max_by(|a, b| ((a.2 - a.1) * direction).total_cmp(&((b.2 - b.1) * direction)))?;
    let step = key.0.and_then(|id| steps.get(id.index())).map(|step| step.text.clone()).unwrap_or_default();
    Some(Blame { step, phase: key.1.clone(), before, after })
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
