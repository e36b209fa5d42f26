//! Infers the work and the waits before the start of a step that a log does not show: cache lookup, hashing, waiting for a slot, a lock or
//! another step. All of them are labelled as inferred.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep, DraftWait, INFERRED};
use super::instant::Instant;
use super::names;
use buildscope_record::{Instruction, Outcome, Phase, WaitKind};
use std::collections::BTreeMap;

/// The shortest gap that is explained. A shorter one is the builder's own time: starting a process, mounting, rounding.
const SHORTEST_GAP: Instant = 50_000_000;

/// The longest time between the end of a step and the start of another one that waited for it.
const HANDOVER: Instant = 100_000_000;

/// Infers the waits of the steps of a draft.
pub(crate) fn infer(draft: &mut Draft) {
    let stamps = settle_cached(draft);
    let gaps: Vec<UnexplainedGap> = draft.steps.indices().filter_map(|id| gap(draft, id)).collect();
    let running = Running::new(draft);
    let limit = running.limit(&gaps);
    if let Some(limit) = limit {
        draft.options.jobs = draft.options.jobs.or(Some(limit));
    }
    for gap in gaps {
        explain(draft, &gap, &running, limit.is_some(), &stamps);
    }
    lock_waits(draft);
}

/// The time between the end of everything that a step needs and its start.
#[derive(Clone, Copy, Debug)]
struct UnexplainedGap {
    step: DraftId,
    free: Instant,
    start: Instant,
}

impl UnexplainedGap {
    fn length(&self) -> Instant {
        self.start - self.free
    }
}

fn gap(draft: &Draft, id: DraftId) -> Option<UnexplainedGap> {
    let step = &draft.steps[id];
    let start = step.start.filter(|_| step.outcome != Some(Outcome::Cached))?;
    // Something that it waited for may have ended later, at a time that is left out.
    let unknown = |need: &DraftStep| need.end.is_none() && need.outcome == Some(Outcome::Executed);
    if step.needs.iter().any(|&need| unknown(&draft.steps[need])) {
        return None;
    }
    let ends = step.needs.iter().chain(&step.after).filter_map(|&need| draft.steps[need].end);
    let free = ends.filter(|&end| end <= start).max()?;
    (free < start).then_some(UnexplainedGap { step: id, free, start })
}

/// Moves each cached step to the end of what it needs. BuildKit proves cached results when a later step asks for them, often at the
/// very end of the build, and stamps them then. Returns the original ends of the steps that were moved.
fn settle_cached(draft: &mut Draft) -> BTreeMap<DraftId, Instant> {
    let mut stamps = BTreeMap::new();
    let begin = draft.steps.iter().filter(|step| step.stage.is_some()).filter_map(|step| step.start).min();
    for id in draft.order() {
        let step = &draft.steps[id];
        let (Some(Outcome::Cached), Some(start), Some(end)) = (step.outcome, step.start, step.end) else { continue };
        let needs = step.needs.iter().chain(&step.after).filter_map(|&need| draft.steps[need].end);
        // Without a need, its result was known before the first step of a stage.
        let free = needs.max().or(begin.filter(|_| step.stage.is_some()));
        let Some(free) = free.filter(|&free| free < start) else { continue };
        stamps.insert(id, end);
        let step = &mut draft.steps[id];
        (step.start, step.end) = (Some(free), Some(free + (end - start)));
        for span in step.spans.iter_mut().filter(|span| span.start >= start) {
            (span.start, span.end) = (span.start - (start - free), span.end - (start - free));
        }
    }
    stamps
}

/// Explains one gap: by the step whose end released this one, otherwise by cached results that were looked up meanwhile, otherwise by
/// hashing.
fn explain(
    draft: &mut Draft,
    gap: &UnexplainedGap,
    running: &Running,
    limited: bool,
    stamps: &BTreeMap<DraftId, Instant>,
) {
    let &UnexplainedGap { step: id, free, start } = gap;
    let step = &draft.steps[id];
    let looked = looked_up(draft, id, stamps).filter(|&(_, until)| until > free && until <= start);
    let hashes = names::copies_context(&step.instruction, &step.text);
    let stage = step.stage.is_some();
    let held = || running.freed(gap).filter(|_| stage && gap.length() >= SHORTEST_GAP);
    let mut from = free;
    if let Some((holder, end)) = held().filter(|_| limited || !(hashes || looked.is_some())) {
        if limited {
            let (on, name) = (Some(holder), format!("slot ({INFERRED})"));
            draft.steps[id].waits.push(DraftWait { kind: WaitKind::Slot, on, name, start: free, end });
        } else {
            draft.steps[id].after.push(holder);
        }
        from = end;
    } else if let Some((phase, until)) = looked {
        draft.steps[id].spans.push(DraftSpan::new(phase, free, until).named(INFERRED));
        from = until;
    }
    if from < start {
        let phase = if hashes { Phase::ContextHash } else { Phase::Queue };
        draft.steps[id].spans.push(DraftSpan::new(phase, from, start).named(INFERRED));
    }
}

/// The last cached result among the needs of a step, and the time at which the builder found it.
fn looked_up(draft: &Draft, id: DraftId, stamps: &BTreeMap<DraftId, Instant>) -> Option<(Phase, Instant)> {
    let stamped = draft.steps[id].needs.iter().filter_map(|need| Some((*stamps.get(need)?, *need)));
    stamped.max().map(|(until, need)| {
        let need: &DraftStep = &draft.steps[need];
        let hashed = names::copies_context(&need.instruction, &need.text);
        (if hashed { Phase::ContextHash } else { Phase::CacheLookup }, until)
    })
}

/// The number of running steps of stages over time.
struct Running {
    /// Instants at which the number changes, with the number from there on.
    levels: Vec<(Instant, u32)>,
    /// The ends of the steps, in order.
    ends: Vec<(Instant, DraftId)>,
}

impl Running {
    fn new(draft: &Draft) -> Self {
        let ran = |step: &&DraftStep| step.stage.is_some() && step.outcome != Some(Outcome::Cached);
        let intervals = draft.steps.entries().filter(|(_, step)| ran(step));
        let intervals = intervals.filter_map(|(id, step)| Some((step.start?, step.end?, id)));
        let intervals: Vec<_> = intervals.filter(|(start, end, _)| start < end).collect();
        let mut ends: Vec<_> = intervals.iter().map(|&(_, end, id)| (end, id)).collect();
        ends.sort_unstable();
        let mut changes: Vec<(Instant, i64)> =
            intervals.iter().flat_map(|&(start, end, _)| [(start, 1), (end, -1)]).collect();
        changes.sort_unstable();
        let mut levels: Vec<(Instant, u32)> = Vec::with_capacity(changes.len());
        let mut level = 0_i64;
        for (at, change) in changes {
            level += change;
            let now = u32::try_from(level).unwrap_or(0);
            match levels.last_mut().filter(|last| last.0 == at) {
                Some(last) => last.1 = now,
                None => levels.push((at, now)),
            }
        }
        Self { levels, ends }
    }

    /// The limit of slots that explains these gaps as waits: while steps waited, the same number ran at all times, and never more. `None`
    /// if the gaps do not fit such a limit.
    fn limit(&self, gaps: &[UnexplainedGap]) -> Option<u32> {
        let spans = || self.levels.windows(2).map(|pair| (pair[0].1, pair[1].0 - pair[0].0));
        let mut lengths: BTreeMap<u32, Instant> = BTreeMap::new();
        spans()
            .filter(|&(level, _)| level > 0)
            .for_each(|(level, length)| *lengths.entry(level).or_default() += length);
        let busy: Instant = lengths.values().sum();
        // Rounded times let steps overlap for an instant.
        let limit = *lengths.iter().rev().find(|&(_, &length)| length * 50 >= busy)?.0;
        let mut full = vec![(Instant::MIN, 0)];
        for pair in self.levels.windows(2) {
            let before = full.last().map_or(0, |&(_, total)| total);
            full.push((pair[0].0, before));
            if pair[0].1 >= limit {
                full.push((pair[1].0, before + (pair[1].0 - pair[0].0)));
            }
        }
        let saturated_until = |at: Instant| {
            let next = full.partition_point(|&(instant, _)| instant <= at);
            let (from, total) = full[next.saturating_sub(1)];
            let (to, after) = full.get(next).copied().unwrap_or((from, total));
            if after > total { total + (at - from).min(to - from) } else { total }
        };
        let waits = gaps.iter().filter(|gap| gap.length() >= SHORTEST_GAP && self.freed(gap).is_some());
        let (mut waited, mut saturated) = (0, 0);
        for gap in waits {
            waited += gap.length();
            saturated += saturated_until(gap.start) - saturated_until(gap.free);
        }
        // One or two short gaps prove nothing.
        (waited * 20 >= busy && waited > 0 && saturated * 10 >= waited * 9).then_some(limit)
    }

    /// The step whose end released the step after a gap, with that end.
    fn freed(&self, gap: &UnexplainedGap) -> Option<(DraftId, Instant)> {
        let until = self.ends.partition_point(|&(end, _)| end <= gap.start);
        let candidates =
            self.ends[..until].iter().rev().take_while(|&&(end, _)| end > gap.free && gap.start - end <= HANDOVER);
        candidates.take(8).find(|&&(_, id)| id != gap.step).map(|&(end, id)| (id, end))
    }
}

/// Infers the waits for shared locks from the ends of their holders: a step that started before the end of another holder, and ended
/// after it, held the lock only from that end on.
fn lock_waits(draft: &mut Draft) {
    let mut holders: BTreeMap<String, Vec<DraftId>> = BTreeMap::new();
    for (id, step) in draft.steps.entries().filter(|(_, step)| step.start.is_some() && step.end.is_some()) {
        if step.instruction == Instruction::Run && step.outcome == Some(Outcome::Executed) {
            names::locks(&step.text).into_iter().for_each(|lock| holders.entry(lock).or_default().push(id));
        }
    }
    for (lock, mut steps) in holders {
        steps.sort_by_key(|&id| draft.steps[id].end);
        for pair in steps.windows(2) {
            let (Some(end), Some(start)) = (draft.steps[pair[0]].end, draft.steps[pair[1]].start) else { continue };
            if start < end {
                let (on, name) = (Some(pair[0]), format!("{lock} ({INFERRED})"));
                draft.steps[pair[1]].waits.push(DraftWait { kind: WaitKind::Lock, on, name, start, end });
            }
        }
    }
}
