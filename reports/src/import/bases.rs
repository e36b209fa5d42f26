//! The stages that other stages start from (`FROM base`). BuildKit's log for people has no line for such a FROM.

use super::draft::{Draft, DraftId, DraftStep};
use super::instant::Instant;
use super::late::{Bounds, ROUNDING, TICK};
use crate::index::Indexed;
use buildscope_record::Instruction;
use std::collections::BTreeMap;

/// The lines of the log that name a vertex, and that say that it is done.
#[derive(Clone, Copy, Debug)]
struct NumberedLines {
    named: Option<usize>,
    done: Option<usize>,
}

/// The lines of each vertex.
pub(crate) struct VertexLines {
    of: Indexed<DraftId, NumberedLines>,
}

/// The needed facts of a stage: its first and its last step, and whether it has a RUN.
#[derive(Debug, Default)]
struct StageEnds {
    first: Option<((u32, u32), DraftId)>,
    last: Option<((u32, u32), DraftId)>,
    runs: bool,
}

impl StageEnds {
    fn add(&mut self, id: DraftId, step: &DraftStep) {
        let position = step.number.map(|number| (number, id));
        self.first = self.first.min(position).or(position);
        self.last = self.last.max(position);
        self.runs |= step.instruction == Instruction::Run;
    }
}

impl VertexLines {
    /// The numbers of the lines that name each vertex, and that say that it is done.
    pub(crate) fn of(lines: impl Iterator<Item = (Option<usize>, Option<usize>)>) -> Self {
        Self { of: lines.map(|(named, done)| NumberedLines { named, done }).collect() }
    }

    /// Lets each stage that has a RUN and no base image start from the stage that ended last before its start. A stage without a RUN may be
    /// `FROM scratch`. `resolution` is the unit of all times.
    pub(crate) fn guess_bases(&self, draft: &mut Draft, bounds: &Indexed<DraftId, Bounds>, resolution: Instant) {
        let mut stages: BTreeMap<_, StageEnds> = BTreeMap::new();
        for (id, step) in draft.steps.entries() {
            if let (Some(stage), Some(_)) = (&step.stage, step.number) {
                let key = ((step.target.clone(), step.platform.clone()), stage.clone());
                stages.entry(key).or_default().add(id, step);
            }
        }
        // The ends of the stages of each target and platform, in the order of the log.
        let mut ends: BTreeMap<_, Vec<(usize, DraftId)>> = BTreeMap::new();
        for ((group, _), stage) in &stages {
            let last = stage.last.filter(|((number, of), _)| number == of);
            let done = last.and_then(|(_, id)| Some((self.of[id].done?, id)));
            ends.entry(group).or_default().extend(done);
        }
        ends.values_mut().for_each(|ends| ends.sort_unstable());
        // BuildKit shows one vertex at a time: a stage that started long before may be shown only now.
        let possible = |first: DraftId, last: DraftId| {
            let (start, end) = (draft.steps[first].start, draft.steps[last].end.filter(|_| !bounds[last].held));
            start.zip(end).is_none_or(|(start, end)| end <= start + ROUNDING + TICK + resolution)
        };
        let mut found = Vec::new();
        for ((group, _), stage) in stages.iter().filter(|(_, stage)| stage.runs) {
            let Some(((1, _), first)) = stage.first else { continue };
            let (Some(named), Some(ends)) = (self.of[first].named, ends.get(group)) else { continue };
            let mut before =
                ends[..ends.partition_point(|&(done, _)| done < named)].iter().rev().map(|&(_, last)| last);
            if draft.steps[first].instruction != Instruction::From
                && let Some(base) = before.find(|&last| possible(first, last))
            {
                found.push((first, base));
            }
        }
        for (first, base) in found {
            draft.steps[first].needs.push(base);
        }
    }
}
