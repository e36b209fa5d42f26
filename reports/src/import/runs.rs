//! The intervals in which a vertex ran. BuildKit starts some vertices several times: first for the cache lookup, and sources again for each
//! step that has to run.

use super::draft::{Draft, DraftId};
use super::instant::Instant;
use crate::index::Indexed;
use buildscope_record::Outcome;

/// A run that is shorter and has another one after it is only a cache lookup.
pub(crate) const LOOK: Instant = 1_000_000;

/// Runs that are closer together than this count as one.
const APART: Instant = 20_000_000;

/// A clock that goes back by more than this was set.
const SET_BACK: Instant = 3_600_000_000_000;

/// An interval in which a vertex ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VertexRun {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// Whether the end was seen.
    pub(crate) ended: bool,
}

/// The start of a run, and its end if the log contains it.
type StartAndEnd = (Instant, Option<Instant>);

/// The runs of a vertex, in order. A run without an end lasts until the last event of the log.
pub(crate) fn closed(mut runs: Vec<StartAndEnd>, last: Option<Instant>) -> Vec<VertexRun> {
    runs.sort_unstable();
    let close = |(start, end): (Instant, Option<Instant>)| VertexRun {
        start,
        end: end.or(last).unwrap_or(start).max(start),
        ended: end.is_some(),
    };
    runs.into_iter().map(close).collect()
}

/// Leaves out runs whose times cannot be true: they end before they start, or they are on the smaller side of a clock that was set back.
/// `runs` are those of all vertices in the order of the log, each with the name of its vertex. Returns sentences about the runs that were
/// left out.
pub(crate) fn repair(vertices: &mut [(String, Vec<StartAndEnd>)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, runs) in vertices.iter_mut() {
        let count = runs.len();
        runs.retain(|&(start, end)| end.is_none_or(|end| end >= start));
        if runs.len() < count {
            notes.push(format!("`{name}` ends before it starts: those times are left out"));
        }
    }
    let mut latest: Option<Instant> = None;
    let mut epoch = 0_usize;
    let mut sizes = vec![0_usize];
    let mut epochs: Vec<Vec<usize>> = Vec::new();
    for (_, runs) in vertices.iter() {
        let mut own = Vec::new();
        for &(start, end) in runs {
            if latest.is_some_and(|latest| start < latest - SET_BACK) {
                epoch += 1;
                sizes.push(0);
                latest = None;
            }
            latest = latest.max(Some(end.unwrap_or(start)));
            sizes[epoch] += 1;
            own.push(epoch);
        }
        epochs.push(own);
    }
    if epoch > 0 {
        let most = sizes.iter().max().copied().unwrap_or(0);
        let kept = sizes.iter().position(|&size| size == most).unwrap_or(0);
        let mut left = 0;
        for ((_, runs), epochs) in vertices.iter_mut().zip(epochs) {
            let mut epochs = epochs.into_iter();
            let count = runs.len();
            runs.retain(|_| epochs.next() == Some(kept));
            left += usize::from(runs.len() < count);
        }
        notes.push(format!("the clock was set back during the build: the times of {left} steps are left out"));
    }
    notes
}

/// Gives each step the interval that counts: of several runs, the last one that ended before the start of the first step that needs it.
pub(crate) fn choose(draft: &mut Draft, runs: &Indexed<DraftId, Vec<VertexRun>>) {
    // The first start of a step that ran and needs this one, directly or through cached ones.
    let mut wanted: Indexed<DraftId, Option<Instant>> = Indexed::filled(None, draft.steps.len());
    let mut order = draft.order();
    let mut sorted = Indexed::filled(false, draft.steps.len());
    order.iter().for_each(|&id| sorted[id] = true);
    // Steps on a cycle come first, so that the walk below is complete.
    order.splice(0..0, draft.steps.indices().filter(|&id| !sorted[id]));
    for id in order.into_iter().rev() {
        if let Some((start, end)) = interval(&runs[id], wanted[id]) {
            (draft.steps[id].start, draft.steps[id].end) = (Some(start), Some(end));
        }
        let step = &draft.steps[id];
        let cached = step.outcome == Some(Outcome::Cached);
        let since = if cached { wanted[id] } else { step.start };
        let Some(since) = since else { continue };
        for &need in &step.needs {
            wanted[need] = Some(wanted[need].map_or(since, |known| known.min(since)));
        }
    }
}

/// The start and the end of the run that counts. Without a step that needs it, that is the longest run.
fn interval(runs: &[VertexRun], wanted: Option<Instant>) -> Option<(Instant, Instant)> {
    let mut groups: Vec<(Instant, Instant)> = Vec::new();
    for run in runs {
        match groups.last_mut().filter(|last| run.start - last.1 <= APART) {
            Some(last) => last.1 = last.1.max(run.end),
            None => groups.push((run.start, run.end)),
        }
    }
    let length = |&(start, end): &(Instant, Instant)| end - start;
    let in_time = |group: &&(Instant, Instant)| wanted.is_none_or(|wanted| group.1 <= wanted + LOOK);
    let before: Vec<_> = groups.iter().filter(in_time).copied().collect();
    let longest = before.iter().map(length).max();
    // A source answers repeated requests from its cache.
    let last = before.iter().rev().find(|group| wanted.is_some() && length(group) * 10 >= longest.unwrap_or(0));
    last.or_else(|| before.iter().rev().max_by_key(|group| length(group))).or(groups.first()).copied()
}
