//! Lines of plain progress that were printed late. BuildKit shows one vertex at a time, and writes a few times a second: the line that says
//! that a vertex is done may come long after its end, and after the start of what needs it.
//!
//! *Takes* intervals that end at the printed line. *Gives* intervals that end, as far as the printed durations allow, before the dependants'
//! starts.

use super::draft::{Draft, DraftId};
use super::instant::Instant;
use crate::index::Indexed;
use buildscope_record::Outcome;

/// Printed durations are rounded to a tenth of a second.
pub(crate) const ROUNDING: Instant = 100_000_000;

/// How much later than the end of its vertex a line is written if no other vertex is shown. BuildKit writes every 0.15 s, later on a busy
/// machine.
pub(crate) const TICK: Instant = 300_000_000;

/// The printed facts about a vertex that bound its interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Its printed duration.
    pub(crate) took: Instant,
    /// Whether its end was printed with all lines since another vertex was shown. Then it may have ended at any time before.
    pub(crate) held: bool,
    /// Whether it ran several times: [`super::runs`] chooses the interval.
    pub(crate) several: bool,
}

/// Moves executed steps to an earlier interval of the same length if a step that needs them started before they were said to be done.
pub(crate) fn settle(draft: &mut Draft, bounds: &Indexed<DraftId, Bounds>) {
    let order = draft.order();
    // The wall time does not grow.
    let Some(begin) = draft.steps.iter().filter_map(|step| step.start).min() else { return };
    let earliest = earliest_ends(draft, bounds, &order, begin);
    // The earliest start of a step that ran and needs this one, directly or through cached ones.
    let mut wanted: Indexed<DraftId, Option<Instant>> = Indexed::filled(None, draft.steps.len());
    for id in order.into_iter().rev() {
        let step = &draft.steps[id];
        let (Some(start), Some(end)) = (step.start, step.end) else { continue };
        let mut since = start;
        if step.outcome == Some(Outcome::Cached) {
            // Its result was known before.
            let Some(wanted) = wanted[id] else { continue };
            since = wanted;
        } else if let Some(wanted) =
            // Within the rounding, the start of the dependant is inexact, not this end. Otherwise the errors of a chain would add up.
            wanted[id]
                .filter(|&wanted| wanted + ROUNDING < end && step.outcome == Some(Outcome::Executed))
        {
            let Bounds { held, several, .. } = bounds[id];
            let possible = wanted + ROUNDING >= earliest[id];
            if (held || end - wanted <= TICK) && possible && !several {
                since = (start - (end - wanted)).max(begin).min(wanted);
                (draft.steps[id].start, draft.steps[id].end) = (Some(since), Some(wanted));
            }
        }
        for need in draft.steps[id].needs.clone() {
            wanted[need] = Some(wanted[need].map_or(since, |known| known.min(since)));
        }
    }
}

/// The earliest possible end of each step: it starts at the earliest end of what it needs, and takes as long as was printed.
fn earliest_ends(
    draft: &Draft,
    bounds: &Indexed<DraftId, Bounds>,
    order: &[DraftId],
    begin: Instant,
) -> Indexed<DraftId, Instant> {
    let mut ends = Indexed::filled(begin, draft.steps.len());
    for &id in order {
        let step = &draft.steps[id];
        // A step that needs none of the others started no earlier than its own start.
        let alone = step.start.map_or(begin, |start| start - TICK).max(begin);
        let free = step.needs.iter().map(|&need| ends[need]).max().unwrap_or(alone);
        let took = if step.outcome == Some(Outcome::Executed) { bounds[id].took - ROUNDING / 2 } else { 0 };
        ends[id] = free + took.max(0);
    }
    ends
}
